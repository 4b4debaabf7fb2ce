//! Owns reading files of a layout, a directory or a tar. Must not follow a link that leaves the layout.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::OpenOptionsExt;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{LayoutError, blob_name};
use crate::image::blobs::{file_stream, read_exactly_at};
use crate::image::{BlobSource, BlobStream, Descriptor, Digest, OpenBlobError};
use crate::store::archive::{Extent, TarIndex};

#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Directory(cap_std::fs::Dir),
    Archive(Arc<File>, TarIndex),
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, LayoutError> {
        let failed = |error: io::Error| LayoutError::Unreadable {
            path: path.to_owned(),
            reason: error.to_string(),
            source: Some(error),
        };
        let metadata = std::fs::metadata(path).map_err(failed)?;
        let place = if metadata.is_dir() {
            let directory = cap_std::fs::Dir::open_ambient_dir(path, cap_std::ambient_authority());
            Place::Directory(directory.map_err(failed)?)
        } else if metadata.is_file() {
            let file = File::open(path).map_err(failed)?;
            let index = TarIndex::scan(&file);
            let index = index.map_err(|source| LayoutError::Tar { path: path.to_owned(), source })?;
            Place::Archive(Arc::new(file), index)
        } else {
            let reason = "it is neither a directory nor a regular file".into();
            return Err(LayoutError::Unreadable { path: path.to_owned(), reason, source: None });
        };
        Ok(Self { path: path.to_owned(), place })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The position of a file; `None` if it is missing.
    fn find(&self, name: &str) -> io::Result<Option<(Arc<File>, Extent)>> {
        match &self.place {
            Place::Archive(file, index) => Ok(index.find(name).map(|extent| (file.clone(), extent))),
            Place::Directory(directory) => {
                let file = match open_regular(directory, name) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    opened => opened?,
                };
                let length = file.metadata()?.len();
                Ok(Some((Arc::new(file), Extent { start: 0, length })))
            }
        }
    }

    pub(super) fn read(&self, name: &str, maximum: u64) -> Result<Option<Vec<u8>>, LayoutError> {
        let failed = |error: io::Error| self.unreadable(format!("`{name}`: {error}"), Some(error));
        let Some((file, extent)) = self.find(name).map_err(failed)? else { return Ok(None) };
        if extent.length > maximum {
            let reason = format!("`{name}` has {} bytes; the limit is {maximum}", extent.length);
            return Err(self.unreadable(reason, None));
        }
        let mut bytes = vec![0; usize::try_from(extent.length).expect("bounded above")];
        read_exactly_at(&file, &mut bytes, extent.start).map_err(failed)?;
        Ok(Some(bytes))
    }

    pub(super) fn read_blob(&self, blob: &Descriptor, maximum: u64) -> Result<Vec<u8>, LayoutError> {
        let bytes = self.read(&blob_name(&blob.digest), maximum)?;
        let bytes = bytes.ok_or_else(|| self.bad_blob(blob, "is missing".into()))?;
        let found = Digest::of(&bytes);
        if found != blob.digest || bytes.len() as u64 != blob.size {
            let (expected, length) = (blob.size, bytes.len());
            let reason = format!("should have {expected} bytes, but has {length} and the digest {found}");
            return Err(self.bad_blob(blob, reason));
        }
        Ok(bytes)
    }

    fn open_blob(&self, blob: &Descriptor) -> Result<BlobStream, LayoutError> {
        let found = self.find(&blob_name(&blob.digest));
        let found = found.map_err(|error| self.bad_blob(blob, format!("cannot be opened: {error}")))?;
        let (file, extent) = found.ok_or_else(|| self.bad_blob(blob, "is missing".into()))?;
        if extent.length != blob.size {
            let reason = format!("has {} bytes, but its manifest says {}", extent.length, blob.size);
            return Err(self.bad_blob(blob, reason));
        }
        Ok(file_stream(file, extent.start, extent.length, blob))
    }

    fn bad_blob(&self, blob: &Descriptor, reason: String) -> LayoutError {
        LayoutError::Blob { digest: blob.digest, path: self.path.clone(), reason }
    }

    pub(super) fn unreadable(&self, reason: String, source: Option<io::Error>) -> LayoutError {
        LayoutError::Unreadable { path: self.path.clone(), reason, source }
    }
}

impl BlobSource for Store {
    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream, OpenBlobError>> {
        async move { self.open_blob(blob).map_err(OpenBlobError::new) }.boxed()
    }
}

/// Opens a regular file below `directory`. Links may not leave it. A pipe does not block.
fn open_regular(directory: &cap_std::fs::Dir, name: &str) -> io::Result<File> {
    let mut options = cap_std::fs::OpenOptions::new();
    options.read(true);
    options.custom_flags(i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default());
    let file = directory.open_with(name, &options)?.into_std();
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(file)
}
