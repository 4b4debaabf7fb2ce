//! Owns the error of a request without a response. Must not decide whether to retry, nor know what was requested.

use url::Url;

use super::{describe, is_tls, shown_url};

/// A server whose certificate is not trusted, or that does not speak TLS.
#[derive(Debug, thiserror::Error)]
#[error("no trusted connection to `{url}`: {reason}")]
pub struct UntrustedConnection {
    /// Without query.
    pub url: String,
    pub reason: String,
}

pub(crate) enum SendError {
    /// Nothing was sent. A retry does not help.
    Untrusted(UntrustedConnection),
    /// The request is not valid. A retry does not help.
    Unsendable(String),
    /// The connection failed or was closed. A retry may help.
    Cut(String),
}

impl SendError {
    pub(crate) fn new(url: &Url, error: reqwest::Error) -> Self {
        let error = error.without_url();
        let reason = describe(&error);
        if is_tls(&error) {
            Self::Untrusted(UntrustedConnection { url: shown_url(url), reason })
        } else if error.is_builder() {
            Self::Unsendable(reason)
        } else {
            Self::Cut(reason)
        }
    }
}

/// The end of a message about a request that was sent `attempts` times.
pub(crate) fn tries(attempts: u32) -> String {
    if attempts > 1 { format!(" (tried {attempts} times)") } else { String::new() }
}
