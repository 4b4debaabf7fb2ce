//! Owns what is asked of an image that is a builder: how it is used.

use crate::assemble::{ContainerRun, RunError};
use crate::builder::{BuilderError, S2iContract};
use crate::engine::ContainerSpec;
use crate::error::Error;
use crate::image::{BaseImage, ImageReference};
use crate::pipeline::base::{BaseQuery, BaseResolver};
use crate::pipeline::engine::Engines;
use crate::plan::{BaseSource, EngineKind};
use crate::request::{AssembleRequest, PullPolicy, Request};
use crate::session::Session;
use crate::store::daemon::Daemon;

/// Runs the script `usage` of a builder image; what it prints comes as events.
///
/// # Errors
/// [`Error`] if the image or the script is not there, or the script fails.
pub async fn show_usage(image: &ImageReference, request: &Request, session: &Session) -> Result<(), Error> {
    let lease = session.lease()?;
    let daemon = match request.assemble {
        AssembleRequest::Sandbox => None,
        _ => session.find_daemon().await?,
    };
    let base = resolve(image, request.pull, request.offline, daemon.as_ref(), session).await?;
    let directory = S2iContract::scripts_of(&base.name, &base.config)?;
    let directory = directory.ok_or_else(|| BuilderError::NoScripts { image: base.name.clone() })?;
    let script = directory.join("usage").expect("an absolute, normal path with one name more");
    let kind = if daemon.is_some() { EngineKind::Docker } else { EngineKind::Sandbox };
    let allow_root = request.limits.allow_root_sandbox;
    let engines = Engines { session, lease: &lease, daemon: daemon.as_ref(), date: 0, allow_root };
    let ready = engines.ready(kind, &base).await?;
    let spec = ContainerSpec {
        image: ready.image,
        command: vec![script.to_string()],
        lease: lease.id().to_owned(),
        ..ContainerSpec::default()
    };
    let container = ContainerRun::create(&*ready.engine, spec, &base.name, 0, &session.events).await?;
    let ended = async {
        container.require(&script).await?;
        container.run(|ended| RunError::Script { script: script.clone(), ended }).await
    };
    let ended = ended.await;
    Ok(container.remove(ended).await?)
}

/// Finds an image in the daemon, or where there is none in its registry.
pub(crate) async fn resolve(
    reference: &ImageReference,
    pull: PullPolicy,
    offline: bool,
    daemon: Option<&Daemon>,
    session: &Session,
) -> Result<BaseImage, Error> {
    let source = if daemon.is_some() { BaseSource::Daemon } else { BaseSource::Registry };
    let query = BaseQuery { reference, platform: None, pull, pinned: None };
    BaseResolver::new(session, daemon, offline).resolve(source, query).await
}
