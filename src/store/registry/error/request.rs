//! Owns the errors of requests to a registry: what one met, whatever it was for.

use http::{Method, StatusCode};

use crate::diagnostic::Diagnostic;
use crate::network::{ClientError, RefusedRedirect, UntrustedConnection, tries};
use crate::store::credentials::CredentialsError;

/// Whether a registry knew who asked; never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Nobody: there are no credentials for it.
    Anonymous,
    /// Whoever has the credentials in this file.
    From(String),
    /// Whoever has the credentials that are to be checked.
    Given,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Anonymous => formatter.write_str("without credentials"),
            Self::From(file) => write!(formatter, "with the credentials from `{file}`"),
            Self::Given => formatter.write_str("with the credentials that were given"),
        }
    }
}

/// A request that did not end as it should. URLs are shown without query.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("cannot set up the connection: {0}")]
    Client(#[from] ClientError),
    /// The credentials cannot be found out.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("the registry answered {status} to {method} `{url}`, asked {identity}{}{}", message(.said), tries(*.attempts))]
    Status {
        method: Method,
        url: String,
        status: StatusCode,
        /// The registry's own code and message.
        said: Option<String>,
        /// Whether it knew who asked.
        identity: Identity,
        /// How often it was tried.
        attempts: u32,
    },
    #[error("the registry `{registry}` does not let b2i in, asked {identity}{}", message(.said))]
    Unauthorized {
        registry: String,
        /// The registry's own code and message.
        said: Option<String>,
        /// Whether it knew who asked.
        identity: Identity,
    },
    #[error("`{realm}`, which gives out tokens for the registry `{registry}`, {reason}, asked {identity}")]
    Token {
        registry: String,
        /// The token service.
        realm: String,
        /// What happened.
        reason: String,
        /// Whether it said no, in contrast to not working.
        refused: bool,
        /// Whether it knew who asked.
        identity: Identity,
    },
    #[error("the registry `{registry}` asks for credentials in a way that b2i does not follow: {reason}")]
    Challenge { registry: String, reason: String },
    #[error("cannot reach `{url}`: {reason}{}", tries(*.attempts))]
    Transfer {
        url: String,
        /// What happened last.
        reason: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The server is not trusted.
    #[error(transparent)]
    Untrusted(#[from] UntrustedConnection),
    /// A redirect is not followed.
    #[error(transparent)]
    Redirect(#[from] RefusedRedirect),
    #[error("the answer of `{url}` cannot be used: {reason}")]
    Answer { url: String, reason: String },
}

fn message(said: &Option<String>) -> String {
    said.as_ref().map(|text| format!(": {text}")).unwrap_or_default()
}

impl RequestError {
    /// Whether the thing that was asked for is not there.
    pub(in crate::store::registry) fn is_missing(&self) -> bool {
        matches!(self, Self::Status { status: StatusCode::NOT_FOUND, .. })
    }

    /// Whether whoever asked has not the right, or is not known.
    pub(in crate::store::registry) fn is_refusal(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status.as_u16(), 401 | 403),
            Self::Unauthorized { .. } => true,
            Self::Token { refused, .. } => *refused,
            _ => false,
        }
    }

    /// Whether a setting is wrong, rather than the registry.
    pub(in crate::store::registry) fn is_setup(&self) -> bool {
        matches!(self, Self::Client(_) | Self::Credentials(_))
    }

    /// What to do about it.
    pub(in crate::store::registry) fn hints(&self, registry: &str) -> Vec<String> {
        let login = |identity: &Identity| match identity {
            Identity::Anonymous => {
                format!(
                    "log in with `b2i login {registry}`, or name a file with credentials in REGISTRY_AUTH_FILE"
                )
            }
            Identity::From(file) => format!(
                "check that the credentials in `{file}` are still valid and have the right to do this; `b2i login \
                 {registry}` replaces them"
            ),
            Identity::Given => {
                "check the user name and the password; some registries want a token in place of the password"
                    .into()
            }
        };
        match self {
            Self::Status { status, identity, .. } => match status.as_u16() {
                401 | 403 => vec![login(identity)],
                404 => vec![
                    "check the name for typing errors; some registries want the repository to be created first".into(),
                    login(identity),
                ],
                413 => vec!["upload in pieces: `--chunk-size 10MiB`".into()],
                429 => vec!["the registry limits how often one may ask: log in, or try again later".into()],
                500.. => vec!["the registry has a problem; try again later".into()],
                _ => Vec::new(),
            },
            Self::Unauthorized { identity, .. } => vec![login(identity)],
            Self::Token { identity, refused, .. } => {
                if *refused { vec![login(identity)] } else { vec!["try again later".into()] }
            }
            Self::Transfer { .. } => vec![
                "check the registry's name, the network and the proxy settings (`b2i config show`)".into(),
            ],
            Self::Untrusted(_) => vec![
                "if its certificate comes from your own authority, name that one's file under `ca-files` of \
                 `[registries.\"HOST\"]` in your configuration, or with `--ca-file`"
                    .replace("HOST", registry),
                format!("if it has no valid certificate at all, set `insecure = true` under `[registries.\"{registry}\"]`"),
            ],
            Self::Credentials(error) => error.hints(),
            Self::Client(_) | Self::Challenge { .. } | Self::Redirect(_) | Self::Answer { .. } => Vec::new(),
        }
    }
}
