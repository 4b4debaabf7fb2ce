//! Owns the artifact: one finished file with its name and origin, and the files the user adds to it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::fs::FileStamp;
use crate::image::Digest;

/// One finished file, open for reading.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Its name: one path component, made safe, valid UTF-8.
    pub name: String,
    /// Its size in bytes when it was opened.
    pub size: u64,
    /// Its digest, where fetching it computed one (downloads, members of archives, standard input).
    pub sha256: Option<Digest>,
    /// Where it came from.
    pub origin: Origin,
    /// Where its bytes can be read; a temporary file is removed with the last clone of this.
    pub content: FileContent,
    /// Files that go with it, sorted by destination.
    pub added: Vec<AddedFile>,
}

/// Where an artifact came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Origin {
    /// A file of this machine.
    File {
        /// The path as the user gave it.
        path: PathBuf,
    },
    /// Standard input.
    Stdin,
    /// A download.
    Url {
        /// The URL without user name, password, query and fragment.
        url: String,
    },
    /// A source build.
    Sources {
        /// Where the sources are that others can fetch too; without user name, password and query.
        location: Option<String>,
    },
}

/// A file whose bytes can be read any number of times, by independent readers.
///
/// The artifact's handle is opened once: what was inspected is what is packaged, even if the name is given to another
/// file meanwhile. Added files can be thousands, more than a process may have open; those are opened when they are
/// read, and refused if they are no longer the file that was found. Readers use positioned reads and do not disturb
/// each other.
#[derive(Clone, Debug)]
pub struct FileContent {
    source: Source,
    path: PathBuf,
    /// What the file looked like when it was found; nothing for files that only b2i writes.
    stamp: Option<FileStamp>,
    _temporary: Option<Arc<tempfile::TempPath>>,
}

#[derive(Clone, Debug)]
enum Source {
    Open(Arc<File>),
    ByName,
}

impl FileContent {
    /// Wraps an open file that stays where it is and that others may write to.
    pub fn new(file: File, path: &Path) -> Self {
        let stamp = file.metadata().ok().map(|metadata| FileStamp::of(&metadata));
        Self { source: Source::Open(Arc::new(file)), path: path.to_owned(), stamp, _temporary: None }
    }

    /// Wraps an open file that looked like `stamp` when it was found.
    pub fn found(file: File, path: &Path, stamp: FileStamp) -> Self {
        Self {
            source: Source::Open(Arc::new(file)),
            path: path.to_owned(),
            stamp: Some(stamp),
            _temporary: None,
        }
    }

    /// Wraps an open file that only b2i writes to (in its cache), and that is complete.
    pub fn private(file: File, path: &Path) -> Self {
        Self { source: Source::Open(Arc::new(file)), path: path.to_owned(), stamp: None, _temporary: None }
    }

    /// Stands for the file at `path` that looked like `stamp`; it is opened when it is read.
    pub fn by_name(path: &Path, stamp: FileStamp) -> Self {
        Self { source: Source::ByName, path: path.to_owned(), stamp: Some(stamp), _temporary: None }
    }

    /// Wraps a temporary file that is removed with the last clone.
    pub fn temporary(file: tempfile::NamedTempFile) -> Self {
        let (file, path) = file.into_parts();
        Self {
            source: Source::Open(Arc::new(file)),
            path: path.to_path_buf(),
            stamp: None,
            _temporary: Some(Arc::new(path)),
        }
    }

    /// The open file. For an added file each call opens it anew.
    ///
    /// # Errors
    /// What opening it gives; for an added file also if it is another file now, or was written to.
    pub fn file(&self) -> io::Result<Arc<File>> {
        if let Source::Open(file) = &self.source {
            return Ok(Arc::clone(file));
        }
        let file = File::open(&self.path)?;
        if Some(FileStamp::of(&file.metadata()?)) != self.stamp {
            return Err(changed_error(&self.path));
        }
        Ok(Arc::new(file))
    }

    /// The path it was found at, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file looked like when it was found; nothing for files that only b2i writes.
    pub fn stamp(&self) -> Option<FileStamp> {
        self.stamp
    }

    /// Says whether the file was written to since it was found. Ask after reading it: then what was read was one
    /// state of the file.
    ///
    /// # Errors
    /// What the system gives when asked.
    pub fn changed(&self) -> io::Result<bool> {
        let Some(stamp) = self.stamp else { return Ok(false) };
        let metadata = match &self.source {
            Source::Open(file) => file.metadata()?,
            Source::ByName => std::fs::metadata(&self.path)?,
        };
        Ok(FileStamp::of(&metadata) != stamp)
    }

    /// Starts a reader at the first byte.
    pub fn reader(&self) -> ContentReader {
        ContentReader { content: self.clone(), file: None, position: 0 }
    }
}

/// Whether the bytes of an open file were written to. What becomes of its name does not matter, so the time of the
/// last change of attributes doesn't either.
fn is_written_to(file: &File, stamp: Option<FileStamp>) -> io::Result<bool> {
    let Some(stamp) = stamp else { return Ok(false) };
    let now = FileStamp::of(&file.metadata()?);
    Ok((now.size, now.modified) != (stamp.size, stamp.modified))
}

