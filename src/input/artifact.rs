//! Owns the artifact: one finished file with its name and origin, and the files that the user adds to it.
//! Must not know what kind of program it is.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fs::FileStamp;
use crate::image::{Digest, ImagePath};

/// One finished file, open for reading.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// The name: one safe path component in UTF-8.
    pub name: String,
    /// The size when it was opened, in bytes.
    pub size: u64,
    /// The digest; known for downloads, members of archives, standard input, and with `--sha256`.
    pub sha256: Option<Digest>,
    pub origin: Origin,
    pub content: FileContent,
    /// Its path in the tree of files that it came with; `None` for a file without such a tree.
    pub tree_path: Option<String>,
    /// The other files of its tree, and the files that the user adds. Sorted by destination.
    pub added: Vec<AddedFile>,
    /// The number of files of its archive that do not come along. Documents do not count.
    pub left_out: u64,
    /// Whether its archive or directory has programs for other platforms, too, and the wanted platform chose this one.
    pub has_other_platforms: bool,
}

impl Artifact {
    /// The JARs that come along, at their places in the image, sorted. Paths of files beside the artifact start at `top`.
    pub fn added_jars(&self, top: &ImagePath) -> Vec<ImagePath> {
        let files = self.added.iter().filter(|file| matches!(file.content, AddedContent::File { .. }));
        let paths = files.filter_map(|file| match &file.destination {
            AddedDestination::Beside(path) => top.join(path).ok(),
            AddedDestination::Absolute(path) => Some(path.clone()),
        });
        paths.filter(|path| path.as_str().to_ascii_lowercase().ends_with(".jar")).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Origin {
    File {
        /// As the user wrote it.
        path: PathBuf,
    },
    Stdin,
    Url {
        /// The URL without user name, password, query and fragment.
        url: String,
    },
    Sources {
        /// A location that others can fetch, too; without user name, password and query.
        location: Option<String>,
    },
}

/// A file that any number of independent readers can read.
///
/// The artifact is opened once. So b2i packages the file that it inspected, even if the path now leads to another file.
/// Added files may be more than a process may open. They are opened when they are read, and refused if their stamp has
/// changed. Readers use positioned reads and do not disturb each other.
#[derive(Clone, Debug)]
pub struct FileContent {
    source: Source,
    /// Shared: a layer has a clone for each of its files, which may be many.
    path: Arc<Path>,
    /// The stamp of the file when it was opened or listed; `None` for files that only b2i writes.
    stamp: Option<FileStamp>,
    /// Removes a temporary file with the last clone.
    _temporary: Option<Arc<tempfile::TempPath>>,
}

#[derive(Clone, Debug)]
enum Source {
    Open(Arc<File>),
    ByName,
}

impl FileContent {
    /// Wraps an open file that others may write to.
    pub fn new(file: File, path: &Path) -> Self {
        let stamp = file.metadata().ok().map(|metadata| FileStamp::of(&metadata));
        Self { stamp, ..Self::private(file, path) }
    }

    /// Wraps an open file that had `stamp` when it was listed.
    pub fn with_stamp(file: File, path: &Path, stamp: FileStamp) -> Self {
        Self { stamp: Some(stamp), ..Self::private(file, path) }
    }

    /// Wraps a complete file that only b2i writes, in its cache.
    pub fn private(file: File, path: &Path) -> Self {
        Self { source: Source::Open(Arc::new(file)), path: path.into(), stamp: None, _temporary: None }
    }

    /// The file at `path`, which had `stamp` when it was listed. It is opened when it is read.
    pub fn by_name(path: &Path, stamp: FileStamp) -> Self {
        Self { source: Source::ByName, path: path.into(), stamp: Some(stamp), _temporary: None }
    }

    /// Wraps a temporary file that is removed with the last clone.
    pub fn temporary(file: tempfile::NamedTempFile) -> Self {
        let (file, path) = file.into_parts();
        let content = Self::private(file, &path);
        Self { _temporary: Some(Arc::new(path)), ..content }
    }

    /// The open file. Each call opens an added file again, and fails if its stamp has changed.
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

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its stamp when it was opened or listed; `None` for files that only b2i writes.
    pub fn stamp(&self) -> Option<FileStamp> {
        self.stamp
    }

    /// The rights of the file beyond those of who starts it, which an image does not keep. A file that cannot be asked has
    /// none.
    pub fn special_rights(&self) -> Option<&'static str> {
        use std::os::unix::fs::MetadataExt;
        let file = self.file().ok()?;
        let mode = file.metadata().ok()?.mode();
        let has_capabilities =
            || rustix::fs::fgetxattr(&*file, "security.capability", &mut [0u8; 64][..]).is_ok();
        if mode & 0o4000 != 0 {
            Some("the set-user-ID bit")
        } else if mode & 0o2000 != 0 {
            Some("the set-group-ID bit")
        } else {
            has_capabilities().then_some("file capabilities")
        }
    }

    /// Whether the file has changed since it was opened or listed. Call it after reading: if it has not, all bytes are
    /// of one state of the file.
    pub fn changed(&self) -> io::Result<bool> {
        let Some(stamp) = self.stamp else { return Ok(false) };
        let metadata = match &self.source {
            Source::Open(file) => file.metadata()?,
            Source::ByName => std::fs::metadata(&self.path)?,
        };
        Ok(FileStamp::of(&metadata) != stamp)
    }

    pub fn reader(&self) -> ContentReader {
        ContentReader { content: self.clone(), file: None, position: 0 }
    }
}

/// Whether an open file was written to. Renaming or removing it does not matter, so the change time does not either.
fn is_written_to(file: &File, stamp: Option<FileStamp>) -> io::Result<bool> {
    let Some(stamp) = stamp else { return Ok(false) };
    let now = FileStamp::of(&file.metadata()?);
    Ok((now.size, now.modified) != (stamp.size, stamp.modified))
}

fn changed_error(path: &Path) -> io::Error {
    let message = format!("`{}` was changed while b2i was reading it", path.display());
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Reads a [`FileContent`] from its own position. If the file was written to, the last read fails with
/// [`io::ErrorKind::InvalidData`].
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
        let count = std::os::unix::fs::FileExt::read_at(file, buffer, position)?;
        // Checked at the end, so that whoever reads the whole file knows that all bytes are of one state.
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

/// A file or directory that the user adds to the artifact, or another file of its tree.
#[derive(Clone, Debug)]
pub struct AddedFile {
    pub destination: AddedDestination,
    pub content: AddedContent,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddedDestination {
    /// Relative to the top of the artifact's tree, or to the artifact's directory if it has no tree. In normal form: `/`
    /// between the parts, no `..`.
    Beside(String),
    Absolute(crate::image::ImagePath),
}

/// The content of an added file. Modes follow from it, never from the user's disk.
#[derive(Clone, Debug)]
pub enum AddedContent {
    Directory,
    File {
        content: FileContent,
        size: u64,
        /// Whether it is a program (ELF) or a script (`#!`), which gets an executable mode.
        executable: bool,
    },
    /// A symbolic link with a relative target in the same tree.
    Symlink {
        target: String,
    },
}

impl AddedDestination {
    pub fn file_name(&self) -> &str {
        match self {
            Self::Beside(path) => path.rsplit('/').next().unwrap_or_default(),
            Self::Absolute(path) => path.file_name(),
        }
    }
}

impl std::fmt::Display for AddedDestination {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Beside(path) => formatter.write_str(path),
            Self::Absolute(path) => path.fmt(formatter),
        }
    }
}

impl crate::image::layer::Content for FileContent {
    fn open(&self) -> io::Result<Box<dyn io::Read + Send + '_>> {
        Ok(Box::new(self.reader()))
    }

    /// Seeks to `offset` without reading the bytes before.
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
        // The size stays the same, so only the stamp can show the change.
        std::fs::write(&path, "new").expect("writes");
        for reader in &mut readers {
            let error = reader.read_to_end(&mut Vec::new()).expect_err("half old, half new");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        }
    }
}
