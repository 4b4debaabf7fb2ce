//! Owns what a front end can ask of the input room.

use std::path::PathBuf;
use std::time::Duration;

use crate::image::Digest;

/// Where an artifact is to come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputSource {
    /// A file or directory of this machine.
    File(PathBuf),
    /// Standard input (`-`).
    Stdin,
    /// An http or https URL.
    Url(url::Url),
}

/// How an artifact is fetched and what goes with it.
#[derive(Clone, Debug, Default)]
pub struct InputOptions {
    /// Digest that the fetched bytes must have.
    pub sha256: Option<Digest>,
    /// Largest size of anything fetched or unpacked, in bytes.
    pub max_size: u64,
    /// The member of an archive to take.
    pub member_path: Option<String>,
    /// Whether the rest of an archive goes with the artifact.
    pub keep_tree: bool,
    /// What an archive or directory is to be treated as.
    pub treat_as: Option<TreatAs>,
    /// Files that go with the artifact.
    pub added: Vec<AddRequest>,
    /// How to talk to HTTP servers.
    pub http: HttpOptions,
    /// Use no network.
    pub offline: bool,
}

/// What an archive or directory is to be treated as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreatAs {
    /// Something finished.
    Artifact,
    /// A source tree.
    Source,
}

/// One `--add`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddRequest {
    /// The file or directory on this machine.
    pub source: PathBuf,
    /// Where it goes; beside the artifact, under its own name, if nothing is said.
    pub destination: Option<String>,
}

/// How to talk to HTTP servers.
#[derive(Clone, Debug, Default)]
pub struct HttpOptions {
    /// Headers for the artifact's own host.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Bearer token for the artifact's own host.
    pub bearer: Option<String>,
    /// Text of the netrc file.
    pub netrc: Option<String>,
    /// Proxies by environment convention.
    pub proxies: ProxySettings,
    /// Files with further CA certificates (PEM).
    pub extra_ca: Vec<PathBuf>,
    /// How long to wait for a connection.
    pub connect_timeout: Option<Duration>,
    /// How long to wait for the next bytes.
    pub read_timeout: Option<Duration>,
    /// How often to try again.
    pub retries: Option<u32>,
}

/// Proxies by environment convention.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxySettings {
    /// `http_proxy`.
    pub http: Option<String>,
    /// `https_proxy`.
    pub https: Option<String>,
    /// `all_proxy`.
    pub all: Option<String>,
    /// `no_proxy`.
    pub none: Option<String>,
}
