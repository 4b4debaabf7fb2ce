//! Owns the road from a request to an image: the calls that front ends make.
//!
//! Must not print, read the environment or exit; what it needs of the machine it is handed as [`Surroundings`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::config::TemplateDirectory;
use crate::detect::Facts;
use crate::events::Events;
use crate::failure::{Failure, FailureKind};
use crate::image::{Digest, ImageReference};
use crate::input::{InputOptions, InputSource, Origin};
use crate::request::{Output, Request};

/// What a front end knows of the machine and its configuration.
#[derive(Clone)]
pub struct Surroundings {
    /// The cache's directory; made when it is needed.
    pub cache_directory: PathBuf,
    /// Which daemon to use.
    pub daemon: DaemonChoice,
    /// What configuration changes in the catalog.
    pub catalog: CatalogSettings,
    /// Where events go.
    pub events: Events,
}

/// What decides which daemon is used: a host that was named, or else what discovery goes by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonChoice {
    /// Address that a flag, a variable or a file names.
    pub host: Option<String>,
    /// What named it, for messages: `flag --docker-host`, `variable DOCKER_HOST`.
    pub host_origin: Option<String>,
    /// Docker context that is named (`DOCKER_CONTEXT`); empty if `host` is set.
    pub context: Option<String>,
    /// Docker's configuration directory (`DOCKER_CONFIG`, else `~/.docker`).
    pub docker_config: Option<PathBuf>,
    /// `DOCKER_TLS_VERIFY` is set to something.
    pub tls_verify: bool,
    /// Directory of the client's certificates (`DOCKER_CERT_PATH`).
    pub cert_path: Option<PathBuf>,
    /// Directory of the user's sockets (`XDG_RUNTIME_DIR`), where Podman has its own.
    pub runtime_directory: Option<PathBuf>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
}

/// What configuration changes in the catalog.
#[derive(Clone, Debug, Default)]
pub struct CatalogSettings {
    /// Public base images, in full, and what to use instead.
    pub bases: BTreeMap<String, ImageReference>,
    /// Directories of templates; earlier ones override later ones, and all override the built-in ones.
    pub template_directories: Vec<TemplateDirectory>,
}

/// Why something on the road failed.
#[derive(Debug, thiserror::Error)]
#[error("this build of b2i cannot {what} yet")]
pub struct Error {
    what: &'static str,
}

impl Failure for Error {
    fn kind(&self) -> FailureKind {
        FailureKind::Unexpected
    }
}

/// What was found out about an artifact.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// Its name.
    pub name: String,
    /// Where it came from.
    pub origin: Origin,
    /// The facts, with its size.
    #[serde(flatten)]
    pub facts: Facts,
}

/// Everything decided and nothing done.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {}

/// Renders a plan for people.
pub fn render_text(_plan: &Plan) -> String {
    String::new()
}

/// A finished build.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Built {
    /// Digest of the image's config.
    pub image_id: Digest,
    /// Its names.
    pub tags: Vec<ImageReference>,
    /// Where it went.
    pub outputs: Vec<Output>,
    /// The command that people use with the daemon it went to: `docker` or `podman`.
    pub daemon: Option<String>,
    /// Ports of the image, such as `8080/tcp`.
    pub ports: Vec<String>,
    /// The builder that was used.
    pub builder: String,
    /// How the artifact got into the image, and why so.
    pub assembly: String,
}

/// Streams and signals of a program that `--run` starts.
pub struct RunStreams {
    /// What it reads.
    pub stdin: Box<dyn AsyncRead + Send + Unpin>,
    /// What it prints.
    pub stdout: Box<dyn AsyncWrite + Send + Unpin>,
    /// What it prints to standard error.
    pub stderr: Box<dyn AsyncWrite + Send + Unpin>,
    /// Signals to hand on, by their names (`SIGTERM`).
    pub signals: mpsc::UnboundedReceiver<&'static str>,
}

/// Fetches an artifact and reads its facts.
///
/// # Errors
/// [`Error`] if it cannot be had or is nothing that can be packaged.
pub async fn inspect(
    _source: &InputSource,
    _options: &InputOptions,
    _main_class: Option<&str>,
    _surroundings: &Surroundings,
) -> Result<Inspection, Error> {
    Err(Error { what: "inspect an artifact" })
}

/// Decides everything and does nothing (`--dry-run`).
///
/// # Errors
/// [`Error`] if the request cannot be fulfilled.
pub async fn plan(_request: &Request, _surroundings: &Surroundings) -> Result<Plan, Error> {
    Err(Error { what: "plan a build" })
}

/// Builds an image.
///
/// # Errors
/// [`Error`] of the step that failed.
pub async fn build(_request: &Request, _surroundings: &Surroundings) -> Result<Built, Error> {
    Err(Error { what: "build an image" })
}

/// Starts what was built, waits for its end and returns its exit code.
///
/// # Errors
/// [`Error`] if it cannot be started.
pub async fn run(_built: &Built, _streams: RunStreams, _surroundings: &Surroundings) -> Result<i32, Error> {
    Err(Error { what: "start an image" })
}

/// Removes what the interrupted call left behind: containers, temporary files, half-made images.
pub async fn clean_up_after_signal(_surroundings: &Surroundings) {}

/// One builder of the catalog, as `b2i builders list` shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuilderSummary {
    /// Its name.
    pub name: String,
    /// Its versions, the default one first.
    pub versions: Vec<String>,
    /// What it is for, one line.
    pub description: String,
    /// Where it comes from: `built in` or a directory.
    pub origin: String,
}

/// One builder in all detail: `details` is what `--format json` shows, `text` what people read.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuilderDetails {
    /// The summary.
    #[serde(flatten)]
    pub summary: BuilderSummary,
    /// Names and values, in the order to show them.
    pub details: Vec<(String, String)>,
}

/// One assumption about a base image, and whether it holds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuilderCheck {
    /// The base image.
    pub base: String,
    /// What is assumed.
    pub assumption: String,
    /// What was found, if it is not that.
    pub found: Option<String>,
}

/// Lists the catalog.
///
/// # Errors
/// [`Error`] if a configured template cannot be read.
pub async fn list_builders(_surroundings: &Surroundings) -> Result<Vec<BuilderSummary>, Error> {
    Err(Error { what: "list builders" })
}

/// Describes one builder, `NAME[:VERSION]`.
///
/// # Errors
/// [`Error`] if there is none.
pub async fn show_builder(_name: &str, _surroundings: &Surroundings) -> Result<BuilderDetails, Error> {
    Err(Error { what: "show a builder" })
}

/// Compares what is assumed of a builder's bases with the real images.
///
/// # Errors
/// [`Error`] if there is no such builder or a base cannot be had.
pub async fn check_builder(_name: &str, _surroundings: &Surroundings) -> Result<Vec<BuilderCheck>, Error> {
    Err(Error { what: "check a builder" })
}

/// Writes a template's folder, ready for `docker build`, and returns the files' names.
///
/// # Errors
/// [`Error`] if there is no such builder or the directory is not empty.
pub async fn export_builder(
    _name: &str,
    _directory: &std::path::Path,
    _surroundings: &Surroundings,
) -> Result<Vec<String>, Error> {
    Err(Error { what: "export a builder" })
}
