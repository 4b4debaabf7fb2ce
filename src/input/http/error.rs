//! Owns the error of downloading.

use crate::diagnostic::{Diagnostic, FailureKind};
use crate::network::{ClientError, RefusedRedirect, UntrustedConnection, tries};

/// Why a download failed. URLs are shown without user name, password and query.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// `--offline`, and the cache has nothing.
    #[error("`{url}` is not in the cache, and `--offline` forbids fetching it")]
    Offline {
        /// The URL.
        url: String,
    },
    /// A setting cannot be used.
    #[error("cannot set up downloading: {0}")]
    Setup(#[from] ClientError),
    /// A secret cannot be sent.
    #[error("cannot set up downloading: the token or password has characters that no header can hold")]
    Unsendable,
    /// The server said no.
    #[error("`{url}` was not delivered: the server answered {status}{}", tries(*.attempts))]
    Status {
        /// The URL that answered.
        url: String,
        /// The status with its usual words.
        status: http::StatusCode,
        /// How often it was tried.
        attempts: u32,
        /// Whether credentials were sent.
        authenticated: bool,
    },
    /// The connection failed or was cut.
    #[error("cannot download `{url}`: {reason}{}{}", progress(*.received, *.total), tries(*.attempts))]
    Transfer {
        /// The URL.
        url: String,
        /// What happened last.
        reason: String,
        /// How many bytes had arrived.
        received: u64,
        /// How many there are, if the server said so.
        total: Option<u64>,
        /// How often it was tried.
        attempts: u32,
    },
    /// The server is not trusted.
    #[error(transparent)]
    Untrusted(#[from] UntrustedConnection),
    /// A redirect is not followed.
    #[error(transparent)]
    Redirect(#[from] RefusedRedirect),
    /// The answer is not the bytes that were asked for.
    #[error("the answer of `{url}` cannot be used: {reason}")]
    Answer {
        /// The URL.
        url: String,
        /// Why.
        reason: String,
        /// The way out, if there is one.
        hint: Option<&'static str>,
    },
}

fn progress(received: u64, total: Option<u64>) -> String {
    match (received, total) {
        (0, _) => String::new(),
        (received, Some(total)) => format!(" after {received} of {total} bytes"),
        (received, None) => format!(" after {received} bytes"),
    }
}

impl Diagnostic for HttpError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Setup(_) | Self::Unsendable => FailureKind::Usage,
            _ => FailureKind::Input,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Offline { .. } => "run once without `--offline`, or give a file",
            Self::Status { status, authenticated, .. } => match (status.as_u16(), authenticated) {
                (401 | 403, true) => "the credentials were not accepted: check them and their rights",
                (401 | 403, false) => {
                    "it needs credentials: a netrc file, `--bearer-env NAME`, `--header-env NAME=VAR` or `--header-file`"
                }
                (404 | 410, true) => "check the URL; there is nothing at it, or not for these credentials",
                (404 | 410, false) => "check the URL; private files also look as if they were not there",
                (429, _) => "the server limits how often one may ask; try again later",
                (500.., _) => "the server has a problem; try again later",
                _ => return Vec::new(),
            },
            Self::Transfer { .. } => "check the network and the proxy settings, then try again",
            Self::Untrusted(_) => {
                "if your company has its own certificate authority, name its file with `--ca-file`"
            }
            Self::Redirect(_) => "give the URL it leads to, if you trust it",
            Self::Answer { hint: Some(hint), .. } => hint,
            Self::Setup(_) | Self::Unsendable | Self::Answer { hint: None, .. } => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}
