//! Owns one assembly of sources: the builder's `assemble` on an engine, as S2I runs it.
//!
//! Upload `<destination>/src`, the scripts from outside and what an earlier build saved; run `assemble`; read what it
//! says about labels. Works over any engine and knows none. What becomes of the container is the caller's.

use std::collections::BTreeSet;

use super::container::{stage_spec, volumes};
use super::ephemeral::EphemeralFile;
use super::incremental::SavedArtifacts;
use crate::assemble::{RunError, kept_if_well, left_labels, resolve_owner, upload};
use crate::engine::{Container, ContainerLimits, ContainerSpec, Engine, Mount};
use crate::events::{Events, Step};
use crate::image::layer::{Entry, Layer, Owner};
use crate::image::{ImageConfig, ImagePath};
use crate::plan::{PlannedScript, ScriptOrigin, SourceStage};
use crate::request::{EnvironmentVariable, VolumeRequest};
use crate::sources::SourceTree;
use crate::sources::scripts::ScriptFiles;

/// What one assembly needs beside its plan.
pub struct SourceRun<'a> {
    /// The plan.
    pub stage: &'a SourceStage,
    /// The `assemble` script.
    pub assemble: &'a PlannedScript,
    /// The image to start from, as the engine's own store knows it.
    pub image: &'a str,
    /// What makes the base into the template's builder image; empty for a builder image.
    pub template: &'a [Entry],
    /// The sources.
    pub tree: &'a SourceTree,
    /// The scripts from outside.
    pub scripts: &'a ScriptFiles,
    /// Variables that the template gives its image.
    pub template_environment: &'a [(String, String)],
    /// Variables that leave no trace.
    pub build_environment: &'a [EnvironmentVariable],
    /// What an earlier build saved.
    pub saved: &'a SavedArtifacts,
    /// Files that are there only while it runs.
    pub ephemeral: &'a [EphemeralFile],
    /// What it may use.
    pub limits: ContainerLimits,
    /// What is mounted in it.
    pub mounts: Vec<Mount>,
    /// What stands in the result where build caches are mounted; none if it is no image.
    pub places: Option<Layer>,
    /// The config of the image, if the container itself may become the result.
    pub commit_config: Option<ImageConfig>,
    /// Date of the uploaded files, in seconds since 1970.
    pub date: u64,
    /// The lease of this run.
    pub lease: &'a str,
}

/// An assembly that ended well.
#[derive(Debug)]
pub struct AssembledSources<C> {
    /// The container, as the script left it.
    pub container: C,
    /// Labels that the script left in `image_metadata.json`.
    pub labels: Vec<(String, String)>,
}

/// Assembles.
///
/// # Errors
/// [`RunError`]; the container is then removed.
pub async fn assemble<E: Engine>(
    engine: &E,
    run: SourceRun<'_>,
    events: &Events,
) -> Result<AssembledSources<E::Container>, RunError<E::Error>>
where
    E::Container: Container<Error = E::Error>,
{
    let stage = run.stage;
    let spec = ContainerSpec {
        image: run.image.to_owned(),
        command: vec![run.assemble.path.to_string()],
        environment: environment(&run),
        user: Some(stage.user.clone()),
        mounts: volumes(stage).chain(run.mounts.iter().cloned()).collect(),
        ephemeral: run.ephemeral.iter().map(|file| file.path.clone()).chain(mount_places(stage)).collect(),
        places: run.places.clone(),
        commit_config: run.commit_config.clone(),
        ..stage_spec(stage, &run.limits, run.lease)
    };
    let container = engine.create(spec).await.map_err(RunError::Engine)?;
    let outcome = assemble_in(&container, &run, events).await;
    let (container, labels) = kept_if_well(container, outcome).await?;
    Ok(AssembledSources { container, labels })
}

/// A later variable wins over an earlier one of the same name.
fn environment(run: &SourceRun<'_>) -> Vec<(String, String)> {
    let build = run.build_environment.iter().map(|variable| (variable.name.clone(), variable.value.clone()));
    let mut environment: Vec<(String, String)> = Vec::new();
    for (name, value) in run.template_environment.iter().chain(&run.stage.environment).cloned().chain(build) {
        environment.retain(|(known, _)| *known != name);
        environment.push((name, value));
    }
    environment
}

async fn assemble_in<C: Container>(
    container: &C,
    run: &SourceRun<'_>,
    events: &Events,
) -> Result<Vec<(String, String)>, RunError<C::Error>> {
    let stage = run.stage;
    let owner = resolve_owner(container, &stage.user, &stage.builder.name).await?;
    let mut missing = Vec::new();
    for file in run.ephemeral {
        if !file.is_directory() || !container.has(&file.path).await.map_err(RunError::Engine)? {
            missing.push(file.entry(owner));
        }
    }
    let files = files(run, owner, missing)?;
    upload(container, files, &stage.source.name, events).await?;
    let script = &run.assemble.path;
    let step = events.start(Step::Assemble, script.to_string(), None);
    let ended = match container.run(events).await {
        Ok(ended) => ended,
        // Asked only now: a script that is there, as nearly always, needs no question.
        Err(error) if run.assemble.origin == ScriptOrigin::Image && !is_there(container, script).await => {
            tracing::debug!(%error, "the script did not start");
            return Err(RunError::NoScript { builder: stage.builder.name.clone(), script: script.clone() });
        }
        Err(error) => return Err(RunError::Engine(error)),
    };
    if ended.exit_code != 0 {
        return Err(RunError::Script { script: script.clone(), ended });
    }
    let labels = left_labels(container).await?;
    step.made(format!("by {script}")).finish("");
    Ok(labels)
}

/// An engine that cannot say counts as one that has it: then its own error is told.
async fn is_there<C: Container>(container: &C, script: &ImagePath) -> bool {
    container.has(script).await.unwrap_or(true)
}

/// Where volumes are mounted, and the directories above: an engine makes those that are not there. (The places of build
/// caches are the template's own directories.)
fn mount_places(stage: &SourceStage) -> BTreeSet<ImagePath> {
    let above =
        |volume: &VolumeRequest| std::iter::successors(Some(volume.target.clone()), ImagePath::parent);
    stage.volumes.iter().flat_map(above).filter(|path| path.as_str() != "/").collect()
}

/// What is uploaded.
fn files<E: crate::diagnostic::Diagnostic>(
    run: &SourceRun<'_>,
    owner: Owner,
    ephemeral: Vec<Entry>,
) -> Result<Layer, RunError<E>> {
    let destination = &run.stage.destination;
    let mut entries = run.template.to_vec();
    entries.extend(ephemeral);
    let source = destination.join("src")?;
    entries.extend(run.tree.layer_entries(&source, owner));
    entries.extend(run.saved.entries(&destination.join("artifacts")?, owner));
    entries.extend(run.scripts.entries(&["assemble", "run"], destination, owner));
    Ok(Layer::new(entries, run.date)?)
}
