//! Owns the errors of requests to a registry. Must not know what a request is for.

use http::{Method, StatusCode};

use crate::diagnostic::Diagnostic;
use crate::network::{ClientError, ForbiddenAddress, RefusedRedirect, UntrustedConnection, tries};
use crate::store::credentials::CredentialsError;

/// The kind of credentials that a request had, never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Identity {
    #[error("no credentials were sent")]
    Anonymous,
    #[error("with the credentials from `{0}`")]
    File(String),
    /// Credentials of `b2i login` that are not stored yet.
    #[error("with the new credentials")]
    New,
}

/// A request that failed. URLs have no query.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("cannot set up the connection: {0}")]
    Client(#[from] ClientError),
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("the registry answered {status} to {method} `{url}` ({identity}){}{}", message(.said), tries(*.attempts))]
    Status {
        method: Method,
        url: String,
        status: StatusCode,
        /// The registry's own code and message.
        said: Option<String>,
        identity: Identity,
        attempts: u32,
    },
    #[error("the registry `{registry}` denied access ({identity}){}", message(.said))]
    Unauthorized { registry: String, said: Option<String>, identity: Identity },
    #[error("the token service `{realm}` of the registry `{registry}` {reason} ({identity})")]
    Token {
        registry: String,
        realm: String,
        reason: String,
        /// Whether the service denied access. If not, it is out of order.
        refused: bool,
        identity: Identity,
    },
    #[error("the registry `{registry}` requires an authentication that b2i does not support: {reason}")]
    Challenge { registry: String, reason: String },
    #[error("cannot reach `{url}`: {reason}{}", tries(*.attempts))]
    Transfer { url: String, reason: String, attempts: u32 },
    #[error(transparent)]
    Untrusted(#[from] UntrustedConnection),
    #[error(transparent)]
    Forbidden(#[from] ForbiddenAddress),
    #[error(transparent)]
    Redirect(#[from] RefusedRedirect),
    #[error("the answer of `{url}` is not valid: {reason}")]
    Answer { url: String, reason: String },
}

fn message(said: &Option<String>) -> String {
    said.as_ref().map(|text| format!(": {text}")).unwrap_or_default()
}

impl RequestError {
    pub(in crate::store::registry) fn is_missing(&self) -> bool {
        matches!(self, Self::Status { status: StatusCode::NOT_FOUND, .. })
    }

    /// Whether the registry rejected a manifest because of its blobs.
    pub(in crate::store::registry) fn denies_blobs(&self) -> bool {
        // "Error Codes" of the specification, and the codes of distribution.
        const CODES: [&str; 4] =
            ["MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "DIGEST_INVALID", "MANIFEST_UNVERIFIED"];
        match self {
            Self::Status { status, said: Some(said), .. } => {
                matches!(status.as_u16(), 400 | 404) && CODES.iter().any(|code| said.contains(code))
            }
            _ => false,
        }
    }

    /// Whether the registry denied access.
    pub(in crate::store::registry) fn is_refusal(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status.as_u16(), 401 | 403),
            Self::Unauthorized { .. } => true,
            Self::Token { refused, .. } => *refused,
            _ => false,
        }
    }

    /// Whether a setting is wrong, not the registry.
    pub(in crate::store::registry) fn is_setup(&self) -> bool {
        matches!(self, Self::Client(_) | Self::Credentials(_))
    }

    pub(in crate::store::registry) fn hints(&self, registry: &str) -> Vec<String> {
        let login = |identity: &Identity| match identity {
            Identity::Anonymous => {
                format!(
                    "log in with `b2i login {registry}`, or set REGISTRY_AUTH_FILE to a file with credentials"
                )
            }
            Identity::File(file) => format!(
                "check that the credentials in `{file}` are valid and have the permission; `b2i login {registry}` \
                 replaces them"
            ),
            Identity::New => {
                "check the user name and the password; some registries require a token as the password".into()
            }
        };
        match self {
            Self::Status { method, url, status, identity, .. } => match status.as_u16() {
                401 | 403 => vec![login(identity)],
                // The location of an upload may be any URL.
                200..=299 | 400 | 404..=411 | 414..=416 | 422 | 500 | 501
                    if matches!(*method, Method::PATCH | Method::PUT) && !url.contains("/manifests/") =>
                {
                    vec!["if the registry only accepts uploads in pieces, pass `--chunk-size 10MiB`".into()]
                }
                404 => vec![
                    "check the spelling of the name; in some registries the repository must exist first"
                        .into(),
                    login(identity),
                ],
                413 => vec!["upload in pieces: `--chunk-size 10MiB`".into()],
                429 => vec!["the registry limits the number of requests: log in, or try again later".into()],
                500.. => vec!["the registry has a problem; try again later".into()],
                _ => Vec::new(),
            },
            Self::Unauthorized { identity, .. } => vec![login(identity)],
            Self::Token { identity, refused, .. } => {
                if *refused {
                    vec![login(identity)]
                } else {
                    vec!["try again later".into()]
                }
            }
            Self::Transfer { .. } => {
                vec![
                    "check the registry's name, the network and the proxy settings (`b2i config show`)"
                        .into(),
                ]
            }
            Self::Untrusted(UntrustedConnection { is_plain: true, .. }) => {
                vec![format!(
                    "set `insecure = true` under `[registries.\"{registry}\"]` in your configuration"
                )]
            }
            Self::Untrusted(_) => vec![
                format!(
                    "for a certificate of your own authority, pass its file with `--ca-file`, or add it to `ca-files` of \
                     `[registries.\"{registry}\"]` in your configuration"
                ),
                format!(
                    "without a valid certificate, set `insecure = true` under `[registries.\"{registry}\"]`"
                ),
            ],
            Self::Credentials(error) => error.hints(),
            Self::Client(_)
            | Self::Challenge { .. }
            | Self::Forbidden(_)
            | Self::Redirect(_)
            | Self::Answer { .. } => Vec::new(),
        }
    }
}
