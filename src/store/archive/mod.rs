//! Owns image archives: the tar that `docker load` and `podman load` take, whole or without the base's layers.
//!
//! Writes in one pass and in bounded memory: the new layer first, then the config that depends on its digest, then
//! the manifest. Must not know where the bytes go: a file, or a request to a daemon.
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
use crate::fs::FileError;
use crate::image::{Digest, InvalidImage, OpenBlobError};

pub(crate) use filter::{Excerpt, TarEntry, entries as tar_entries};
pub(crate) use format::Form;
pub use sink::ArchiveSink;
pub use source::{DockerArchive, ReadArchiveError};
pub use tar_index::InvalidTar;
pub(crate) use tar_index::{Extent, TarIndex};
pub(crate) use tar_writer::{TarWriter, file_header};
pub(crate) use write::{BaseLayers, write_excerpt, write_image};

/// An archive that could not be written.
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
    ReadBlob {
        name: String,
        /// Digest of the blob.
        digest: Digest,
        source: io::Error,
    },
    #[error("the base `{name}` has the layer {diff_id}, but its bytes are not at hand")]
    MissingLayer { name: String, diff_id: Digest },
    /// The image is none.
    #[error(transparent)]
    Image(#[from] InvalidImage),
    /// The file of the archive could not be written.
    #[error(transparent)]
    File(#[from] FileError),
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
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
