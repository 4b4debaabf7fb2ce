//! Owns the error of finding the artifact in an archive.

use std::io;

use crate::diagnostic::{Diagnostic, FailureKind};
use crate::fs::{FileError, UnpackError};

/// Why an archive gave no artifact. `shown` names the archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is damaged, cut off, or uses something b2i cannot read.
    #[error("cannot read the archive `{shown}`: {reason}")]
    Unreadable {
        /// The archive.
        shown: String,
        /// Why, a clause.
        reason: String,
    },
    /// A member needs a password.
    #[error("member `{}` of `{shown}` is encrypted", member.escape_debug())]
    Encrypted {
        /// The archive.
        shown: String,
        /// The member.
        member: String,
    },
    /// It unpacks to more than allowed.
    #[error("`{shown}` unpacks to more than the limit of {limit} bytes")]
    TooLarge {
        /// The archive.
        shown: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// It has more members than allowed.
    #[error("`{shown}` has more than {limit} members")]
    TooMany {
        /// The archive.
        shown: String,
        /// The limit.
        limit: u64,
    },
    /// A member is refused or cannot be unpacked.
    #[error("archive `{shown}`: {source}")]
    Member {
        /// The archive.
        shown: String,
        /// Which and why.
        #[source]
        source: UnpackError,
    },
    /// It holds several files that could be the artifact.
    #[error("`{shown}` holds {total} files that could be the artifact:{}", list(.candidates, *.total))]
    Several {
        /// The archive.
        shown: String,
        /// The first of them, with their sizes in bytes.
        candidates: Vec<(String, u64)>,
        /// How many there are.
        total: u64,
    },
    /// It holds no artifact.
    #[error("`{shown}` holds no artifact: {reason}")]
    Nothing {
        /// The archive.
        shown: String,
        /// What it holds instead.
        reason: String,
        /// The way out, if there is one.
        hint: Option<String>,
    },
    /// `--path` names no file in it.
    #[error("`{shown}` holds no file `{}`: {reason}", path.escape_debug())]
    NoSuchMember {
        /// The archive.
        shown: String,
        /// What was asked for.
        path: String,
        /// What there is instead.
        reason: String,
    },
    /// An option for archives was given, and the input is none.
    #[error("`{shown}` is not an archive, so `{option}` does not apply")]
    NotAnArchive {
        /// The input.
        shown: String,
        /// The option.
        option: &'static str,
    },
    /// A temporary file could not be written.
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

    /// Describes what a decoder or the file gave.
    pub(super) fn read(shown: &str, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::UnexpectedEof => format!("it is cut off ({error})"),
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
            Self::Unreadable { .. } => "fetch it again and compare its digest with the publisher's",
            Self::Encrypted { .. } => "unpack it yourself and give b2i the artifact",
            Self::TooLarge { .. } => "raise the limit with `--max-size` if the size is right",
            Self::Member { source: UnpackError::Refused { .. }, .. } => {
                "unpack it in a safe place, look at it, and give b2i the artifact itself"
            }
            Self::Several { .. } => "choose one with `--path`; `--keep-tree` takes the rest along",
            Self::NotAnArchive { .. } => "leave the option out",
            Self::Nothing { hint, .. } => return hint.iter().cloned().collect(),
            Self::Write(error) => return error.hints(),
            Self::NoSuchMember { .. } => "give `--path` the name of a file as the archive lists it",
            Self::TooMany { .. } | Self::Member { .. } => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}
