//! Owns the error of this room.

use std::io;
use std::path::{Path, PathBuf};

use super::add::AddError;
use super::archive::ArchiveError;
use super::http::HttpError;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::fs::FileError;
use crate::image::Digest;

/// Why there is no artifact.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The text names no input.
    #[error("`{text}` is no input b2i understands: {reason}")]
    InvalidSource {
        /// The text, without credentials.
        text: String,
        /// Why.
        reason: String,
    },
    /// It could not be opened or read.
    #[error("cannot read `{shown}`: {source}")]
    Read {
        /// The path, or `standard input`.
        shown: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is a directory, socket, device …
    #[error("`{}` is {what}, not a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is, with its article.
        what: &'static str,
    },
    /// It is a source tree.
    #[error("`{shown}` is a source tree: `{build_file}` in its root says that {build_system} builds it")]
    SourceTree {
        /// The directory or archive.
        shown: String,
        /// The file that told.
        build_file: String,
        /// What builds it.
        build_system: &'static str,
        /// Whether it is an archive, in which an artifact could be looked for all the same.
        archive: bool,
    },
    /// `--as source`.
    #[error("`{shown}` is to be taken as sources, and what they become is known when they are built")]
    SourceBuild {
        /// The input.
        shown: String,
    },
    /// It was written to while it was read.
    #[error("`{}` changed while it was being read", path.display())]
    Changed {
        /// The path.
        path: PathBuf,
    },
    /// It is larger than allowed.
    #[error("`{shown}` is larger than the limit of {limit} bytes{}", stated(*.size))]
    TooLarge {
        /// The path, URL or `standard input`.
        shown: String,
        /// Its size in bytes, if it is known.
        size: Option<u64>,
        /// The limit in bytes.
        limit: u64,
    },
    /// Its bytes are not those that were asked for.
    #[error(
        "`{shown}` has another SHA-256 digest than expected:\n  expected {expected}\n  actual   {actual}"
    )]
    DigestMismatch {
        /// The path, URL or `standard input`.
        shown: String,
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// Downloading failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The artifact was not found in the archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A file to add is missing or cannot be added.
    #[error(transparent)]
    Add(#[from] AddError),
    /// A temporary file or the cache could not be written.
    #[error(transparent)]
    Write(#[from] FileError),
    /// The work was stopped before its end.
    #[error("fetching the input was stopped")]
    Stopped,
}

fn stated(size: Option<u64>) -> String {
    size.map(|size| format!(" (it has {size})")).unwrap_or_default()
}

impl InputError {
    /// Describes `source`, met while reading the file `path`.
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
            | Self::Write(_)
            | Self::Stopped => FailureKind::Input,
            Self::SourceTree { .. } | Self::SourceBuild { .. } => FailureKind::Artifact,
            Self::Http(error) => error.kind(),
            Self::Archive(error) => error.kind(),
            Self::Add(error) => error.kind(),
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::InvalidSource { .. } => "give a file, an http or https URL, or - for standard input",
            Self::Read { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => {
                    "check the path; build the artifact first if it is a build's result"
                }
                io::ErrorKind::PermissionDenied => "make it readable for the user that runs b2i",
                _ => return Vec::new(),
            },
            Self::NotAFile { what: "a directory", .. } => {
                "name the artifact in it; further files come along with `--add`"
            }
            Self::NotAFile { what: "a pipe", .. } => "read it as standard input: `b2i build - < PIPE`",
            Self::SourceTree { archive: true, .. } => {
                "`b2i build --as source` builds it; `--as artifact` looks for a finished artifact in it"
            }
            Self::SourceTree { .. } => {
                "`b2i build`, with nothing beside it, builds it; else name the file that its own tools made"
            }
            Self::SourceBuild { .. } => "`b2i build --as source` builds it",
            Self::Changed { .. } => "wait until whatever writes it has finished, then try again",
            Self::TooLarge { .. } => "raise the limit with `--max-size` if the size is right",
            Self::DigestMismatch { .. } => {
                "check the digest against the publisher's; the file may have been replaced or damaged"
            }
            Self::Http(error) => return error.hints(),
            Self::Archive(error) => return error.hints(),
            Self::Add(error) => return error.hints(),
            Self::Write(error) => return error.hints(),
            _ => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}
