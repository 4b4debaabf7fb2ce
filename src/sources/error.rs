//! Owns the error of this room.

use std::io;
use std::path::PathBuf;

use super::git::GitError;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::fs::FileError;
use crate::input::InputError;

/// Why there is no source tree.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The text names no sources.
    #[error("`{text}` names no sources: {reason}")]
    InvalidLocation {
        /// The text, without credentials.
        text: String,
        /// Why.
        reason: String,
        /// The way out, if there is one.
        hint: Option<String>,
    },
    /// It is a finished artifact.
    #[error("`{shown}` is a finished artifact ({what}), not sources")]
    IsArtifact {
        /// The file.
        shown: String,
        /// What it is.
        what: String,
    },
    /// It is neither sources nor an artifact.
    #[error("`{shown}` is no archive of sources: it is neither a tar, compressed or not, nor a zip")]
    NoArchive {
        /// What was given.
        shown: String,
    },
    /// Something could not be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A name is not UTF-8, as names in images have to be.
    #[error("cannot take `{}` along: its name or the target of its link is not UTF-8", path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// A path is longer than any system could unpack.
    #[error("cannot take `{}` along: its path in the sources is longer than {limit} bytes", path.display())]
    TooLong {
        /// The path.
        path: PathBuf,
        /// The limit in bytes.
        limit: usize,
    },
    /// There are more entries than can be held.
    #[error("the sources have more than {limit} files and directories")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// A symbolic link leads out of the sources.
    #[error("the link `{}` leads out of the sources, to `{target}`", path.display())]
    LinkOutside {
        /// The link.
        path: PathBuf,
        /// Its target.
        target: String,
        /// Whether it could be followed if somebody said so.
        may_follow: bool,
    },
    /// Following links goes round in circles.
    #[error("the link `{}` leads to a directory that it is in itself, `{target}`", path.display())]
    LinkLoop {
        /// The link.
        path: PathBuf,
        /// Its target.
        target: String,
    },
    /// The context directory is no path inside the sources.
    #[error("`{given}` cannot be the context directory: {reason}")]
    ContextDirectory {
        /// What was given.
        given: String,
        /// Why.
        reason: &'static str,
    },
    /// The context directory is not there.
    #[error("`{shown}` has no directory `{context}`: {reason}")]
    NoContextDirectory {
        /// The sources.
        shown: String,
        /// What was asked for.
        context: String,
        /// Why.
        reason: String,
    },
    /// The expression of `--exclude` is none.
    #[error("`--exclude {expression}` is no regular expression: {reason}")]
    Exclude {
        /// What was given.
        expression: String,
        /// Why.
        reason: String,
    },
    /// A line of an ignore file is no pattern.
    #[error("line {line} of `{path}`: {reason}")]
    IgnoreFile {
        /// The file.
        path: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the sources is larger than what it is read for allows.
    #[error("`{path}` of the sources is larger than {limit} bytes")]
    TooLarge {
        /// The path in the tree.
        path: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// Fetching a repository failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Fetching or unpacking an archive failed.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A temporary directory could not be made.
    #[error(transparent)]
    Write(#[from] FileError),
    /// The work was stopped before its end.
    #[error("fetching the sources was stopped")]
    Stopped,
}

impl SourceError {
    /// A text that names no sources.
    pub(super) fn location(text: &str, reason: impl Into<String>, hint: Option<&str>) -> Self {
        Self::InvalidLocation { text: text.to_owned(), reason: reason.into(), hint: hint.map(str::to_owned) }
    }
}

impl Diagnostic for SourceError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::InvalidLocation { .. }
            | Self::ContextDirectory { .. }
            | Self::Exclude { .. }
            | Self::IgnoreFile { .. } => FailureKind::Usage,
            Self::IsArtifact { .. } | Self::NoArchive { .. } => FailureKind::Artifact,
            Self::Input(error) => error.kind(),
            Self::Git(error) => error.kind(),
            Self::Read { .. }
            | Self::NotUtf8 { .. }
            | Self::TooLong { .. }
            | Self::TooMany { .. }
            | Self::LinkOutside { .. }
            | Self::LinkLoop { .. }
            | Self::NoContextDirectory { .. }
            | Self::TooLarge { .. }
            | Self::Write(_)
            | Self::Stopped => FailureKind::Input,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::InvalidLocation { hint, .. } => return hint.iter().cloned().collect(),
            Self::IsArtifact { shown, .. } => {
                return vec![format!(
                    "package it with `b2i build {shown}`, without options of source builds"
                )];
            }
            Self::NoArchive { .. } => "give a directory, a git URL, or an archive of the sources",
            Self::Read { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => "check the path",
                io::ErrorKind::PermissionDenied => {
                    "make it readable for the user that runs b2i, or leave it out with a line in `.s2iignore`"
                }
                _ => return Vec::new(),
            },
            Self::NotUtf8 { .. } => "rename it, or leave the directory that it is in out with `.s2iignore`",
            Self::TooLong { .. } | Self::TooMany { .. } => {
                "leave directories out that are no sources, with lines in `.s2iignore` or with `--exclude`"
            }
            Self::LinkOutside { may_follow: true, .. } => {
                "copy what it leads to with `--follow-links`, or leave it out with a line in `.s2iignore`"
            }
            Self::LinkOutside { may_follow: false, .. } => "leave it out with `--exclude`",
            Self::LinkLoop { .. } => "leave it out with a line in `.s2iignore`",
            Self::ContextDirectory { .. } => {
                "name a directory of the sources by its path from their root: `--context-dir services/web`"
            }
            Self::NoContextDirectory { .. } => "`--context-dir` counts from the root of the sources",
            Self::Exclude { .. } => {
                "it is matched against paths from the root of the sources, such as `web/node_modules`"
            }
            Self::IgnoreFile { .. } => "correct the line, or begin it with `#`",
            Self::Input(error) => return error.hints(),
            Self::Git(error) => return error.hints(),
            Self::Write(error) => return error.hints(),
            Self::TooLarge { .. } | Self::Stopped => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}
