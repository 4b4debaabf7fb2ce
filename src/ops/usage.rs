//! Owns the display of the usage of a builder image.
//!
//! Must not print: the output of the script is sent as events.

use crate::assemble::{ContainerRun, RunError};
use crate::builder::{BuilderError, S2iContract};
use crate::engine::ContainerSpec;
use crate::error::Error;
use crate::image::{BaseImage, ImageReference};
use crate::pipeline::base::{BaseQuery, BaseResolver};
use crate::pipeline::engine::Engines;
use crate::plan::{BaseSource, EngineKind, start_command};
use crate::request::{AssembleRequest, PullPolicy, Request};
use crate::session::Session;
use crate::store::daemon::Daemon;

/// Runs the `usage` script of a builder image and sends its output as events.
///
/// # Errors
/// [`Error`] if the image or the script is missing, or if the script fails.
pub async fn show_usage(image: &ImageReference, request: &Request, session: &Session) -> Result<(), Error> {
    let lease = session.lease()?;
    let daemon = match request.assemble {
        AssembleRequest::Sandbox => None,
        _ => session.find_daemon().await?,
    };
    let base = resolve(image, request.pull, request.offline, daemon.as_ref(), session).await?;
    let directory = S2iContract::scripts_of(&base.name, &base.config)?;
    let directory = directory.ok_or_else(|| BuilderError::NoScripts { image: base.name.clone() })?;
    let script = directory.join("usage").expect("a name extends a valid path");
    let kind = if daemon.is_some() { EngineKind::Docker } else { EngineKind::Sandbox };
    let allow_root = request.limits.allow_root_sandbox;
    let engines = Engines { session, lease: &lease, daemon: daemon.as_ref(), date: 0, allow_root };
    let ready = engines.ready(kind, &base).await?;
    let run = async |through_shell| {
        let spec = ContainerSpec {
            image: ready.image.clone(),
            command: start_command(&script, through_shell),
            lease: lease.id().to_owned(),
            ..ContainerSpec::default()
        };
        let container = ContainerRun::create(&*ready.engine, spec, &base.name, 0, &session.events).await?;
        let result = async {
            container.require(&script).await?;
            container.run_script(&script).await
        };
        let result = result.await;
        container.remove(result).await
    };
    let shown = match run(false).await {
        Err(RunError::NeedsShell { .. }) => run(true).await,
        shown => shown,
    };
    Ok(shown?)
}

/// Finds an image in the daemon, or without a daemon in its registry.
pub(super) async fn resolve(
    reference: &ImageReference,
    pull: PullPolicy,
    offline: bool,
    daemon: Option<&Daemon>,
    session: &Session,
) -> Result<BaseImage, Error> {
    let source = if daemon.is_some() { BaseSource::Daemon } else { BaseSource::Registry };
    let query = BaseQuery { reference, platform: None, pull, pinned: None, may_be_local: false };
    BaseResolver::new(session, daemon, offline).resolve(source, query).await
}
