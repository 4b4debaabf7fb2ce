//! Owns the order of the steps from a request to an image: the calls that front ends make.
//!
//! Must not decide anything, print, read the environment or exit; [`Session`] holds the settings of the machine.

pub(crate) mod base;
mod build;
mod check_jar;
mod dockerfile;
pub(crate) mod engine;
mod layer_memo;
mod machine;
pub(crate) mod outputs;
mod overwrite_check;
pub(crate) mod prepare;
mod run;
pub(crate) mod sandbox;
mod script;
mod script_release;
pub(crate) mod source;
mod stage;
mod user_base;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use build::build;
pub(crate) use check_jar::JarError;
pub(crate) use dockerfile::set_mode;
pub use dockerfile::{WrittenContext, write_dockerfile};
pub use run::{RunStreams, run};
pub use sandbox::SandboxRun;
pub use source::write_dockerfile as write_source_dockerfile;

use crate::detect::Facts;
use crate::error::Error;
use crate::events::Events;
use crate::image::{Digest, ImageReference, Platform};
use crate::input::Origin;
use crate::plan::{AssemblyKind, EngineKind, Plan};
use crate::request::{Request, RequestError};
use crate::session::Session;
use crate::sources::SourceInfo;
use crate::transport::Transport;

/// Version of the JSON form of results. It changes when a field is removed or changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// The facts of an artifact.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// Its name.
    pub name: String,
    /// The origin of the artifact.
    pub origin: Origin,
    /// The facts, with its size.
    #[serde(flatten)]
    pub facts: Facts,
}

/// A finished build. If it has several images, the fields of one image describe the daemon's image, else this
/// machine's.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Built {
    /// Digest of the image's config.
    pub image_id: Digest,
    /// Digest of the manifest or index that the names mean in registries and layouts, if there is such an output.
    pub manifest_digest: Option<Digest>,
    /// Its names.
    pub tags: Vec<ImageReference>,
    /// `REPOSITORY@DIGEST` for each repository of a registry that has it. Every tool pulls exactly this image by it.
    pub references: Vec<String>,
    /// The outputs that have it.
    pub outputs: Vec<Transport>,
    /// The command of the daemon that has the image: `docker` or `podman`.
    pub daemon: Option<String>,
    /// Ports of the image, such as `8080/tcp`.
    pub ports: Vec<String>,
    /// The ports that the user or the builder declares; other ports are of the base, whose program does not run.
    pub published_ports: Vec<String>,
    /// The builder that was used.
    pub builder: String,
    /// How the artifact got into the image.
    pub assembly: AssemblyKind,
    /// Why so.
    pub assembly_reason: String,
    /// Digest of the artifact.
    pub artifact_digest: Option<Digest>,
    /// Digest of the new layer's tar; none if an engine committed it.
    pub layer_digest: Option<Digest>,
    /// Digest of the index, if an output has one.
    pub index_digest: Option<Digest>,
    /// The build from sources, if there was one.
    pub sources: Option<BuiltSources>,
    /// Every image, one for each platform.
    pub images: Vec<BuiltImage>,
    /// The run in the sandbox, if the request has `run` and no daemon has the image.
    #[serde(skip)]
    pub runnable: Option<SandboxRun>,
}

/// The sources of a build, and what built them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuiltSources {
    /// The origin of the sources.
    #[serde(flatten)]
    pub info: SourceInfo,
    /// The source builder: a template with its version, or an image's name.
    pub builder: String,
    /// The engine of its scripts.
    pub engine: EngineKind,
}

/// The image for one platform.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuiltImage {
    /// The platform.
    pub platform: Platform,
    /// Digest of its config.
    pub image_id: Digest,
    /// Digest of its own manifest, if an output has one.
    pub manifest_digest: Option<Digest>,
    /// Its ports.
    pub ports: Vec<String>,
    /// The artifact's name; none if the assembled builder is the image.
    pub artifact: Option<String>,
    /// Digest of the artifact.
    pub artifact_digest: Option<Digest>,
    /// The builder that was used.
    pub builder: String,
    /// Digest of the new layer's tar; none if an engine committed it.
    pub layer_digest: Option<Digest>,
}

/// Fetches an artifact and reads its facts. Does not compute its digest.
///
/// # Errors
/// [`Error`] if the artifact cannot be fetched or packaged.
pub async fn inspect(request: &Request, session: &Session) -> Result<Inspection, Error> {
    let lease = session.lease()?;
    let source = request.artifacts.first().ok_or(RequestError::NoInput)?;
    let artifact = prepare::fetch(source, &request.input, &lease, session).await?;
    let facts = prepare::facts(&artifact, request.main_class.as_deref(), &Events::silent())?;
    if let Some(note) = crate::plan::left_out(&artifact) {
        session.events.note(note);
    }
    Ok(Inspection { name: artifact.name, origin: artifact.origin, facts })
}

/// Plans a build without executing it (`--dry-run`).
///
/// # Errors
/// [`Error`] if the request cannot be executed.
pub async fn plan(request: &Request, session: &Session) -> Result<Plan, Error> {
    match &request.source_build {
        Some(options) => source::plan(request, options, session).await,
        None => Ok(prepare::prepare(request, prepare::Purpose::Build, session).await?.plan),
    }
}
