//! Owns finding and reading single files of the container. Must not read outside of the container's root.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use super::namespace::failed;
use super::tree::open_in_root;
use crate::engine::sandbox::protocol::{Fault, FaultKind, OrFault};

/// Largest `/etc/passwd` or `/etc/group` that is read, in bytes.
const ACCOUNTS_LIMIT: u64 = 1 << 20;

pub(super) enum Lookup {
    Absent,
    /// The actual type of the file.
    NotAFile(&'static str),
    /// Its size in bytes.
    TooLarge(u64),
    File(Vec<u8>),
}

/// Whether the path exists; true for every symbolic link.
pub(super) fn has(root: BorrowedFd<'_>, path: &str) -> Result<bool, Fault> {
    match open_in_root(root, path.as_bytes(), OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(error) if is_absent(error) => Ok(false),
        Err(error) => Err(failed(FaultKind::Other, format!("look for `{path}`"), error)),
    }
}

/// Reads a file. A link at the end of `path` is not followed.
pub(super) fn read(root: BorrowedFd<'_>, path: &str, limit: u64) -> Result<Lookup, Fault> {
    let failed = |error| failed(FaultKind::Other, format!("read `{path}`"), error);
    let handle = match open_in_root(root, path.as_bytes(), OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(handle) => handle,
        Err(error) if is_absent(error) => return Ok(Lookup::Absent),
        Err(error) => return Err(failed(error)),
    };
    match kind(&handle).map_err(failed)? {
        FileType::RegularFile => {}
        FileType::Directory => return Ok(Lookup::NotAFile("a directory")),
        FileType::Symlink => return Ok(Lookup::NotAFile("a link")),
        _ => return Ok(Lookup::NotAFile("a special file")),
    }
    read_regular(root, path, limit).or_fault(FaultKind::Other, format_args!("read `{path}`"))
}

/// Reads an account file; empty if it is missing.
pub(super) fn accounts(root: BorrowedFd<'_>, path: &str) -> Result<String, Fault> {
    match read_regular(root, path, ACCOUNTS_LIMIT) {
        Ok(Lookup::File(bytes)) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Ok(Lookup::TooLarge(size)) => {
            let reason = format!("it has {size} bytes; at most {ACCOUNTS_LIMIT} are allowed");
            Err(Fault::refused(FaultKind::Result, format!("look a user up in `{path}`"), reason))
        }
        Ok(_) => Ok(String::new()),
        Err(error) if error.raw_os_error().map(Errno::from_raw_os_error).is_some_and(is_absent) => {
            Ok(String::new())
        }
        Err(error) => Err(Fault::system(FaultKind::Other, format!("read `{path}`"), &error)),
    }
}

fn read_regular(root: BorrowedFd<'_>, path: &str, limit: u64) -> std::io::Result<Lookup> {
    // The open does not block: the file may be a pipe.
    let handle = open_in_root(root, path.as_bytes(), OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    if kind(&handle)? != FileType::RegularFile {
        return Ok(Lookup::NotAFile("a special file"));
    }
    let file = std::fs::File::from(handle);
    let size = file.metadata()?.len();
    if size > limit {
        return Ok(Lookup::TooLarge(size));
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Lookup::File(bytes))
}

fn kind(handle: &OwnedFd) -> Result<FileType, Errno> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(handle.as_fd())?.st_mode))
}

fn is_absent(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}
