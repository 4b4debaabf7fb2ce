//! Owns the error of this module. Must not know who fetches sources.

use std::io;
use std::path::PathBuf;

use super::git::GitError;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::fs::FileError;
use crate::input::InputError;

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// `text` has no credentials in it.
    #[error("`{text}` is not a valid source location: {reason}")]
    InvalidLocation { text: String, reason: String, hint: Option<String> },
    #[error("`{shown}` is a finished artifact ({what}), not sources")]
    IsArtifact { shown: String, what: String },
    #[error("`{shown}` is not an archive of sources: it is neither a tar (plain or compressed) nor a zip")]
    NoArchive { shown: String },
    #[error("cannot read `{}`: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot use `{}`: its name or the target of its link is not UTF-8", path.display())]
    NotUtf8 { path: PathBuf },
    #[error("cannot use `{}`: its path in the sources is longer than {limit} bytes", path.display())]
    TooLong { path: PathBuf, limit: usize },
    #[error("the sources have more than {limit} files and directories")]
    TooMany { limit: usize },
    #[error("the link `{}` leads out of the sources, to `{target}`", path.display())]
    LinkOutside {
        path: PathBuf,
        target: String,
        /// Whether `--follow-links` would follow it.
        may_follow: bool,
    },
    #[error("the link `{}` leads to a directory that contains it, `{target}`", path.display())]
    LinkLoop { path: PathBuf, target: String },
    #[error("`{directory}` is not a valid context directory: {reason}")]
    ContextDirectory { directory: String, reason: &'static str },
    #[error("`{shown}` has no directory `{context}`: {reason}")]
    NoContextDirectory { shown: String, context: String, reason: String },
    #[error("`--exclude {expression}` is not a valid regular expression: {reason}")]
    Exclude { expression: String, reason: String },
    /// `line` is counted from 1.
    #[error("line {line} of `{path}`: {reason}")]
    IgnoreFile { path: String, line: usize, reason: String },
    #[error("`{path}` of the sources is larger than {limit} bytes")]
    TooLarge { path: String, limit: u64 },
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Write(#[from] FileError),
    #[error("fetching the sources was stopped")]
    Stopped,
}

impl SourceError {
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
            _ => FailureKind::Input,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::InvalidLocation { hint, .. } => return hint.iter().cloned().collect(),
            Self::IsArtifact { shown, .. } => {
                return vec![format!(
                    "package it with `b2i build {shown}`, without options for source builds"
                )];
            }
            Self::NoArchive { .. } => "pass a directory, a git URL, or an archive of the sources",
            Self::Read { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => "check the path",
                io::ErrorKind::PermissionDenied => {
                    "make it readable for the user that runs b2i, or exclude it with a line in `.s2iignore`"
                }
                _ => return Vec::new(),
            },
            Self::NotUtf8 { .. } => "rename it, or exclude its directory with a line in `.s2iignore`",
            Self::TooLong { .. } | Self::TooMany { .. } => {
                "exclude directories that are not sources, with lines in `.s2iignore` or with `--exclude`"
            }
            Self::LinkOutside { may_follow: true, .. } => {
                "copy its target with `--follow-links`, or exclude it with a line in `.s2iignore`"
            }
            Self::LinkOutside { may_follow: false, .. } => "exclude it with `--exclude`",
            Self::LinkLoop { .. } => "exclude it with a line in `.s2iignore`",
            Self::ContextDirectory { .. } => {
                "pass a path relative to the root of the sources, such as `--context-dir services/web`"
            }
            Self::NoContextDirectory { .. } => "`--context-dir` is relative to the root of the sources",
            Self::Exclude { .. } => {
                "it is matched against paths relative to the root of the sources, such as `web/node_modules`"
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
