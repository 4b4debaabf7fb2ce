//! Owns atomic files: at any moment the name leads to the old bytes or to all of the new ones. Must not know the
//! bytes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::descriptor::open_descriptor;
use super::error::FileError;
use super::lease::Lease;

/// A file under construction next to its target. Dropping it without [`AtomicFile::commit`] removes it.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    target: PathBuf,
    /// The temporary name; `None` if the target is a pipe or device, which is written directly.
    partial: Option<PathBuf>,
    written: u64,
}

impl AtomicFile {
    /// Starts writing `target` with `mode`, or with 0666 less the umask.
    ///
    /// A symbolic link is followed and stays. An existing pipe, a character device and a descriptor such as
    /// `/dev/stdout` are written directly. Fails for directories, sockets and block devices.
    pub fn create(target: &Path, mode: Option<u32>, lease: &Lease) -> Result<Self, FileError> {
        let opened = open_descriptor(target).map_err(|error| FileError::new("open", target, error))?;
        if let Some(file) = opened {
            return Ok(Self { file, target: target.to_owned(), partial: None, written: 0 });
        }
        let target = resolve(target)?;
        if let Some(file) = open_special(&target)? {
            return Ok(Self { file, target, partial: None, written: 0 });
        }
        let partial = lease.partial_path(&target);
        let file = lease.create(&partial, || {
            let file = OpenOptions::new().write(true).create_new(true).open(&partial);
            file.map_err(|error| FileError::new("create", &target, error))
        })?;
        let created = Self { file, target, partial: Some(partial), written: 0 };
        if let Some(mode) = mode {
            let result = created.file.set_permissions(PermissionsExt::from_mode(mode));
            result.map_err(|error| FileError::new("set the mode of", &created.target, error))?;
        }
        Ok(created)
    }

    /// Whether written bytes can still be changed. Those of a pipe or device cannot.
    pub fn is_seekable(&self) -> bool {
        self.partial.is_some()
    }

    pub fn written(&self) -> u64 {
        self.written
    }

    /// Replaces written bytes at `offset`; the next write goes to the end. Fails for pipes and devices.
    pub fn rewrite(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(bytes)?;
        self.file.seek(SeekFrom::Start(self.written)).map(drop)
    }

    /// Removes all bytes after the first `length`. Fails for pipes and devices.
    pub fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length))?;
        self.written = length;
        Ok(())
    }

    /// Commits under another name in the same directory, such as the digest of the bytes.
    pub fn commit_as(mut self, name: &str) -> Result<(), FileError> {
        self.target.set_file_name(name);
        self.commit()
    }

    /// Syncs the bytes to the disk and gives the file its name. After an error, the target is unchanged.
    pub fn commit(mut self) -> Result<(), FileError> {
        let Some(partial) = self.partial.clone() else { return Ok(()) };
        let failed = |action, error| FileError::new(action, &self.target, error).after(self.written);
        self.file.sync_all().map_err(|error| failed("write", error))?;
        fs::rename(&partial, &self.target).map_err(|error| failed("replace", error))?;
        self.partial = None;
        // The directory holds the name. Some file systems cannot sync a directory; that is not an error.
        if let Some(Ok(directory)) = self.target.parent().map(File::open) {
            drop(directory.sync_all());
        }
        Ok(())
    }

    /// Adds the target to an error of [`Write`].
    pub fn error(&self, error: io::Error) -> FileError {
        FileError::new("write", &self.target, error).after(self.written)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.file.write(buffer)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(partial) = &self.partial {
            drop(fs::remove_file(partial));
        }
    }
}

