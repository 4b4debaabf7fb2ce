//! Owns the order of the steps from a request to an image: the calls that front ends make.
//!
//! Must not decide anything, print, read the environment or exit; [`Session`] carries what it needs of the machine.

mod build;
mod check_jar;
mod dockerfile;
mod index;
mod layer_memo;
mod layouts;
pub(crate) mod outputs;
mod overwrite_check;
pub(crate) mod prepare;
mod run;
pub(crate) mod sandbox;
mod script;
pub(crate) mod source;
mod stage;

use std::time::Duration;

use serde::Serialize;

pub use build::build;
pub use dockerfile::{WrittenContext, write_dockerfile};
pub use run::{RunStreams, run};
pub use sandbox::RunnableImage;
pub use source::write_dockerfile as write_source_dockerfile;

use crate::detect::Facts;
use crate::error::Error;
use crate::events::Events;
use crate::image::{Digest, ImageReference, Platform};
use crate::input::{InputOptions, InputSource, Origin};
use crate::plan::{AssemblyKind, EngineKind, Plan};
use crate::request::Request;
use crate::session::Session;
use crate::sources::SourceInfo;
use crate::transport::Transport;

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

/// A finished build. What is said of one image is said of the daemon's, or this machine's, where there are several.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Built {
    /// Digest of the image's config.
    pub image_id: Digest,
    /// Digest of what the names mean in registries and layouts, if an output has such: of the image's manifest, or of
    /// the index.
    pub manifest_digest: Option<Digest>,
    /// Its names.
    pub tags: Vec<ImageReference>,
    /// Where it went.
    pub outputs: Vec<Transport>,
    /// The command that people use with the daemon it went to: `docker` or `podman`.
    pub daemon: Option<String>,
    /// Ports of the image, such as `8080/tcp`.
    pub ports: Vec<String>,
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
    /// What was built first, if sources were.
    pub sources: Option<BuiltSources>,
    /// Every image, one for each platform.
    pub images: Vec<BuiltImage>,
    /// What [`run`] starts, if it was asked for and no daemon has the image.
    #[serde(skip)]
    pub runnable: Option<RunnableImage>,
}

/// The sources of a build, and what built them.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuiltSources {
    /// Where they came from.
    #[serde(flatten)]
    pub info: SourceInfo,
    /// The source builder: a template with its version, or an image's name.
    pub builder: String,
    /// What ran its scripts.
    pub engine: EngineKind,
}

/// The image for one platform.
#[derive(Clone, Debug, Serialize)]
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
    /// The artifact's name; none if the image is what assembling sources left.
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
/// [`Error`] if it cannot be had or is nothing that can be packaged.
pub async fn inspect(
    source: &InputSource,
    options: &InputOptions,
    main_class: Option<&str>,
    session: &Session,
) -> Result<Inspection, Error> {
    let lease = session.lease()?;
    let artifact = prepare::fetch(source, options, &lease, session).await?;
    let facts = prepare::facts(&artifact, main_class, &Events::silent())?;
    Ok(Inspection { name: artifact.name, origin: artifact.origin, facts })
}

/// Decides everything and does nothing (`--dry-run`).
///
/// # Errors
/// [`Error`] if the request cannot be fulfilled.
pub async fn plan(request: &Request, session: &Session) -> Result<Plan, Error> {
    match &request.source_build {
        Some(wanted) => source::plan(request, wanted, session).await,
        None => Ok(prepare::prepare(request, session).await?.plan),
    }
}

/// Removes what the interrupted call left behind: in the daemon, in at most `limit`, and its files.
///
/// The lease is given up only if that worked; otherwise a later run finds it and tries again.
pub async fn clean_up_after_signal(session: &Session, limit: Duration) {
    // A daemon that was not found has nothing of this run.
    if let (Some(lease), Some(daemon)) = (session.taken_lease(), session.found_daemon()) {
        // What the daemon was asked to make last would otherwise be there after everything was removed.
        let settled = tokio::time::timeout(limit / 2, daemon.settle()).await.is_ok();
        let leases = [lease.id().to_owned()];
        let removing = crate::store::daemon::remove_leftovers(&daemon, &leases);
        let removed = tokio::time::timeout(limit / 2, removing).await;
        if !settled || !matches!(removed, Ok(Ok(()))) {
            tracing::warn!(
                settled,
                ?removed,
                "something of this run may stay in the daemon; a later run removes it"
            );
            session.keep_lease();
        }
    }
    clean_up_files(session);
}

/// Removes the files of a call that has ended, also if threads of it are still at work: they end with the process.
pub fn clean_up_files(session: &Session) {
    if let Some(lease) = session.taken_lease() {
        lease.release();
    }
}
