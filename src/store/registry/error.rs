//! Owns the errors of registries: what a request met, and what that means for the image that was wanted.

use std::io;

use http::{Method, StatusCode};

use crate::failure::{Failure, FailureKind};
use crate::image::config::InvalidConfig;
use crate::image::manifest::InvalidManifest;
use crate::image::{Digest, Platform};
use crate::network::{ClientError, RefusedRedirect};
use crate::store::OpenBlobError;
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
    /// No client can be made from the settings.
    #[error("cannot set up the connection: {0}")]
    Client(#[from] ClientError),
    /// The credentials cannot be found out.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The registry said no.
    #[error("the registry answered {status} to {method} `{url}`, asked {identity}{}{}", message(.said), tries(*.attempts))]
    Status {
        /// The method.
        method: Method,
        /// The URL.
        url: String,
        /// The status.
        status: StatusCode,
        /// The registry's own code and message.
        said: Option<String>,
        /// Whether it knew who asked.
        identity: Identity,
        /// How often it was tried.
        attempts: u32,
    },
    /// The registry does not believe what it was shown, however often.
    #[error("the registry `{registry}` does not let b2i in, asked {identity}{}", message(.said))]
    Unauthorized {
        /// The registry.
        registry: String,
        /// The registry's own code and message.
        said: Option<String>,
        /// Whether it knew who asked.
        identity: Identity,
    },
    /// The registry's token service gives no token.
    #[error("`{realm}`, which gives out tokens for the registry `{registry}`, {reason}, asked {identity}")]
    Token {
        /// The registry.
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
    /// The registry asks for a proof that b2i does not give.
    #[error("the registry `{registry}` asks for credentials in a way that b2i does not follow: {reason}")]
    Challenge {
        /// The registry.
        registry: String,
        /// Why.
        reason: String,
    },
    /// The connection failed or was cut.
    #[error("cannot reach `{url}`: {reason}{}", tries(*.attempts))]
    Transfer {
        /// The URL.
        url: String,
        /// What happened last.
        reason: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The server's certificate is not trusted, or there is no TLS there.
    #[error("no trusted connection to `{url}`: {reason}")]
    Tls {
        /// The URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// A redirect is not followed.
    #[error(transparent)]
    Redirect(#[from] RefusedRedirect),
    /// The answer makes no sense.
    #[error("the answer of `{url}` cannot be used: {reason}")]
    Answer {
        /// The URL.
        url: String,
        /// Why.
        reason: String,
    },
}

fn message(said: &Option<String>) -> String {
    said.as_ref().map(|text| format!(": {text}")).unwrap_or_default()
}

fn tries(attempts: u32) -> String {
    if attempts > 1 { format!(" (tried {attempts} times)") } else { String::new() }
}

impl RequestError {
    /// Whether the thing that was asked for is not there.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Status { status: StatusCode::NOT_FOUND, .. })
    }

    /// Whether whoever asked has not the right, or is not known.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status.as_u16(), 401 | 403),
            Self::Unauthorized { .. } => true,
            Self::Token { refused, .. } => *refused,
            _ => false,
        }
    }

    fn is_setup(&self) -> bool {
        matches!(self, Self::Client(_) | Self::Credentials(_))
    }

    fn hints(&self, registry: &str) -> Vec<String> {
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
            Self::Tls { .. } => vec![
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

/// An image that could not be read from a registry or written to it.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It could not be read.
    #[error("cannot read `{image}` from its registry")]
    Pull {
        /// The image.
        image: String,
        /// Its registry.
        registry: String,
        /// Why.
        source: RequestError,
    },
    /// It is not there.
    #[error("there is no `{image}` in the registry `{registry}`")]
    Missing {
        /// The image.
        image: String,
        /// Its registry.
        registry: String,
        /// What the registry said.
        source: RequestError,
    },
    /// It would have to be asked for, and that is forbidden.
    #[error("`{image}` is not in the cache, and {reason}")]
    Offline {
        /// The image.
        image: String,
        /// What forbids it.
        reason: &'static str,
    },
    /// What its name leads to is no image.
    #[error("`{image}` cannot be used")]
    Manifest {
        /// The image.
        image: String,
        /// Why.
        source: InvalidManifest,
    },
    /// Its config is none.
    #[error("the config of `{image}` cannot be used")]
    Config {
        /// The image.
        image: String,
        /// Why.
        source: InvalidConfig,
    },
    /// Something in it contradicts something else.
    #[error("`{image}` cannot be used: {reason}")]
    Invalid {
        /// The image.
        image: String,
        /// What.
        reason: String,
    },
    /// The bytes are not those that were named.
    #[error("{what} of `{image}` should have the digest {expected}, but its bytes have {found}")]
    Digest {
        /// The image.
        image: String,
        /// What of it.
        what: &'static str,
        /// Digest that was named.
        expected: Digest,
        /// Digest of what came.
        found: Digest,
    },
    /// It is for other platforms.
    #[error("`{image}` is not for {wanted}; it is for {}", list(.available))]
    Platform {
        /// The image.
        image: String,
        /// The platform that was wanted.
        wanted: Box<Platform>,
        /// Those that there are.
        available: Vec<Platform>,
    },
    /// Its registry does not take the credentials, or could not be asked.
    #[error("cannot log in to `{registry}`")]
    Login {
        /// The registry.
        registry: String,
        /// Why.
        source: RequestError,
    },
    /// It could not be written.
    #[error("cannot publish `{image}`")]
    Push {
        /// The image.
        image: String,
        /// Its registry.
        registry: String,
        /// Why.
        source: RequestError,
    },
    /// The files of the image could not be read while they were uploaded.
    #[error("the files of `{image}` could not be read")]
    Content {
        /// The image.
        image: String,
        /// Why.
        source: io::Error,
    },
    /// A layer of the base could not be read.
    #[error("`{image}` cannot be published: its base's layer {digest} could not be read")]
    BaseLayer {
        /// The image.
        image: String,
        /// The layer.
        digest: Digest,
        /// Why.
        source: OpenBlobError,
    },
    /// The same, while its bytes were on their way.
    #[error("`{image}` cannot be published: reading the blob {digest} failed")]
    BaseBytes {
        /// The image.
        image: String,
        /// The blob.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
    /// The base's layers are not where they can be read.
    #[error("`{image}` cannot be published: the layers of its base `{base}` are in a daemon only")]
    BaseInDaemon {
        /// The image.
        image: String,
        /// The base.
        base: String,
    },
    /// A name that nothing can be published under.
    #[error("`{image}` names no tag that could be published")]
    NoTag {
        /// The name; empty if there is none at all.
        image: String,
    },
    /// The config that was made for the image does not list the layers that were written.
    #[error("the config of `{image}` lists the layers {found:?}, but {expected:?} were written")]
    Layers {
        /// The image.
        image: String,
        /// What was written.
        expected: Vec<Digest>,
        /// What the config lists.
        found: Vec<Digest>,
    },
    /// The registry took the manifest and then gives another one, or none.
    #[error("the registry took `{image}` as {expected}, but gives {} when asked for it", or_nothing(.found))]
    ReadBack {
        /// The image.
        image: String,
        /// Digest of what was published.
        expected: Digest,
        /// Digest of what is there.
        found: Option<Digest>,
    },
}

fn list(platforms: &[Platform]) -> String {
    let names: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    if names.is_empty() { "no platform that it names".into() } else { names.join(", ") }
}

fn or_nothing(found: &Option<Digest>) -> String {
    found.map_or("nothing".into(), |digest| digest.to_string())
}

impl Failure for RegistryError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Pull { source, .. } | Self::Push { source, .. } | Self::Login { source, .. }
                if source.is_setup() =>
            {
                FailureKind::Usage
            }
            Self::Pull { .. }
            | Self::Missing { .. }
            | Self::Offline { .. }
            | Self::Manifest { .. }
            | Self::Config { .. }
            | Self::Invalid { .. }
            | Self::Digest { .. }
            | Self::Platform { .. } => FailureKind::Builder,
            Self::BaseLayer { source, .. } => source.kind(),
            Self::BaseBytes { .. } => FailureKind::Builder,
            Self::Push { .. } | Self::Login { .. } | Self::ReadBack { .. } | Self::BaseInDaemon { .. } => {
                FailureKind::Publish
            }
            Self::NoTag { .. } => FailureKind::Usage,
            Self::Content { .. } => FailureKind::Input,
            Self::Layers { .. } => FailureKind::Unexpected,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Pull { source, registry, .. }
            | Self::Push { source, registry, .. }
            | Self::Login { source, registry }
            | Self::Missing { source, registry, .. } => source.hints(registry),
            Self::Offline { .. } => vec!["run once with the network allowed".into()],
            Self::Platform { .. } => vec!["choose another base, or another platform with `--platform`".into()],
            Self::BaseLayer { source, .. } => source.hints(),
            Self::ReadBack { .. } => vec![
                "something else may have pushed the same tag meanwhile; a registry that keeps changing it is broken".into(),
            ],
            _ => Vec::new(),
        }
    }
}
