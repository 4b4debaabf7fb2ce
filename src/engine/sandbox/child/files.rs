//! Owns the files that a container gets beside its image's: the working directory and what names are looked up in.
//!
//! Must not make anything outside of the container's root, whatever its links say.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::namespace::{Place, failed, through_proc};
use super::room::{HOST_NAME, RESOLVER};
use super::tree;
use crate::engine::sandbox::protocol::{Fault, FaultKind};

/// Names of machines, on the host and inside.
const HOSTS: &str = "/etc/hosts";

/// Makes the directory if the image has none, as Docker does for the working directory.
pub(super) fn make_directory(place: &Place, path: &str) -> Result<(), Fault> {
    open_or_make(place, path, &mut Vec::new()).map(drop)
}

/// Opens a directory as the container would, and makes what is missing of it; `made` gets the paths of that.
pub(super) fn open_or_make(place: &Place, path: &str, made: &mut Vec<String>) -> Result<OwnedFd, Fault> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let failed = |error| failed(FaultKind::Result, format!("make the directory `{path}`"), error);
    let mut handle = tree::open_in_root(place.root()?, b"", flags).map_err(failed)?;
    let mut seen = String::new();
    for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
        seen = format!("{seen}/{name}");
        handle = match tree::open_in_root(place.root()?, seen.as_bytes(), flags) {
            Err(Errno::NOENT) => {
                rustix::fs::mkdirat(&handle, name, Mode::from_raw_mode(0o755)).map_err(failed)?;
                let new = tree::open_in_root(place.root()?, seen.as_bytes(), flags).map_err(failed)?;
                let root = tree::Attributes { mode: 0o755, uid: 0, gid: 0 };
                tree::set_attributes(&new, &root, place.identity).map_err(|error| {
                    Fault::system(FaultKind::Other, format!("set the owner of `{path}`"), &error)
                })?;
                made.push(image_path(place, &new)?);
                new
            }
            result => result.map_err(failed)?,
        };
    }
    Ok(handle)
}

/// The path of an open file in the container, whatever links led to it.
pub(super) fn image_path(place: &Place, file: &OwnedFd) -> Result<String, Fault> {
    let path_of = |file: BorrowedFd<'_>| {
        rustix::fs::readlink(through_proc(file), Vec::new())
            .map_err(|error| failed(FaultKind::Other, "find the path of a file", error))
    };
    let (root, path) = (path_of(place.root()?)?, path_of(file.as_fd())?);
    let below = path.to_bytes().strip_prefix(root.to_bytes());
    let below = below.and_then(|path| std::str::from_utf8(path).ok()).map(str::to_owned);
    let outside = || Fault::refused(FaultKind::Other, "find the path of a file", "it is not the container's");
    below.ok_or_else(outside)
}

/// Makes an empty file, over which the host's settings are mounted; it is not part of the change.
pub(super) fn make_resolver(place: &mut Place) -> Result<(), Fault> {
    make_file(place, RESOLVER, b"")?;
    place.has_own_resolver = true;
    Ok(())
}

/// Gives a program the names of this machine, as Docker does: its own, or with the host's network the host's.
pub(super) fn make_hosts(place: &Place, host_network: bool) -> Result<(), Fault> {
    let own = format!("127.0.0.1\tlocalhost {HOST_NAME}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    let text = match host_network {
        true => std::fs::read(HOSTS).unwrap_or_else(|_| own.into()),
        false => own.into(),
    };
    match etc(place).and_then(|etc| rustix::fs::unlinkat(&etc, file_name(HOSTS), AtFlags::empty())) {
        Ok(()) | Err(Errno::NOENT) => make_file(place, HOSTS, &text),
        // An image with something else there knows why.
        Err(_) => Ok(()),
    }
}

/// Makes a file of root's in `/etc`, where there is none.
fn make_file(place: &Place, path: &str, text: &[u8]) -> Result<(), Fault> {
    make_directory(place, "/etc")?;
    let system = |error: std::io::Error| Fault::system(FaultKind::Result, format!("make {path}"), &error);
    let etc = etc(place).map_err(|error| system(error.into()))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(&etc, file_name(path), flags, Mode::from_raw_mode(0o644));
    let mut made = File::from(made.map_err(|error| system(error.into()))?);
    made.write_all(text).map_err(system)?;
    let root = tree::Attributes { mode: 0o644, uid: 0, gid: 0 };
    tree::set_attributes(&made.into(), &root, place.identity)
        .map_err(|error| Fault::system(FaultKind::Other, format!("set the owner of {path}"), &error))
}

fn etc(place: &Place) -> Result<OwnedFd, Errno> {
    let root = place.root().map_err(|_| Errno::NOENT)?;
    tree::open_in_root(root, b"etc", OFlags::RDONLY | OFlags::DIRECTORY)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
