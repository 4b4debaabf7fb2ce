//! Owns the errors of layouts.

use std::io;
use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, FailureKind};
use crate::fs::FileError;
use crate::image::Digest;
use crate::image::manifest::InvalidManifest;
use crate::store::archive::{ArchiveError, InvalidTar};

/// A layout that could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The image, or a layer of its base.
    #[error(transparent)]
    Image(#[from] ArchiveError),
    /// A file of the layout could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    #[error("`{}` is no OCI layout that an image can be added to: {reason}", path.display())]
    NotALayout { path: PathBuf, reason: String },
    #[error("`{}` is not read as an OCI layout: {reason}", path.display())]
    Unreadable {
        /// The directory or file.
        path: PathBuf,
        reason: String,
        /// The system's error, if it was that.
        source: Option<io::Error>,
    },
    #[error("`{}` is not read as an OCI archive: {source}", path.display())]
    Tar { path: PathBuf, source: InvalidTar },
    #[error("the layout `{}` has {found} that {wanted}", path.display())]
    NotFound {
        path: PathBuf,
        /// What was asked for, a clause.
        wanted: String,
        /// `no image`, or how many.
        found: String,
        /// The names that it has.
        names: Vec<String>,
    },
    #[error("the blob {digest} of the layout `{}` {reason}", path.display())]
    Blob {
        digest: Digest,
        path: PathBuf,
        /// A clause that follows.
        reason: String,
    },
    #[error("the manifest {digest} of the layout `{}` is not read: {source}", path.display())]
    Manifest { digest: Digest, path: PathBuf, source: InvalidManifest },
}

impl Diagnostic for LayoutError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Image(error) => error.kind(),
            Self::File(error) => match error.kind() {
                FailureKind::Usage => FailureKind::Usage,
                _ => FailureKind::Image,
            },
            Self::NotALayout { .. } => FailureKind::Image,
            Self::Unreadable { .. }
            | Self::Tar { .. }
            | Self::NotFound { .. }
            | Self::Blob { .. }
            | Self::Manifest { .. } => FailureKind::Builder,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Image(error) => error.hints(),
            Self::File(error) => error.hints(),
            Self::NotALayout { .. } => vec!["name a directory that does not exist yet, or is empty".into()],
            Self::NotFound { names, .. } if !names.is_empty() => {
                vec![format!("it has: {}", names.join(", "))]
            }
            _ => Vec::new(),
        }
    }
}
