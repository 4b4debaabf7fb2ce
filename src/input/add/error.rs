//! Owns the error of adding files.

use std::io;
use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, FailureKind};

/// Why a file cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The text is no `SRC[:DEST]`.
    #[error("`--add {text}`: {reason}")]
    Usage {
        /// What was given.
        text: String,
        /// Why.
        reason: &'static str,
    },
    /// The destination is no path.
    #[error("`--add` cannot put anything at `{text}`: {reason}")]
    Destination {
        /// What was given.
        text: String,
        /// Why.
        reason: String,
    },
    /// It is missing or cannot be read.
    #[error("cannot add `{}`: {source}", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its name is not UTF-8, as names in images have to be.
    #[error("cannot add `{}`: its name or the target of its link is not UTF-8", path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// It is a socket, pipe or device.
    #[error("cannot add `{}`: it is neither a file nor a directory", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A symbolic link leads out of the directory that is added.
    #[error("cannot add the link `{}`: its target `{target}` is outside of what is added", path.display())]
    LinkOutside {
        /// The link.
        path: PathBuf,
        /// Its target.
        target: String,
    },
    /// The directory is too large or too deep.
    #[error("cannot add `{}`: it has more than {files} files or more than {depth} levels", path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
        /// The limit of files.
        files: usize,
        /// The limit of levels.
        depth: usize,
    },
    /// The place belongs to the artifact.
    #[error("nothing can be added at `{destination}`: the artifact itself is placed as `binary`")]
    Reserved {
        /// The place.
        destination: String,
    },
    /// Two files go to one place.
    #[error("two added files would both be placed at `{destination}`")]
    Twice {
        /// The place.
        destination: String,
    },
    /// A file goes below another file.
    #[error("`{destination}` cannot be added: `{file}` is a file, not a directory")]
    Below {
        /// The place.
        destination: String,
        /// The file in its way.
        file: String,
    },
}

impl Diagnostic for AddError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Read { .. } => FailureKind::Input,
            _ => FailureKind::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::LinkOutside { .. } => {
                "add what it points to, or make the link relative and within the directory"
            }
            Self::Destination { .. } => {
                "write an absolute path, or one below the artifact's directory: `--add SRC:DEST`"
            }
            Self::Reserved { .. } | Self::Twice { .. } | Self::Below { .. } => {
                "choose another place: `--add SRC:DEST`"
            }
            Self::NotUtf8 { .. } => "rename it",
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "paths are relative to the working directory; in `SRC:DEST` the last `:` counts"
            }
            _ => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}
