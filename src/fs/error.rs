//! Owns the error of this room: which operation on which path failed, and why.

use std::io;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, FailureKind};

/// An operation on the file system that failed, or that was refused.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system said no.
    #[error("cannot {action} `{}`: {source}", path.display())]
    System {
        /// What was tried, as an infinitive: `create`, `write to`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The file system is full (or the user's quota used up).
    #[error("no space left in `{}`{}", directory.display(), needed(*.bytes))]
    Full {
        /// The directory that was written to.
        directory: PathBuf,
        /// How many bytes had been written or were to be written, if that is known.
        bytes: Option<u64>,
    },
    /// b2i refuses to do it.
    #[error("`{}` {reason}", path.display())]
    Refused {
        /// What it is about.
        path: PathBuf,
        /// Why, a clause that follows the path.
        reason: String,
        /// The way out.
        hint: Option<String>,
    },
}

fn needed(bytes: Option<u64>) -> String {
    bytes.map(|bytes| format!(" after {bytes} bytes")).unwrap_or_default()
}

impl FileError {
    /// Describes `source`, met while doing `action` on `path`; a full file system becomes [`FileError::Full`].
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let directory = if path.is_dir() { Some(path) } else { path.parent() };
                Self::Full { directory: directory.unwrap_or(path).to_owned(), bytes: None }
            }
            _ => Self::System { action, path: path.to_owned(), source },
        }
    }

    /// Says after how many bytes the file system was full; other errors stay as they are.
    #[must_use]
    pub fn after(self, written: u64) -> Self {
        match self {
            Self::Full { directory, .. } => Self::Full { directory, bytes: Some(written) },
            other => other,
        }
    }
}

impl Diagnostic for FileError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Refused { .. } => FailureKind::Usage,
            Self::System { .. } | Self::Full { .. } => FailureKind::Unexpected,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Full { directory, .. } => {
                vec![format!(
                    "free some space in `{}`, or use a directory on another disk",
                    directory.display()
                )]
            }
            Self::Refused { hint, .. } => hint.iter().cloned().collect(),
            Self::System { source, .. } if source.kind() == io::ErrorKind::FileTooLarge => {
                vec!["raise the limit of this process's files (`ulimit -f`)".into()]
            }
            Self::System { .. } => Vec::new(),
        }
    }
}
