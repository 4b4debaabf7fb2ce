//! Owns writing to an open file by its descriptor's path: `/dev/stdout`, `/dev/fd/3`, `/proc/self/fd/3`.
//!
//! The process that opened the file reads or keeps this very file. Must not replace it with another one.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens the file for appending if `path` names a descriptor; `None` for any other path.
#[cfg(target_os = "linux")]
pub fn open_descriptor(path: &Path) -> io::Result<Option<File>> {
    use std::os::fd::AsFd;

    let Some(entry) = entry(path) else { return Ok(None) };
    let own = Path::new("/proc").join(std::process::id().to_string()).join("fd");
    // The stream itself. A second opening would have a position of its own, and later output would overwrite it.
    let stream = match entry.strip_prefix(own).ok().and_then(Path::to_str) {
        Some("1") => io::stdout().as_fd().try_clone_to_owned()?,
        Some("2") => io::stderr().as_fd().try_clone_to_owned()?,
        _ => return std::fs::OpenOptions::new().append(true).open(path).map(Some),
    };
    Ok(Some(File::from(stream)))
}

/// The entry in a process's table of open files that `path` is or links to.
#[cfg(target_os = "linux")]
fn entry(path: &Path) -> Option<std::path::PathBuf> {
    let mut path = path.to_owned();
    // The kernel follows the same number of links.
    for _ in 0..40 {
        let directory = path.parent()?.canonicalize().ok()?;
        if directory.starts_with("/proc") && directory.ends_with("fd") {
            return Some(directory.join(path.file_name()?));
        }
        path = directory.join(path.read_link().ok()?);
    }
    None
}

/// Outside of Linux such names are devices, which are written to directly.
#[cfg(not(target_os = "linux"))]
pub fn open_descriptor(_path: &Path) -> io::Result<Option<File>> {
    Ok(None)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn what_is_open_keeps_its_bytes_and_gets_more() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("log");
        let mut log = File::create(&path).expect("creates");
        log.write_all(b"before ").expect("writes");
        let name = format!("/dev/fd/{}", log.as_raw_fd());
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&name, &link).expect("links");
        for name in [Path::new(&name), &link] {
            let mut opened = open_descriptor(name).expect("opens").expect("it is a descriptor");
            opened.write_all(b"x").expect("writes");
        }
        assert_eq!(std::fs::read(&path).expect("reads"), b"before xx");
        assert!(open_descriptor(Path::new("/dev/stdout")).expect("opens").is_some());
        assert!(open_descriptor(Path::new("/dev/fd/9999")).is_err());
        for other in [path.as_path(), Path::new("/dev/null"), Path::new("missing/x"), Path::new("")] {
            assert!(open_descriptor(other).expect("no error").is_none(), "{}", other.display());
        }
    }
}