/// Resolves a symbolic link, so that its target is replaced and not the link.
fn resolve(target: &Path) -> Result<PathBuf, FileError> {
    if target.file_name().is_none() {
        return Err(FileError::refused(target, "is not the name of a file", None));
    }
    match fs::symlink_metadata(target) {
        Ok(metadata) if metadata.is_symlink() => {
            fs::canonicalize(target).map_err(|error| FileError::new("follow the link", target, error))
        }
        Ok(_) => Ok(target.to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(target.to_owned()),
        Err(error) => Err(FileError::new("look at", target, error)),
    }
}

/// Opens a pipe or character device, which is written directly; `None` for a regular file or a free name.
fn open_special(target: &Path) -> Result<Option<File>, FileError> {
    let Ok(metadata) = fs::metadata(target) else { return Ok(None) };
    if metadata.is_dir() {
        let hint = "pass a file in it, for example by appending `/image.tar`";
        return Err(FileError::refused(target, "is a directory and is not replaced by a file", Some(hint)));
    }
    if metadata.is_file() {
        return Ok(None);
    }
    let kind = metadata.file_type();
    if kind.is_fifo() || kind.is_char_device() {
        let file = OpenOptions::new().write(true).open(target);
        return file.map(Some).map_err(|error| FileError::new("open", target, error));
    }
    Err(FileError::refused(target, "is neither a regular file nor a pipe and is not written to", None))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::fs::tests::{names, with_lease};

    #[test]
    fn the_name_appears_only_on_commit() {
        with_lease(|directory, lease| {
            let target = directory.join("image.tar");
            fs::write(&target, "old").expect("writes");
            let mut file = AtomicFile::create(&target, Some(0o600), lease).expect("creates");
            file.write_all(b"new").expect("writes");
            assert_eq!(fs::read(&target).expect("reads"), b"old");
            file.commit().expect("commits");
            assert_eq!(fs::read(&target).expect("reads"), b"new");
            assert_eq!(fs::metadata(&target).expect("exists").permissions().mode() & 0o777, 0o600);
            assert_eq!(names(directory), ["image.tar"]);
        });
    }

    #[test]
    fn bytes_are_rewritten_and_taken_back_and_the_name_comes_last() {
        with_lease(|directory, lease| {
            let mut file = AtomicFile::create(&directory.join("new"), None, lease).expect("creates");
            file.write_all(b"........tail, too much").expect("writes");
            file.rewrite(2, b"head").expect("rewrites");
            file.truncate(12).expect("truncates");
            file.write_all(b"!").expect("writes");
            assert_eq!((file.written(), file.is_seekable()), (13, true));
            file.commit_as("sha256").expect("commits");
            assert_eq!(fs::read(directory.join("sha256")).expect("reads"), b"..head..tail!");
            assert_eq!(names(directory), ["sha256"]);
            let mut null = AtomicFile::create(Path::new("/dev/null"), None, lease).expect("opens");
            assert!(!null.is_seekable());
            null.write_all(b"x").expect("writes");
        });
    }

    #[test]
    fn what_is_not_committed_is_gone() {
        with_lease(|directory, lease| {
            let mut file = AtomicFile::create(&directory.join("image.tar"), None, lease).expect("creates");
            file.write_all(b"half").expect("writes");
            assert_eq!(names(directory).len(), 1);
            drop(file);
            assert!(names(directory).is_empty());
        });
    }

    #[test]
    fn follows_links_and_refuses_directories_and_sockets() {
        with_lease(|directory, lease| {
            fs::write(directory.join("real"), "old").expect("writes");
            symlink("real", directory.join("link")).expect("links");
            let mut file = AtomicFile::create(&directory.join("link"), None, lease).expect("creates");
            file.write_all(b"new").expect("writes");
            file.commit().expect("commits");
            assert!(directory.join("link").is_symlink());
            assert_eq!(fs::read(directory.join("real")).expect("reads"), b"new");
            assert!(AtomicFile::create(directory, None, lease).is_err());
            let socket = directory.join("socket");
            let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("binds");
            assert!(AtomicFile::create(&socket, None, lease).is_err());
        });
    }

    #[test]
    fn writes_to_a_device_directly_and_says_when_it_is_full() {
        with_lease(|_, lease| {
            let mut null = AtomicFile::create(Path::new("/dev/null"), None, lease).expect("opens");
            null.write_all(b"x").expect("writes");
            null.commit().expect("commits");
            let mut full = AtomicFile::create(Path::new("/dev/full"), None, lease).expect("opens");
            let error = full.write_all(b"x").expect_err("is full");
            assert!(full.error(error).to_string().contains("no space left in `/dev`"));
        });
    }
}
