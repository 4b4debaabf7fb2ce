//! Owns the error of file operations: the operation, the path and the cause. Must not know what the file is for.

use std::io;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, FailureKind};

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot {action} `{}`: {source}", path.display())]
    System {
        /// An infinitive: `create`, `write to`.
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no space left in `{}`{}", directory.display(), needed(*.bytes))]
    Full {
        directory: PathBuf,
        /// The bytes written before, if known.
        bytes: Option<u64>,
    },
    #[error("`{}` {reason}", path.display())]
    Refused {
        path: PathBuf,
        /// A clause that follows the path.
        reason: String,
        hint: Option<String>,
    },
}

fn needed(bytes: Option<u64>) -> String {
    bytes.map(|bytes| format!(" after {bytes} bytes")).unwrap_or_default()
}

impl FileError {
    /// Makes the error of `action` on `path`. A full file system becomes [`FileError::Full`].
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let directory = if path.is_dir() { Some(path) } else { path.parent() };
                Self::Full { directory: directory.unwrap_or(path).to_owned(), bytes: None }
            }
            _ => Self::System { action, path: path.to_owned(), source },
        }
    }

    /// The error again, for a later step that fails for the same reason.
    pub(crate) fn repeated(&self) -> Self {
        match self {
            Self::System { action, path, source } => {
                let source = io::Error::new(source.kind(), source.to_string());
                Self::System { action, path: path.clone(), source }
            }
            Self::Full { directory, bytes } => Self::Full { directory: directory.clone(), bytes: *bytes },
            Self::Refused { path, reason, hint } => {
                Self::Refused { path: path.clone(), reason: reason.clone(), hint: hint.clone() }
            }
        }
    }

    pub(super) fn refused(path: &Path, reason: impl Into<String>, hint: Option<&str>) -> Self {
        Self::Refused { path: path.to_owned(), reason: reason.into(), hint: hint.map(str::to_owned) }
    }

    /// Adds the number of bytes written before the file system was full. Other errors stay the same.
    #[must_use]
    pub fn after(self, written: u64) -> Self {
        match self {
            Self::Full { directory, .. } => Self::Full { directory, bytes: Some(written) },
            other => other,
        }
    }
}

fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

impl Diagnostic for FileError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Refused { .. } => FailureKind::Usage,
            Self::Full { .. } => FailureKind::Image,
            // The wrong place was chosen.
            Self::System { source, .. } if is_forbidden(source) => FailureKind::Usage,
            Self::System { .. } => FailureKind::Unexpected,
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
                vec!["raise the limit on the size of files (`ulimit -f`)".into()]
            }
            Self::System { source, .. } if is_forbidden(source) => {
                vec!["choose a directory that you can write to".into()]
            }
            Self::System { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_cannot_be_written_is_no_defect() {
        for (kind, class) in [
            (io::ErrorKind::ReadOnlyFilesystem, FailureKind::Usage),
            (io::ErrorKind::PermissionDenied, FailureKind::Usage),
            (io::ErrorKind::StorageFull, FailureKind::Image),
            (io::ErrorKind::NotFound, FailureKind::Unexpected),
        ] {
            let error = FileError::new("create", Path::new("/there"), kind.into());
            assert_eq!(error.kind(), class, "{error}");
            assert_eq!(error.hints().is_empty(), class == FailureKind::Unexpected, "{error}");
        }
    }
}
