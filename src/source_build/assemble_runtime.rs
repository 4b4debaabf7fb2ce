//! Owns the second half of an extended build: a container of the runtime image gets the artifacts, and what is left to
//! do there is done by `assemble-runtime`, if there is one.
//!
//! S2I calls the script whether it is there or not. Here a runtime image needs none: artifacts at the right place are
//! often all that a server's or an interpreter's image wants. Works over any engine and knows none.

use super::assemble::AssembledSources;
use super::container::stage_spec;
use super::directories::missing_directories;
use super::runtime_artifacts::RuntimeArtifacts;
use crate::assemble::{RunError, kept_if_well, left_labels, resolve_owner, upload};
use crate::engine::{Container, ContainerLimits, ContainerSpec, Engine, NO_COMMAND};
use crate::events::{Events, Step};
use crate::image::ImageConfig;
use crate::image::layer::{Entry, EntryKind, Layer};
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
pub async fn assemble_runtime<E: Engine>(
    engine: &E,
    run: RuntimeRun<'_>,
    events: &Events,
) -> Result<AssembledSources<E::Container>, RunError<E::Error>>
where
    E::Container: Container<Error = E::Error>,
{
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
    let container = engine.create(spec).await.map_err(RunError::Engine)?;
    let outcome = fill(&container, &run, events).await;
    let (container, labels) = kept_if_well(container, outcome).await?;
    Ok(AssembledSources { container, labels })
}

async fn fill<C: Container>(
    container: &C,
    run: &RuntimeRun<'_>,
    events: &Events,
) -> Result<Vec<(String, String)>, RunError<C::Error>> {
    let runtime = run.runtime;
    let name = runtime.image.familiar();
    let owner = resolve_owner(container, &runtime.user, &name).await?;
    // Directories that the image has stay as they are.
    let targets = runtime.artifacts.iter().map(|(_, directory)| directory.clone());
    let mut entries = missing_directories(container, targets, owner).await?;
    entries.extend(run.artifacts.entries(owner));
    entries.extend(run.scripts.entries(&["assemble-runtime", "run"], &runtime.destination, owner));
    let entries = without_repeated_directories(entries);
    upload(container, Layer::new(entries, run.date)?, &name, events).await?;
    let labels = match &runtime.assemble {
        Some(script) if is_there(container, script).await? => run_script(container, script, events).await?,
        _ => Vec::new(),
    };
    // Only now: the script may make it.
    if let Some(script) = &runtime.run
        && !is_there(container, script).await?
    {
        return Err(RunError::NoScript { builder: name, script: script.path.clone() });
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
async fn is_there<C: Container>(container: &C, script: &PlannedScript) -> Result<bool, RunError<C::Error>> {
    match script.origin {
        ScriptOrigin::Image => container.has(&script.path).await.map_err(RunError::Engine),
        _ => Ok(true),
    }
}

async fn run_script<C: Container>(
    container: &C,
    script: &PlannedScript,
    events: &Events,
) -> Result<Vec<(String, String)>, RunError<C::Error>> {
    let step = events.start(Step::Assemble, script.path.to_string(), None);
    let ended = container.run(events).await.map_err(RunError::Engine)?;
    if ended.exit_code != 0 {
        return Err(RunError::Script { script: script.path.clone(), ended });
    }
    let labels = left_labels(container).await?;
    step.made(format!("by {}", script.path)).finish("");
    Ok(labels)
}
