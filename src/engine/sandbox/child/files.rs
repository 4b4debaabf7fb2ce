//! Owns the files that a container has beside its image: working directory, mount points, and the text of the hosts
//! file. Must not create anything outside of the container's root.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::namespace::{Place, failed, through_proc};
use super::rootfs::HOST_NAME;
use super::tree;
use crate::engine::sandbox::protocol::{Command, Fault, FaultKind, OrFault, Permissions};

/// The hosts file, on the host and inside.
pub(super) const HOSTS: &str = "/etc/hosts";

pub(super) fn make_directory(place: &Place, path: &str) -> Result<(), Fault> {
    open_or_make(place, path, &mut Vec::new()).map(drop)
}

/// Opens a directory inside the container and creates missing parts, whose paths go to `created`.
pub(super) fn open_or_make(place: &Place, path: &str, created: &mut Vec<String>) -> Result<OwnedFd, Fault> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let failed = |error| failed(FaultKind::Result, format!("make the directory `{path}`"), error);
    let mut handle = tree::open_in_root(place.root()?, b"", flags).map_err(failed)?;
    let mut path_so_far = String::new();
    for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
        path_so_far = format!("{path_so_far}/{name}");
        handle = match tree::open_in_root(place.root()?, path_so_far.as_bytes(), flags) {
            Err(Errno::NOENT) => {
                rustix::fs::mkdirat(&handle, name, Mode::from_raw_mode(0o755)).map_err(failed)?;
                let new = tree::open_in_root(place.root()?, path_so_far.as_bytes(), flags).map_err(failed)?;
                let root = Permissions { mode: 0o755, uid: 0, gid: 0 };
                tree::set_permissions(&new, &root, place.identity)
                    .or_fault(FaultKind::Other, format_args!("set the owner of `{path}`"))?;
                created.push(image_path(place, &new)?);
                new
            }
            result => result.map_err(failed)?,
        };
    }
    Ok(handle)
}

/// The path of an open file in the container, without links.
pub(super) fn image_path(place: &Place, file: &OwnedFd) -> Result<String, Fault> {
    let path_of = |file: BorrowedFd<'_>| {
        rustix::fs::readlink(through_proc(file), Vec::new())
            .or_fault(FaultKind::Other, "find the path of a file")
    };
    let (root, path) = (path_of(place.root()?)?, path_of(file.as_fd())?);
    let below = path.to_bytes().strip_prefix(root.to_bytes());
    let below = below.and_then(|path| std::str::from_utf8(path).ok()).map(str::to_owned);
    let outside = || Fault::refused(FaultKind::Other, "find the path of a file", "it is not the container's");
    below.ok_or_else(outside)
}

/// The text of the hosts file: Docker's names, or the host's file on the host's network, and the added lines.
pub(super) fn hosts(command: &Command) -> Vec<u8> {
    let own = format!("127.0.0.1\tlocalhost {HOST_NAME}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    let mut text = match command.host_network {
        true => std::fs::read(HOSTS).unwrap_or_else(|_| own.into()),
        false => own.into(),
    };
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    for line in &command.hosts {
        text.extend(line.bytes().chain([b'\n']));
    }
    text
}
