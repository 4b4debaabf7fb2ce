//! Owns the second half of an extended build: it uploads the artifacts into a container of the runtime image and runs
//! `assemble-runtime` there, if the script exists.
//!
//! S2I requires the script. b2i does not: an image of a server or an interpreter often needs only the artifacts. Must not
//! know the engine.

use super::container::stage_spec;
use super::runtime_artifacts::RuntimeArtifacts;
use crate::assemble::{AssembledContainer, ContainerRun, Findings, RunError};
use crate::engine::{ContainerLimits, ContainerSpec, Engine, NO_COMMAND};
use crate::events::Events;
use crate::image::ImageConfig;
use crate::image::layer::{Entry, EntryKind};
use crate::plan::{PlannedRuntime, PlannedScript, ScriptOrigin, SourceStage, start_command};
use crate::sources::scripts::ScriptFiles;

pub struct RuntimeRun<'a> {
    pub stage: &'a SourceStage,
    pub runtime: &'a PlannedRuntime,
    /// The name of the runtime image in the engine's store.
    pub image: &'a str,
    pub artifacts: &'a RuntimeArtifacts,
    pub scripts: &'a ScriptFiles,
    pub limits: ContainerLimits,
    /// The config of the runtime image, if the container may become the result.
    pub commit_config: Option<ImageConfig>,
    /// Date of the uploaded files, in seconds since 1970.
    pub date: u64,
    pub lease: &'a str,
}

/// # Errors
/// [`RunError`]; the container is then removed.
pub async fn assemble_runtime(
    engine: &dyn Engine,
    run: RuntimeRun<'_>,
    events: &Events,
) -> Result<AssembledContainer, RunError> {
    let through_shell = run.runtime.assemble.as_ref().is_some_and(|script| script.through_shell);
    match assemble_started(engine, &run, through_shell, events).await {
        Err(RunError::NeedsShell { .. }) => assemble_started(engine, &run, true, events).await,
        assembled => assembled,
    }
}

async fn assemble_started(
    engine: &dyn Engine,
    run: &RuntimeRun<'_>,
    through_shell: bool,
    events: &Events,
) -> Result<AssembledContainer, RunError> {
    let (stage, runtime) = (run.stage, run.runtime);
    let command = runtime.assemble.as_ref().map(|script| start_command(&script.path, through_shell));
    let spec = ContainerSpec {
        image: run.image.to_owned(),
        command: command.unwrap_or_else(|| vec![NO_COMMAND.to_owned()]),
        environment: stage.environment.clone(),
        user: Some(runtime.user.clone()),
        commit_config: run.commit_config.clone(),
        ..stage_spec(stage, &run.limits, run.lease)
    };
    let name = runtime.image.familiar();
    let container = ContainerRun::create(engine, spec, &name, run.date, events).await?;
    let findings = fill(&container, run, &name).await;
    container.keep_assembled(findings).await
}

async fn fill(container: &ContainerRun<'_>, run: &RuntimeRun<'_>, name: &str) -> Result<Findings, RunError> {
    let runtime = run.runtime;
    let owner = container.owner(&runtime.user).await?;
    // Existing directories of the image stay unchanged.
    let targets = runtime.artifacts.iter().map(|(_, directory)| directory.clone());
    let mut entries = container.missing_directories(targets, owner).await?;
    entries.extend(run.artifacts.entries(owner));
    entries.extend(run.scripts.entries(&["assemble-runtime", "run"], &runtime.destination, owner));
    container.upload(without_repeated_directories(entries), name).await?;
    let labels = match &runtime.assemble {
        Some(script) if exists(container, script).await? => container.assemble(&script.path).await?,
        _ => Vec::new(),
    };
    // Checked after `assemble-runtime`, which may create it.
    if let Some(script) = runtime.run.as_ref().filter(|script| script.origin == ScriptOrigin::Image) {
        let needs_shell = container.require_start(&script.path).await?;
        return Ok(Findings { labels, shell_script: needs_shell.then(|| script.path.clone()) });
    }
    Ok(Findings { labels, shell_script: None })
}

/// Two artifacts may share directories. Any other repeated path is an error of the layer.
fn without_repeated_directories(mut entries: Vec<Entry>) -> Vec<Entry> {
    let mut seen = std::collections::HashSet::new();
    entries.retain(|entry| !matches!(entry.kind, EntryKind::Directory) || seen.insert(entry.path.clone()));
    entries
}

/// Whether the container has the script. A script from outside of the image is uploaded.
async fn exists(container: &ContainerRun<'_>, script: &PlannedScript) -> Result<bool, RunError> {
    match script.origin {
        ScriptOrigin::Image => container.has(&script.path).await,
        _ => Ok(true),
    }
}
