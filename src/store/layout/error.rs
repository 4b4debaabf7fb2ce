//! Owns the errors of layouts. Must not decide what happens after one.

use std::io;
use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, FailureKind};
use crate::fs::FileError;
use crate::image::Digest;
use crate::image::manifest::InvalidManifest;
use crate::store::archive::{ArchiveError, InvalidTar};

#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    #[error(transparent)]
    Image(#[from] ArchiveError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot add an image to `{}`: {reason}", path.display())]
    NotALayout { path: PathBuf, reason: String },
    #[error("cannot read `{}` as an OCI layout: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String, source: Option<io::Error> },
    #[error("cannot read `{}` as an OCI archive: {source}", path.display())]
    Tar { path: PathBuf, source: InvalidTar },
    #[error("the layout `{}` has {found} that {criterion}", path.display())]
    NotFound {
        path: PathBuf,
        /// A clause.
        criterion: String,
        /// `no image`, or how many.
        found: String,
        /// The names in the layout.
        names: Vec<String>,
    },
    #[error("the blob {digest} of the layout `{}` {reason}", path.display())]
    Blob { digest: Digest, path: PathBuf, reason: String },
    #[error("cannot read the manifest {digest} of the layout `{}`: {source}", path.display())]
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
            Self::NotALayout { .. } => vec!["name an empty directory, or one that does not exist yet".into()],
            Self::NotFound { names, .. } if !names.is_empty() => {
                vec![format!("it has: {}", names.join(", "))]
            }
            Self::NotFound { .. }
            | Self::Unreadable { .. }
            | Self::Tar { .. }
            | Self::Blob { .. }
            | Self::Manifest { .. } => Vec::new(),
        }
    }
}
