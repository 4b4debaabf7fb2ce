//! Owns image archives: the tar that `docker load` and `podman load` take, whole or without the base's layers.
//!
//! Writes in one pass and in bounded memory: the new layer first, then the config that depends on its digest, then
//! the manifest. Must not know where the bytes go: a file, or a request to a daemon.
//!
//! Source: Docker image spec v1.2 "Combined Image JSON + Filesystem Changeset Format"; OCI image spec v1.1
//! "image-layout.md".

mod filter;
mod format;
mod source;
pub(crate) mod tar_index;
mod tar_writer;
mod write;

use std::io;
use std::path::PathBuf;

use super::OpenBlobError;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::Digest;
use crate::image::config::InvalidConfig;

pub(crate) use filter::{Excerpt, TarEntry, entries as tar_entries};
pub(crate) use format::Form;
pub use source::{DockerArchive, ReadArchiveError};
pub use tar_index::InvalidTar;
pub(crate) use tar_index::{Extent, TarIndex};
pub(crate) use tar_writer::{TarWriter, file_header};
pub(crate) use write::{BaseFiles, write_config_only, write_excerpt, write_from_files, write_image};
pub use write::{unpack_for_archive, unpack_resolved, write_archive, write_resolved};

/// An uncompressed layer in a file, verified against its diff ID by whoever wrote the file.
#[derive(Clone, Debug)]
pub struct LayerFile {
    /// Digest of the file's bytes.
    pub diff_id: Digest,
    /// Where it is.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub size: u64,
}

/// An archive that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Reading the artifact or writing the archive failed.
    #[error("writing the image archive failed")]
    Io(#[from] io::Error),
    /// A file of the new layer is not what it was when it was found.
    #[error("the files of the image could not be read")]
    Content(#[source] io::Error),
    /// A layer of the base could not be read.
    #[error("reading the base layer {diff_id} from `{}` failed", path.display())]
    BaseLayer {
        /// Its diff ID.
        diff_id: Digest,
        /// Its file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A layer of the base could not be opened where it is.
    #[error("a layer of the base could not be opened")]
    OpenBlob(#[from] OpenBlobError),
    /// A layer of the base could not be read where it is.
    #[error("reading the layer {digest} of the base `{name}` failed")]
    ReadBlob {
        /// The base.
        name: String,
        /// Digest of the blob.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
    /// A layer of the base is not among the files.
    #[error("the base `{name}` has the layer {diff_id}, but its bytes are not at hand")]
    MissingLayer {
        /// The base.
        name: String,
        /// The layer.
        diff_id: Digest,
    },
    /// The built-in base was written with another digest than its config says.
    #[error("the built-in base layer has the digest {found}, but its config says {expected:?}")]
    BuiltInLayer {
        /// What was written.
        found: Digest,
        /// What the config says.
        expected: Vec<Digest>,
    },
    /// The config that was made for the image does not list the layers that were written.
    #[error("the image config lists the layers {found:?}, but {expected:?} were written")]
    Layers {
        /// What the config lists.
        found: Vec<Digest>,
        /// What was written.
        expected: Vec<Digest>,
    },
    /// A config is not valid.
    #[error("the config of the image `{name}` is not valid")]
    Config {
        /// The image.
        name: String,
        /// Why.
        source: InvalidConfig,
    },
}

impl Diagnostic for ArchiveError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Content(_) => FailureKind::Input,
            Self::OpenBlob(error) => error.kind(),
            Self::ReadBlob { .. } => FailureKind::Builder,
            Self::Io(_) | Self::BaseLayer { .. } | Self::MissingLayer { .. } => FailureKind::Image,
            Self::BuiltInLayer { .. } | Self::Layers { .. } => FailureKind::Unexpected,
            Self::Config { .. } => FailureKind::Builder,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::OpenBlob(error) => error.hints(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
