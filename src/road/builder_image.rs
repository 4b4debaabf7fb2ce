//! Owns what is asked of an image that is a builder, or that a builder made: how it is used, and building it again.

use std::collections::BTreeSet;

use super::sandbox::sandbox_image;
use super::{Error, Surroundings};
use crate::assemble::RunError;
use crate::builder::{BuilderError, S2iContract};
use crate::engine::docker::DockerEngine;
use crate::engine::sandbox::{SandboxEngine, SandboxSettings};
use crate::engine::{Container, ContainerSpec, Engine};
use crate::image::{ImagePath, ImageReference};
use crate::request::{AssembleRequest, BuilderRequest, PullPolicy, Request};
use crate::source_build::{EnvironmentVariable, SourceLocation};
use crate::store::daemon::{Daemon, ResolveOptions};
use crate::store::{BaseImage, registry};

/// S2I's labels of what an image was built from.
const BUILT_BY: &str = "io.openshift.s2i.build.image";
const BUILT_FROM: &str = "io.openshift.s2i.build.source-location";
const CONTEXT_DIRECTORY: &str = "io.openshift.s2i.build.source-context-dir";
const REFERENCE: &str = "io.openshift.s2i.build.commit.ref";

/// Runs the script `usage` of a builder image; what it prints comes as events.
///
/// # Errors
/// [`Error`] if the image or the script is not there, or the script fails.
pub async fn show_usage(
    image: &ImageReference,
    request: &Request,
    surroundings: &Surroundings,
) -> Result<(), Error> {
    let lease = surroundings.lease()?;
    let daemon = match request.assemble {
        AssembleRequest::Sandbox => None,
        _ => surroundings.find_daemon().await?,
    };
    let base = resolve(image, request.pull, request.offline, daemon.as_ref(), surroundings).await?;
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
        return Ok(run(&engine, spec(&loaded), &base.name, &script, surroundings).await?);
    }
    let settings = SandboxSettings {
        program: surroundings.program.clone(),
        cache: lease.cache().clone(),
        temporary: lease.temporary_directory().to_owned(),
        date: 0,
        allow_root: request.limits.allow_root_sandbox,
    };
    let engine = SandboxEngine::new(settings, sandbox_image(&base)?, surroundings.events.clone());
    Ok(run(&engine, spec(&base.name), &base.name, &script, surroundings).await?)
}

async fn run<E: Engine>(
    engine: &E,
    spec: ContainerSpec,
    image: &str,
    script: &ImagePath,
    surroundings: &Surroundings,
) -> Result<(), RunError<E::Error>>
where
    E::Container: Container<Error = E::Error>,
{
    let container = engine.create(spec).await.map_err(RunError::Engine)?;
    let ended = run_in(&container, image, script, surroundings).await;
    let removed = container.remove().await;
    ended?;
    removed.map_err(RunError::Engine)
}

async fn run_in<C: Container>(
    container: &C,
    image: &str,
    script: &ImagePath,
    surroundings: &Surroundings,
) -> Result<(), RunError<C::Error>> {
    if !container.has(script).await.map_err(RunError::Engine)? {
        return Err(RunError::NoScript { builder: image.to_owned(), script: script.clone() });
    }
    let ended = container.run(&surroundings.events).await.map_err(RunError::Engine)?;
    match ended.exit_code {
        0 => Ok(()),
        _ => Err(RunError::Script { script: script.clone(), ended }),
    }
}

/// Puts into `request` what an image says of its own build: sources, builder, and the variables that it was given.
///
/// # Errors
/// [`Error`] if the image is not there, or was not built by S2I.
pub async fn read_build(
    image: &ImageReference,
    mut request: Request,
    surroundings: &Surroundings,
) -> Result<Request, Error> {
    let daemon = surroundings.find_daemon().await?;
    let (pull, offline) = (request.pull, request.offline);
    let built = resolve(image, PullPolicy::Missing, offline, daemon.as_ref(), surroundings).await?;
    let label = |name: &'static str| {
        let value = built.config.label(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| Error::NotBuilt { image: image.familiar(), label: name })
    };
    let name = label(BUILT_BY)?;
    let wrong = |reason: String| BuilderError::BuilderName { text: name.to_owned(), reason };
    let builder: ImageReference =
        name.parse().map_err(|error: crate::image::reference::InvalidReference| wrong(error.to_string()))?;
    let mut location = SourceLocation::parse(label(BUILT_FROM)?)?;
    if let Some(reference) = built.config.label(REFERENCE).filter(|reference| !reference.is_empty()) {
        location = location.with_reference(reference)?;
    }
    let base = resolve(&builder, pull, offline, daemon.as_ref(), surroundings).await?;
    let of_builder: BTreeSet<String> = base.config.list("Env").into_iter().collect();
    let wanted = request.source_build.as_mut().expect("a front end asks for a source build");
    let own = built.config.list("Env").into_iter().filter(|variable| !of_builder.contains(variable));
    wanted.environment = own
        .filter_map(|variable| {
            let (name, value) = variable.split_once('=')?;
            Some(EnvironmentVariable { name: name.to_owned(), value: value.to_owned() })
        })
        .collect();
    wanted.location = location;
    wanted.builder = Some(BuilderRequest::Image(builder));
    wanted.source.context_directory = built.config.label(CONTEXT_DIRECTORY).map(str::to_owned);
    let text = |name: &str| built.config.label(name).filter(|text| !text.is_empty()).map(str::to_owned);
    wanted.display_name = text("io.k8s.display-name");
    wanted.description = text("io.k8s.description");
    Ok(request)
}

async fn resolve(
    image: &ImageReference,
    pull: PullPolicy,
    offline: bool,
    daemon: Option<&Daemon>,
    surroundings: &Surroundings,
) -> Result<BaseImage, Error> {
    let Some(daemon) = daemon else {
        let options = registry::ResolveOptions { platform: None, pull, offline, pinned: None };
        return Ok(surroundings.registries()?.resolve(image, &options).await?);
    };
    let credential_files = surroundings.daemon.credential_files.clone();
    let options = ResolveOptions { platform: None, pull, offline, credential_files };
    Ok(daemon.resolve(image, &options, &surroundings.events).await?)
}
