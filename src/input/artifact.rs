//! Owns the artifact: one finished file with its name and origin, and the files the user adds to it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

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
}

/// A file whose bytes can be read any number of times, by independent readers.
///
/// The handle is opened once: what was inspected is what is packaged, even if the name is given to another
/// file meanwhile. Readers use positioned reads and do not disturb each other.
#[derive(Clone, Debug)]
pub struct FileContent {
    file: Arc<File>,
    path: PathBuf,
    _temporary: Option<Arc<tempfile::TempPath>>,
}

impl FileContent {
    /// Wraps an open file that stays where it is.
    pub fn new(file: File, path: &Path) -> Self {
        Self { file: Arc::new(file), path: path.to_owned(), _temporary: None }
    }

    /// Wraps a temporary file that is removed with the last clone.
    pub fn temporary(file: tempfile::NamedTempFile) -> Self {
        let (file, path) = file.into_parts();
        Self { file: Arc::new(file), path: path.to_path_buf(), _temporary: Some(Arc::new(path)) }
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The path it was opened by, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a reader at the first byte.
    pub fn reader(&self) -> ContentReader {
        ContentReader { file: Arc::clone(&self.file), position: 0 }
    }
}

/// Reads a [`FileContent`] from its own position.
#[derive(Debug)]
pub struct ContentReader {
    file: Arc<File>,
    position: u64,
}

impl std::io::Read for ContentReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        #[cfg(unix)]
        let count = std::os::unix::fs::FileExt::read_at(&*self.file, buffer, self.position)?;
        #[cfg(windows)]
        let count = std::os::windows::fs::FileExt::seek_read(&*self.file, buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl std::io::Seek for ContentReader {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        let (base, offset) = match to {
            std::io::SeekFrom::Start(position) => (position, 0),
            std::io::SeekFrom::End(offset) => (self.file.metadata()?.len(), offset),
            std::io::SeekFrom::Current(offset) => (self.position, offset),
        };
        self.position = base.checked_add_signed(offset).ok_or_else(|| {
            std::io::Error::new(std::io::ErrorKind::InvalidInput, "seek before the first byte")
        })?;
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
    fn open(&self) -> std::io::Result<Box<dyn std::io::Read + Send + '_>> {
        Ok(Box::new(self.reader()))
    }
}