fn changed_error(path: &Path) -> io::Error {
    let message = format!("`{}` was changed while b2i was working with it", path.display());
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Reads a [`FileContent`] from its own position. A file that was written to since it was found ends with an error
/// ([`io::ErrorKind::InvalidData`]).
#[derive(Debug)]
pub struct ContentReader {
    content: FileContent,
    file: Option<Arc<File>>,
    position: u64,
}

impl ContentReader {
    fn file(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            self.file = Some(self.content.file()?);
        }
        self.file.as_deref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl io::Read for ContentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (position, stamp) = (self.position, self.content.stamp);
        let file = self.file()?;
        #[cfg(unix)]
        let count = std::os::unix::fs::FileExt::read_at(file, buffer, position)?;
        #[cfg(windows)]
        let count = std::os::windows::fs::FileExt::seek_read(file, buffer, position)?;
        // Asked at the end, so that whoever has read the whole file knows that it was one state of it.
        if count == 0 && !buffer.is_empty() && is_written_to(file, stamp)? {
            return Err(changed_error(&self.content.path));
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl io::Seek for ContentReader {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let (base, offset) = match to {
            io::SeekFrom::Start(position) => (position, 0),
            io::SeekFrom::End(offset) => (self.file()?.metadata()?.len(), offset),
            io::SeekFrom::Current(offset) => (self.position, offset),
        };
        self.position = base
            .checked_add_signed(offset)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before the first byte"))?;
        Ok(self.position)
    }
}

/// A file or directory that the user adds to the artifact, or that an archive held beside it.
#[derive(Clone, Debug)]
pub struct AddedFile {
    /// Where it goes.
    pub destination: AddedDestination,
    /// What it is.
    pub content: AddedContent,
}

/// Where an added file goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddedDestination {
    /// Relative to the directory of the artifact; normal, no `..`, `/` as separator.
    Beside(String),
    /// Anywhere in the image.
    Absolute(crate::image::ImagePath),
}

/// What an added file is. Modes are not here: they follow from the content, never from the client's disk.
#[derive(Clone, Debug)]
pub enum AddedContent {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Its bytes.
        content: FileContent,
        /// Its size in bytes.
        size: u64,
        /// Whether it is a program (ELF) or a script (`#!`), and so gets an executable mode.
        executable: bool,
    },
    /// A symbolic link that stays inside the tree it came from; its target, relative.
    Symlink {
        /// The target.
        target: String,
    },
}

impl crate::image::layer::Content for FileContent {
    /// Opens it for reading from the start.
    fn open(&self) -> io::Result<Box<dyn io::Read + Send + '_>> {
        Ok(Box::new(self.reader()))
    }

    /// Jumps there without reading what is before.
    fn open_at(&self, offset: u64) -> io::Result<Box<dyn io::Read + Send + '_>> {
        let mut reader = self.reader();
        io::Seek::seek(&mut reader, io::SeekFrom::Start(offset))?;
        Ok(Box::new(reader))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom};

    use super::*;

    #[test]
    fn readers_do_not_disturb_each_other() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("a");
        std::fs::write(&path, "0123456789").expect("writes");
        let content = FileContent::new(File::open(&path).expect("opens"), &path);
        std::fs::remove_file(&path).expect("removes");
        let (mut one, mut two) = (content.reader(), content.reader());
        let mut buffer = [0; 4];
        one.seek(SeekFrom::End(-4)).and_then(|_| one.read_exact(&mut buffer)).expect("reads");
        assert_eq!(&buffer, b"6789");
        two.read_exact(&mut buffer).expect("reads");
        assert_eq!(&buffer, b"0123");
        one.seek(SeekFrom::Current(-20)).expect_err("before the start");
    }

    #[test]
    fn notices_a_file_that_is_written_to_or_replaced() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("a");
        std::fs::write(&path, "old").expect("writes");
        let open = FileContent::new(File::open(&path).expect("opens"), &path);
        let by_name = FileContent::by_name(&path, open.stamp().expect("has one"));
        assert!(!open.changed().expect("asks") && !by_name.changed().expect("asks"));
        let mut text = String::new();
        by_name.reader().read_to_string(&mut text).expect("reads");
        assert_eq!(text, "old");
        std::fs::write(&path, "longer").expect("writes");
        assert!(open.changed().expect("asks") && by_name.changed().expect("asks"));
        let error = by_name.reader().read(&mut [0; 1]).expect_err("refused");
        assert!(error.to_string().contains("was changed"), "{error}");
    }

    #[test]
    fn a_file_that_is_written_to_while_it_is_read_ends_with_an_error() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("a");
        std::fs::write(&path, "old").expect("writes");
        let open = FileContent::new(File::open(&path).expect("opens"), &path);
        let by_name = FileContent::by_name(&path, open.stamp().expect("has one"));
        let mut readers = [open.reader(), by_name.reader()];
        for reader in &mut readers {
            reader.read_exact(&mut [0; 2]).expect("the first bytes");
        }
        // The same size: the bytes alone do not tell.
        std::fs::write(&path, "new").expect("writes");
        for reader in &mut readers {
            let error = reader.read_to_end(&mut Vec::new()).expect_err("half old, half new");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        }
    }
}
