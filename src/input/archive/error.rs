//! Owns the error of finding the artifact in an archive. `shown` is the name of the archive.
//! Must not know where the archive comes from.

use std::io;

use crate::diagnostic::{Diagnostic, FailureKind};
use crate::fs::{FileError, UnpackError};

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("cannot read the archive `{shown}`: {reason}")]
    Unreadable { shown: String, reason: String },
    #[error("member `{}` of `{shown}` is encrypted", member.escape_debug())]
    Encrypted { shown: String, member: String },
    #[error("`{shown}` unpacks to more than the limit of {limit} bytes")]
    TooLarge { shown: String, limit: u64 },
    #[error("`{shown}` has more than {limit} members")]
    TooMany { shown: String, limit: u64 },
    #[error("archive `{shown}`: {source}")]
    Member {
        shown: String,
        #[source]
        source: UnpackError,
    },
    /// `candidates` are the first of them, with their sizes in bytes. `platforms` are theirs, if each is a program for
    /// another one.
    #[error("`{shown}` contains {total} files that could be the artifact:{}", list(.candidates, *.total))]
    Several { shown: String, candidates: Vec<(String, u64)>, total: u64, platforms: Vec<String> },
    #[error("`{shown}` contains no artifact: {reason}")]
    Nothing { shown: String, reason: String, hint: Option<String> },
    #[error("`{shown}` contains no file `{}`: {reason}", path.escape_debug())]
    NoSuchMember { shown: String, path: String, reason: String },
    #[error("`{shown}` is not an archive, so `{option}` does not apply")]
    NotAnArchive { shown: String, option: &'static str },
    #[error(transparent)]
    Write(#[from] FileError),
}

fn list(candidates: &[(String, u64)], total: u64) -> String {
    let mut lines: String =
        candidates.iter().map(|(path, size)| format!("\n  {} ({size} bytes)", path.escape_debug())).collect();
    let more = total.saturating_sub(candidates.len() as u64);
    if more > 0 {
        lines.push_str(&format!("\n  … and {more} more"));
    }
    lines
}

impl ArchiveError {
    pub(super) fn unreadable(shown: &str, reason: impl Into<String>) -> Self {
        Self::Unreadable { shown: shown.to_owned(), reason: reason.into() }
    }

    /// Makes the error of a decoder or of the file.
    pub(super) fn read(shown: &str, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::UnexpectedEof => format!("it is truncated ({error})"),
            _ => error.to_string(),
        };
        Self::unreadable(shown, reason)
    }

    pub(super) fn member(shown: &str, source: UnpackError) -> Self {
        match source {
            UnpackError::Write(error) => Self::Write(error),
            UnpackError::TooLarge { limit, .. } => Self::TooLarge { shown: shown.to_owned(), limit },
            UnpackError::TooMany { limit } => Self::TooMany { shown: shown.to_owned(), limit },
            source => Self::Member { shown: shown.to_owned(), source },
        }
    }
}

impl Diagnostic for ArchiveError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Several { .. } | Self::Nothing { .. } | Self::NoSuchMember { .. } => FailureKind::Artifact,
            Self::NotAnArchive { .. } => FailureKind::Usage,
            _ => FailureKind::Input,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Unreadable { .. } => "download it again and compare its digest with the publisher's",
            Self::Encrypted { .. } => "unpack it yourself and pass the artifact",
            Self::TooLarge { .. } => "raise the limit with `--max-size` if the size is right",
            Self::Member { source: UnpackError::Refused { .. }, .. } => {
                "unpack it in a safe place, check it, and pass the artifact itself"
            }
            Self::Several { platforms, .. } if platforms.len() > 1 => {
                return vec![
                    format!("choose one by its platform: `--platform {}`", platforms[0]),
                    format!("or build all of them for an index: `--platform {}`", platforms.join(",")),
                ];
            }
            Self::Several { .. } => "choose one with `--path`; `--keep-tree` adds the others",
            Self::NotAnArchive { .. } => "omit the option",
            Self::Nothing { hint, .. } => return hint.iter().cloned().collect(),
            Self::Write(error) => return error.hints(),
            Self::NoSuchMember { .. } => "pass the path of a file in the archive with `--path`",
            Self::TooMany { .. } | Self::Member { .. } => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}
