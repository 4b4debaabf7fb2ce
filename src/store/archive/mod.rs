//! Owns image archives: the tar for `docker load` and `podman load`, with or without the base's layers.
//!
//! Must not know whether it goes to a file or to a daemon. It is written in one pass and in bounded memory: new layers,
//! then the config with their digests, then the manifest.
//!
//! Source: Docker image spec v1.2 "Combined Image JSON + Filesystem Changeset Format"; OCI image spec v1.1
//! "image-layout.md".

mod filter;
mod format;
mod sink;
mod source;
pub(crate) mod tar_index;
mod tar_writer;
mod write;

use std::io;
use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, FailureKind};
use crate::fs::{AtomicFile, FileError};
use crate::image::{Digest, InvalidImage, OpenBlobError};

pub(crate) use filter::{Excerpt, TarEntry, entries as tar_entries};
pub(crate) use format::Form;
pub use sink::ArchiveSink;
pub use source::{DockerArchive, ReadArchiveError};
pub use tar_index::InvalidTar;
pub(crate) use tar_index::{Extent, TarIndex};
pub(crate) use tar_writer::{TarWriter, file_header};
pub(crate) use write::{BaseLayers, write_excerpt, write_image};

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("writing the image archive failed")]
    Io(#[from] io::Error),
    #[error("the files of the image could not be read")]
    Content(#[source] io::Error),
    #[error("reading the base layer {diff_id} from `{}` failed", path.display())]
    BaseLayer { diff_id: Digest, path: PathBuf, source: io::Error },
    #[error("a layer of the base could not be opened")]
    OpenBlob(#[from] OpenBlobError),
    #[error("reading the layer {digest} of the base `{name}` failed")]
    ReadBlob { name: String, digest: Digest, source: io::Error },
    #[error("the layer {diff_id} of the base `{name}` is not available")]
    MissingLayer { name: String, diff_id: Digest },
    #[error(transparent)]
    Image(#[from] InvalidImage),
    #[error(transparent)]
    File(#[from] FileError),
}

impl ArchiveError {
    /// Adds the file to an error of writing.
    pub(crate) fn of_file(self, out: &AtomicFile) -> Self {
        match self {
            Self::Io(error) => Self::File(out.error(error)),
            other => other,
        }
    }
}

impl Diagnostic for ArchiveError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Content(_) => FailureKind::Input,
            Self::OpenBlob(error) => error.kind(),
            Self::ReadBlob { .. } => FailureKind::Builder,
            Self::Io(_) | Self::BaseLayer { .. } | Self::MissingLayer { .. } => FailureKind::Image,
            Self::Image(error) => error.kind(),
            Self::File(FileError::Refused { .. }) => FailureKind::Usage,
            Self::File(_) => FailureKind::Image,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::OpenBlob(error) => error.hints(),
            Self::File(error) => error.hints(),
            Self::Io(_)
            | Self::Content(_)
            | Self::BaseLayer { .. }
            | Self::ReadBlob { .. }
            | Self::MissingLayer { .. }
            | Self::Image(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
