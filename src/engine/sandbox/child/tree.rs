//! Owns directory trees by handles: opening inside a root, attributes, emptying.
//!
//! The kernel resolves each name below a root handle. Must not know archives or layers.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Uid, XattrFlags};
use rustix::io::Errno;

use crate::engine::sandbox::protocol::{Fault, FaultKind, Identity, OrFault, Permissions};

/// The attribute with a file's owner if only one id is mapped: `uid:gid`, decimal.
pub(super) const OWNER_ATTRIBUTE: &str = "user.b2i.owner";

pub(super) fn open_directory(path: &Path) -> Result<OwnedFd, Fault> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::open(path, flags, Mode::empty())
        .or_fault(FaultKind::Other, format_args!("open `{}`", path.display()))
}

pub(super) fn open_below(parent: &OwnedFd, name: &str) -> Result<OwnedFd, Fault> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::openat(parent, name, flags, Mode::empty())
        .or_fault(FaultKind::Other, format_args!("open the directory `{name}`"))
}

/// Opens `path` with `root` as the root directory, and follows links inside it.
pub(super) fn open_in_root(root: impl AsFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    resolve_open(root, path, flags, resolve)
}

/// Opens `path` below `root`, without links.
pub(super) fn open_plain(root: impl AsFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    resolve_open(root, path, flags, resolve)
}

fn resolve_open(
    root: impl AsFd,
    path: &[u8],
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { b"." } else { path };
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(root.as_fd(), path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            // A rename during the lookup: the kernel demands a retry.
            Err(Errno::AGAIN) if tries < 100 => tries += 1,
            result => return result,
        }
    }
}

/// Sets the owner before the mode, because a new owner drops set-id bits.
pub(super) fn set_permissions(
    file: &OwnedFd,
    permissions: &Permissions,
    identity: Identity,
) -> std::io::Result<()> {
    let Permissions { mode, uid, gid } = *permissions;
    if identity == Identity::Single {
        let owner = format!("{uid}:{gid}");
        rustix::fs::fsetxattr(file, OWNER_ATTRIBUTE, owner.as_bytes(), XattrFlags::empty())?;
    } else {
        rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(mode & 0o7777))?)
}

pub(super) fn recorded_owner(file: impl AsFd) -> Option<(u32, u32)> {
    let mut buffer = [0; 32];
    let length = rustix::fs::fgetxattr(file, OWNER_ATTRIBUTE, &mut buffer[..]).ok()?;
    let text = std::str::from_utf8(buffer.get(..length)?).ok()?;
    let (uid, gid) = text.split_once(':')?;
    Some((uid.parse().ok()?, gid.parse().ok()?))
}

pub(super) fn names(directory: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

pub(super) fn empty(path: &Path) -> Result<(), Fault> {
    let directory = open_directory(path)?;
    empty_handle(&directory).or_fault(FaultKind::Other, format_args!("empty `{}`", path.display()))
}

/// Moves each directory to the top first, so that only two are open at a time, however deep the tree is.
/// Other processes may empty or fill it too: missing names are fine, and directories that are not empty are
/// tried again.
pub(super) fn empty_handle(top: &OwnedFd) -> Result<(), Errno> {
    let (mut moved, mut tries) = (0_u64, 0);
    loop {
        let names = names(top)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            match remove(top, &name, &mut moved) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::NOTEMPTY | Errno::NOTDIR | Errno::ISDIR) if tries < 500 => {
                    tries += 1;
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Removes one name. Directories in it are moved to the top.
fn remove(top: &OwnedFd, name: &CString, moved: &mut u64) -> Result<(), Errno> {
    if !is_directory(top, name)? {
        return rustix::fs::unlinkat(top, name, AtFlags::empty());
    }
    // Another mount must not be emptied.
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let directory = resolve_open(top, name.to_bytes(), OFlags::RDONLY | OFlags::DIRECTORY, resolve)?;
    for below in names(&directory)? {
        let removed = match is_directory(&directory, &below) {
            Ok(true) => move_up(&directory, &below, top, moved),
            Ok(false) => rustix::fs::unlinkat(&directory, &below, AtFlags::empty()),
            Err(error) => Err(error),
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    rustix::fs::unlinkat(top, name, AtFlags::REMOVEDIR)
}

fn move_up(from: &OwnedFd, name: &CString, top: &OwnedFd, moved: &mut u64) -> Result<(), Errno> {
    loop {
        *moved += 1;
        let unused = format!(".b2i-{moved}");
        match rustix::fs::renameat_with(from, name, top, unused, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            result => return result,
        }
    }
}

fn is_directory(parent: &OwnedFd, name: &CString) -> Result<bool, Errno> {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_deeper_than_the_limit_of_open_files_is_emptied() {
        let top = tempfile::tempdir().expect("a directory");
        let mut directory = open_directory(top.path()).expect("opens");
        for _ in 0..3000 {
            rustix::fs::mkdirat(&directory, "d", Mode::RWXU).expect("makes");
            std::fs::write(format!("/proc/self/fd/{}/f", std::os::fd::AsRawFd::as_raw_fd(&directory)), "x")
                .expect("writes");
            directory = open_below(&directory, "d").expect("opens");
        }
        std::os::unix::fs::symlink("/", top.path().join("link")).expect("links");
        empty(top.path()).expect("empties");
        assert_eq!(std::fs::read_dir(top.path()).expect("lists").count(), 0);
    }
}
