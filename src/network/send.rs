//! Owns what it means that a request could not be sent, or its answer did not begin.
//!
//! Must not decide whether to try again, nor know what was asked for.

use url::Url;

use super::{describe, is_tls, shown_url};

/// The server's certificate is not trusted, or there is no TLS there. The URL is shown without query.
#[derive(Debug, thiserror::Error)]
#[error("no trusted connection to `{url}`: {reason}")]
pub struct UntrustedConnection {
    /// The URL.
    pub url: String,
    /// Why.
    pub reason: String,
}

/// A request without an answer.
pub(crate) enum SendError {
    /// Nothing was sent to somebody who is not trusted. Trying again does not help.
    Untrusted(UntrustedConnection),
    /// It is no request that could be sent. Trying again does not help.
    Unsendable(String),
    /// The connection failed or was cut; that may pass.
    Cut(String),
}

impl SendError {
    /// What the client's error for a request to `url` means.
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

/// The end of a message about something that was tried so often.
pub(crate) fn tries(attempts: u32) -> String {
    if attempts > 1 { format!(" (tried {attempts} times)") } else { String::new() }
}
