//! Owns the second half of an extended build: a container of the runtime image gets the artifacts, and what is left to
//! do there is done by `assemble-runtime`, if there is one.
//!
//! S2I calls the script whether it is there or not. Here a runtime image needs none: artifacts at the right place are
//! often all that a server's or an interpreter's image wants. Works with any engine.

use super::container::stage_spec;
use super::runtime_artifacts::RuntimeArtifacts;
use crate::assemble::{AssembledContainer, ContainerRun, RunError};
use crate::engine::{ContainerLimits, ContainerSpec, Engine, NO_COMMAND};
use crate::events::Events;
use crate::image::ImageConfig;
use crate::image::layer::{Entry, EntryKind};
use crate::plan::{PlannedRuntime, PlannedScript, ScriptOrigin, SourceStage};
use crate::sources::scripts::ScriptFiles;

/// What the second half needs beside its plan.
pub struct RuntimeRun<'a> {
    /// The plan.
    pub stage: &'a SourceStage,
    /// The plan of the runtime image.
    pub runtime: &'a PlannedRuntime,
    /// The runtime image, as the engine's own store knows it.
    pub image: &'a str,
    /// What was taken out of the builder.
    pub artifacts: &'a RuntimeArtifacts,
    /// The scripts from outside.
    pub scripts: &'a ScriptFiles,
    /// What the script may use.
    pub limits: ContainerLimits,
    /// The runtime image's config, if the container may become the image itself.
    pub commit_config: Option<ImageConfig>,
    /// Date of the uploaded files, in seconds since 1970.
    pub date: u64,
    /// The lease of this run.
    pub lease: &'a str,
}

/// Fills a container of the runtime image.
///
/// # Errors
/// [`RunError`]; the container is then removed.
pub async fn assemble_runtime(
    engine: &dyn Engine,
    run: RuntimeRun<'_>,
    events: &Events,
) -> Result<AssembledContainer, RunError> {
    let (stage, runtime) = (run.stage, run.runtime);
    let script = runtime.assemble.as_ref().map(|script| script.path.to_string());
    let spec = ContainerSpec {
        image: run.image.to_owned(),
        command: vec![script.unwrap_or_else(|| NO_COMMAND.to_owned())],
        environment: stage.environment.clone(),
        user: Some(runtime.user.clone()),
        commit_config: run.commit_config.clone(),
        ..stage_spec(stage, &run.limits, run.lease)
    };
    let name = runtime.image.familiar();
    let container = ContainerRun::create(engine, spec, &name, run.date, events).await?;
    let labels = fill(&container, &run, &name).await;
    container.keep_assembled(labels).await
}

async fn fill(
    container: &ContainerRun<'_>,
    run: &RuntimeRun<'_>,
    name: &str,
) -> Result<Vec<(String, String)>, RunError> {
    let runtime = run.runtime;
    let owner = container.owner(&runtime.user).await?;
    // Directories that the image has stay as they are.
    let targets = runtime.artifacts.iter().map(|(_, directory)| directory.clone());
    let mut entries = container.missing_directories(targets, owner).await?;
    entries.extend(run.artifacts.entries(owner));
    entries.extend(run.scripts.entries(&["assemble-runtime", "run"], &runtime.destination, owner));
    container.upload(without_repeated_directories(entries), name).await?;
    let labels = match &runtime.assemble {
        Some(script) if is_there(container, script).await? => container.assemble(&script.path).await?,
        _ => Vec::new(),
    };
    // Only now: the script may make it.
    if let Some(script) = runtime.run.as_ref().filter(|script| script.origin == ScriptOrigin::Image) {
        container.require(&script.path).await?;
    }
    Ok(labels)
}

/// Two artifacts may share directories; anything else at one place twice is an error of the layer.
fn without_repeated_directories(mut entries: Vec<Entry>) -> Vec<Entry> {
    let mut seen = std::collections::HashSet::new();
    entries.retain(|entry| !matches!(entry.kind, EntryKind::Directory) || seen.insert(entry.path.clone()));
    entries
}

/// A script from outside was uploaded.
async fn is_there(container: &ContainerRun<'_>, script: &PlannedScript) -> Result<bool, RunError> {
    match script.origin {
        ScriptOrigin::Image => container.has(&script.path).await,
        _ => Ok(true),
    }
}
