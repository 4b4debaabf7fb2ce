//! Owns the error of this module. `shown` is a path, a URL without credentials, or `standard input`.
//! Must not know what an artifact is.

use std::io;
use std::path::{Path, PathBuf};

use super::add::AddError;
use super::archive::ArchiveError;
use super::http::HttpError;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::fs::FileError;
use crate::image::Digest;

#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// `text` has no credentials.
    #[error("`{text}` is not a valid input: {reason}")]
    InvalidSource { text: String, reason: String },
    #[error("cannot read `{shown}`: {source}")]
    Read {
        shown: String,
        #[source]
        source: io::Error,
    },
    /// `what` has its article: `a directory`, `a pipe`.
    #[error("`{}` is {what}, not a file", path.display())]
    NotAFile { path: PathBuf, what: &'static str },
    /// `archive` is true for an archive. Besides the sources, an archive may contain an artifact.
    #[error("`{shown}` is a source tree: its root contains `{build_file}`, the build file of {build_system}")]
    SourceTree { shown: String, build_file: String, build_system: &'static str, archive: bool },
    #[error("`{shown}` is treated as sources, so its artifact is unknown before it is built")]
    SourceBuild { shown: String },
    #[error("`{}` changed while it was being read", path.display())]
    Changed { path: PathBuf },
    #[error("`{shown}` is larger than the limit of {limit} bytes{}", stated(*.size))]
    TooLarge { shown: String, size: Option<u64>, limit: u64 },
    #[error(
        "the SHA-256 digest of `{shown}` is not the expected one:\n  expected {expected}\n  actual   {actual}"
    )]
    DigestMismatch { shown: String, expected: Digest, actual: Digest },
    #[error("the checksum file `{shown}` {reason}")]
    Checksum { shown: String, reason: String },
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Add(#[from] AddError),
    #[error(transparent)]
    Write(#[from] FileError),
}

fn stated(size: Option<u64>) -> String {
    size.map(|size| format!(" (it has {size})")).unwrap_or_default()
}

impl InputError {
    /// Makes the error of reading the file `path`.
    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { shown: path.display().to_string(), source }
    }
}

impl Diagnostic for InputError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::InvalidSource { .. } => FailureKind::Usage,
            Self::Read { .. }
            | Self::NotAFile { .. }
            | Self::Changed { .. }
            | Self::TooLarge { .. }
            | Self::DigestMismatch { .. }
            | Self::Checksum { .. }
            | Self::Write(_) => FailureKind::Input,
            Self::SourceTree { .. } | Self::SourceBuild { .. } => FailureKind::Artifact,
            Self::Http(error) => error.kind(),
            Self::Archive(error) => error.kind(),
            Self::Add(error) => error.kind(),
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::InvalidSource { .. } => "pass a file, an http or https URL, or - for standard input",
            Self::Read { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => {
                    "check the path; if a build makes the artifact, run the build first"
                }
                io::ErrorKind::PermissionDenied => "make it readable for the user who runs b2i",
                _ => return Vec::new(),
            },
            Self::NotAFile { what: "a directory", .. } => {
                "pass the artifact in it; add other files with `--add`"
            }
            Self::NotAFile { what: "a pipe", .. } => "read it as standard input: `b2i build - < PIPE`",
            Self::SourceTree { archive: true, .. } => {
                "pass `--as source` to build it, or `--as artifact` to find a finished artifact in it"
            }
            Self::SourceTree { .. } => {
                "`b2i build` builds it if it is the only input; else pass the file that its own tools made"
            }
            Self::SourceBuild { .. } => "build it with `b2i build --as source`",
            Self::Changed { .. } => "wait until the program that writes it has finished, then try again",
            Self::TooLarge { .. } => "raise the limit with `--max-size` if the size is right",
            Self::DigestMismatch { .. } => {
                "compare the digest with the publisher's; the file may have been replaced or damaged"
            }
            Self::Checksum { .. } => {
                "pass the checksum file of this release, or the digest itself: `--sha256 DIGEST`"
            }
            Self::Http(error) => return error.hints(),
            Self::Archive(error) => return error.hints(),
            Self::Add(error) => return error.hints(),
            Self::Write(error) => return error.hints(),
            Self::NotAFile { .. } => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}
