//! Owns the error of adding files.
//! Must not know the artifact.

use std::io;
use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, FailureKind};

#[derive(Debug, thiserror::Error)]
pub enum AddError {
    #[error("`--add {text}`: {reason}")]
    Usage { text: String, reason: &'static str },
    #[error("`{text}` is not a valid destination of `--add`: {reason}")]
    Destination { text: String, reason: String },
    #[error("cannot add `{}`: {source}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Names in images are UTF-8.
    #[error("cannot add `{}`: its name or the target of its link is not UTF-8", path.display())]
    NotUtf8 { path: PathBuf },
    #[error("cannot add `{}`: it is neither a file nor a directory", path.display())]
    NotAFile { path: PathBuf },
    #[error("cannot add the link `{}`: its target `{target}` is outside of the added directory", path.display())]
    LinkOutside { path: PathBuf, target: String },
    #[error("cannot add `{}`: it has more than {files} files or more than {depth} levels", path.display())]
    TooMany { path: PathBuf, files: usize, depth: usize },
    #[error("nothing can be added at `{destination}`: the artifact itself is placed there")]
    Reserved { destination: String },
    #[error("two added files would both be placed at `{destination}`")]
    Twice { destination: String },
    #[error("cannot add `{destination}`: `{file}` is a file, not a directory")]
    Below { destination: String, file: String },
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
            Self::LinkOutside { .. } => "add its target, or make it a relative link inside the directory",
            Self::Destination { .. } => {
                "pass an absolute path, or one relative to the artifact's directory: `--add SRC:DEST`"
            }
            Self::Reserved { .. } | Self::Twice { .. } | Self::Below { .. } => {
                "choose another destination: `--add SRC:DEST`"
            }
            Self::NotUtf8 { .. } => "rename it",
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "paths are relative to the working directory; the last `:` separates `SRC:DEST`"
            }
            Self::Usage { .. } | Self::Read { .. } | Self::NotAFile { .. } | Self::TooMany { .. } => {
                return Vec::new();
            }
        };
        vec![hint.to_owned()]
    }
}
