//! Owns what is asked of an image that is a builder: how it is used.

use crate::assemble::RunError;
use crate::builder::{BuilderError, S2iContract};
use crate::engine::docker::DockerEngine;
use crate::engine::sandbox::SandboxEngine;
use crate::engine::{Container, ContainerSpec, Engine};
use crate::error::Error;
use crate::image::{BaseImage, ImagePath, ImageReference};
use crate::pipeline::base::{BaseQuery, BaseResolver};
use crate::pipeline::sandbox::{sandbox_image, sandbox_settings};
use crate::plan::BaseSource;
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
    let spec = |image: &str| ContainerSpec {
        image: image.to_owned(),
        command: vec![script.to_string()],
        lease: lease.id().to_owned(),
        ..ContainerSpec::default()
    };
    if let Some(daemon) = &daemon {
        let engine = DockerEngine::new(daemon.clone(), lease.temporary_directory().to_owned());
        let loaded = daemon.ensure_loaded(&base, lease.id()).await?;
        return Ok(run(&engine, spec(&loaded), &base.name, &script, session).await?);
    }
    let settings = sandbox_settings(session, &lease, 0, request.limits.allow_root_sandbox);
    let engine = SandboxEngine::new(settings, sandbox_image(&base)?, session.events.clone());
    Ok(run(&engine, spec(&base.name), &base.name, &script, session).await?)
}

async fn run<E: Engine>(
    engine: &E,
    spec: ContainerSpec,
    image: &str,
    script: &ImagePath,
    session: &Session,
) -> Result<(), RunError<E::Error>>
where
    E::Container: Container<Error = E::Error>,
{
    let container = engine.create(spec).await.map_err(RunError::Engine)?;
    let ended = run_in(&container, image, script, session).await;
    let removed = container.remove().await;
    ended?;
    removed.map_err(RunError::Engine)
}

async fn run_in<C: Container>(
    container: &C,
    image: &str,
    script: &ImagePath,
    session: &Session,
) -> Result<(), RunError<C::Error>> {
    if !container.has(script).await.map_err(RunError::Engine)? {
        return Err(RunError::NoScript { builder: image.to_owned(), script: script.clone() });
    }
    let ended = container.run(&session.events).await.map_err(RunError::Engine)?;
    match ended.exit_code {
        0 => Ok(()),
        _ => Err(RunError::Script { script: script.clone(), ended }),
    }
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
