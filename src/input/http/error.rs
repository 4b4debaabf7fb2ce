//! Owns the error of downloading. URLs are shown without user name, password and query.
//! Must not show a secret.

use crate::diagnostic::{Diagnostic, FailureKind};
use crate::network::{ClientError, ForbiddenAddress, RefusedRedirect, UntrustedConnection, tries};

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("`{url}` is not in the cache, and `--offline` forbids downloading it")]
    Offline { url: String },
    #[error("cannot set up the download: {0}")]
    Setup(#[from] ClientError),
    #[error(
        "cannot set up the download: the token or password contains characters that a header must not have"
    )]
    Unsendable,
    /// `authenticated`: whether credentials were sent.
    #[error("cannot download `{url}`: the server answered {status}{}", tries(*.attempts))]
    Status { url: String, status: http::StatusCode, attempts: u32, authenticated: bool },
    /// The connection failed or was closed. `reason` is that of the last attempt.
    #[error("cannot download `{url}`: {reason}{}{}", progress(*.received, *.total), tries(*.attempts))]
    Transfer { url: String, reason: String, received: u64, total: Option<u64>, attempts: u32 },
    #[error(transparent)]
    Untrusted(#[from] UntrustedConnection),
    #[error(transparent)]
    Forbidden(#[from] ForbiddenAddress),
    #[error(transparent)]
    Redirect(#[from] RefusedRedirect),
    /// A response that does not match the request.
    #[error("the response from `{url}` is not valid: {reason}")]
    Answer { url: String, reason: String, hint: Option<&'static str> },
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
            Self::Offline { .. } => "run once without `--offline`, or pass a file",
            Self::Status { status, authenticated, .. } => match (status.as_u16(), authenticated) {
                (401 | 403, true) => "the server rejected the credentials: check them and their permissions",
                (401 | 403, false) => {
                    "pass credentials: a netrc file, `--bearer-env NAME`, `--header-env NAME=VAR` or `--header-file`"
                }
                (404 | 410, true) => "check the URL; the file is missing, or these credentials cannot see it",
                (404 | 410, false) => "check the URL; a private file also looks missing without credentials",
                (429, _) => "the server limits the number of requests; try again later",
                (500.., _) => "the server has a problem; try again later",
                _ => return Vec::new(),
            },
            Self::Transfer { .. } => "check the network and the proxy settings, then try again",
            Self::Untrusted(UntrustedConnection { is_plain: true, .. }) => "write the URL with `http://`",
            Self::Untrusted(_) => {
                "if your company has its own certificate authority, pass its file with `--ca-file`"
            }
            Self::Redirect(_) => "if you trust the target of the redirect, pass its URL",
            Self::Answer { hint: Some(hint), .. } => hint,
            Self::Setup(_) | Self::Unsendable | Self::Forbidden(_) | Self::Answer { hint: None, .. } => {
                return Vec::new();
            }
        };
        vec![hint.to_owned()]
    }
}
