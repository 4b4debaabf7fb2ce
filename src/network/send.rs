//! Owns the error of a request without a response. Must not decide whether to retry, nor know what was requested.

use std::error::Error;

use rustls::InvalidMessage;
use url::Url;

use super::{ForbiddenAddress, describe, shown_url, tls_error};

/// A server whose certificate is not trusted, or that does not speak TLS.
#[derive(Debug, thiserror::Error)]
#[error("no trusted connection to `{url}`: {reason}")]
pub struct UntrustedConnection {
    /// Without query.
    pub url: String,
    pub reason: String,
    /// Whether the server speaks plain HTTP.
    pub is_plain: bool,
}

pub(crate) enum SendError {
    /// Nothing was sent. A retry does not help.
    Untrusted(UntrustedConnection),
    /// The request is not valid. A retry does not help.
    Unsendable(String),
    /// Nothing was sent. A retry does not help.
    Forbidden(ForbiddenAddress),
    /// The name of the host does not exist. A retry does not help.
    UnknownHost(String),
    /// The connection failed or was closed. A retry may help.
    Cut(String),
}

impl SendError {
    pub(crate) fn new(url: &Url, error: reqwest::Error) -> Self {
        let error = error.without_url();
        let reason = describe(&error);
        if let Some(forbidden) = forbidden(&error) {
            return Self::Forbidden(forbidden.clone());
        }
        if let Some(tls) = tls_error(&error) {
            let is_plain = matches!(tls, rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType));
            let reason = if is_plain { "the server speaks plain HTTP".to_owned() } else { reason };
            Self::Untrusted(UntrustedConnection { url: shown_url(url), reason, is_plain })
        } else if is_unknown_host(&reason) {
            Self::UnknownHost(format!("no host has the name `{}`", url.host_str().unwrap_or_default()))
        } else if error.is_builder() {
            Self::Unsendable(reason)
        } else {
            Self::Cut(reason)
        }
    }
}

/// The error of the resolver of public addresses, if that failed.
fn forbidden(error: &reqwest::Error) -> Option<&ForbiddenAddress> {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(forbidden) = error.downcast_ref() {
            return Some(forbidden);
        }
        source = error.source();
    }
    None
}

/// Whether the name service answered that there is no such name. Other failures of it may pass.
fn is_unknown_host(reason: &str) -> bool {
    // The texts of glibc, musl, macOS and Windows for `EAI_NONAME` and `EAI_NODATA`.
    const ANSWERS: [&str; 6] = [
        "Name or service not known",
        "No address associated with hostname",
        "Name does not resolve",
        "Name has no usable address",
        "nodename nor servname provided, or not known",
        "No such host is known",
    ];
    reason.contains("dns error") && ANSWERS.iter().any(|answer| reason.contains(answer))
}

/// The end of a message about a request that was sent `attempts` times.
pub(crate) fn tries(attempts: u32) -> String {
    if attempts > 1 { format!(" (tried {attempts} times)") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_name_is_final() {
        let of = |cause: &str| format!("error sending request: client error (Connect): dns error: {cause}");
        let text = "failed to lookup address information: ";
        assert!(is_unknown_host(&of(&format!("{text}Name or service not known"))));
        assert!(is_unknown_host(&of(&format!("{text}Name does not resolve"))));
        assert!(!is_unknown_host(&of(&format!("{text}Temporary failure in name resolution"))));
        assert!(!is_unknown_host("the server answered: Name or service not known"));
    }
}
