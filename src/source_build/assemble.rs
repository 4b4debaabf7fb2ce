//! Owns one run of the builder's `assemble` with sources, by S2I's contract.
//!
//! It uploads `<destination>/src`, the scripts and the saved artifacts, runs `assemble`, and reads its labels. Must not know
//! the engine, nor decide what happens to the container.

use std::collections::BTreeSet;

use super::container::{stage_spec, volumes};
use super::ephemeral::{EphemeralFile, missing_entries};
use super::incremental::SavedArtifacts;
use crate::assemble::{AssembledContainer, ContainerRun, Findings, RunError};
use crate::engine::{ContainerLimits, ContainerSpec, Engine, Mount};
use crate::events::Events;
use crate::image::layer::{Entry, Layer, Owner};
use crate::image::{ImageConfig, ImagePath};
use crate::plan::{PlannedScript, ScriptOrigin, SourceStage, start_command};
use crate::request::{EnvironmentVariable, VolumeRequest};
use crate::sources::SourceTree;
use crate::sources::scripts::ScriptFiles;

pub struct SourceRun<'a> {
    pub stage: &'a SourceStage,
    pub assemble: &'a PlannedScript,
    /// The name of the builder in the engine's store.
    pub image: &'a str,
    /// The entries that make the base into the builder image of a template; else empty.
    pub template: &'a [Entry],
    pub tree: &'a SourceTree,
    pub scripts: &'a ScriptFiles,
    pub template_environment: &'a [(String, String)],
    /// Variables that the image does not record.
    pub build_environment: &'a [EnvironmentVariable],
    pub saved: &'a SavedArtifacts,
    pub ephemeral: &'a [EphemeralFile],
    pub limits: ContainerLimits,
    pub mounts: Vec<Mount>,
    /// The directories of the image at the mount points of build caches, if the container becomes an image.
    pub places: Option<Layer>,
    /// The config of the image, if the container may become it.
    pub commit_config: Option<ImageConfig>,
    /// Date of the uploaded files, in seconds since 1970.
    pub date: u64,
    pub lease: &'a str,
}

/// # Errors
/// [`RunError`]; the container is then removed.
pub async fn assemble(
    engine: &dyn Engine,
    run: SourceRun<'_>,
    events: &Events,
) -> Result<AssembledContainer, RunError> {
    match assemble_started(engine, &run, run.assemble.through_shell, events).await {
        Err(RunError::NeedsShell { .. }) => assemble_started(engine, &run, true, events).await,
        assembled => assembled,
    }
}

async fn assemble_started(
    engine: &dyn Engine,
    run: &SourceRun<'_>,
    through_shell: bool,
    events: &Events,
) -> Result<AssembledContainer, RunError> {
    let stage = run.stage;
    let spec = ContainerSpec {
        image: run.image.to_owned(),
        command: start_command(&run.assemble.path, through_shell),
        environment: environment(run),
        user: Some(stage.user.clone()),
        mounts: volumes(stage).chain(run.mounts.iter().cloned()).collect(),
        ephemeral: run.ephemeral.iter().map(|file| file.path.clone()).chain(mount_points(stage)).collect(),
        places: run.places.clone(),
        commit_config: run.commit_config.clone(),
        ..stage_spec(stage, &run.limits, run.lease)
    };
    let container = ContainerRun::create(engine, spec, &stage.builder.name, run.date, events).await?;
    let findings = async {
        let owner = container.owner(&stage.user).await?;
        let ephemeral = missing_entries(run.ephemeral, &container, owner).await?;
        container.upload(entries(run, owner, ephemeral)?, &stage.source.name).await?;
        let labels = container.assemble(&run.assemble.path).await?;
        // To read this script, too, would cost every build a request. A builder has the line in all of its scripts or in none.
        let starts = stage.scripts.run.as_ref().filter(|script| {
            through_shell && script.origin == ScriptOrigin::Image && stage.runtime.is_none()
        });
        let shell_script = match starts {
            Some(script) if container.require_start(&script.path).await? => Some(script.path.clone()),
            _ => None,
        };
        Ok(Findings { labels, shell_script })
    };
    let findings = findings.await;
    container.keep_assembled(findings).await
}

/// A later variable replaces an earlier one of the same name.
fn environment(run: &SourceRun<'_>) -> Vec<(String, String)> {
    let build = run.build_environment.iter().map(|variable| (variable.name.clone(), variable.value.clone()));
    let mut environment: Vec<(String, String)> = Vec::new();
    for (name, value) in run.template_environment.iter().chain(&run.stage.environment).cloned().chain(build) {
        environment.retain(|(known, _)| *known != name);
        environment.push((name, value));
    }
    environment
}

/// The mount points of volumes and the directories above them: an engine creates missing ones. (The mount points of build
/// caches are directories of the template.)
fn mount_points(stage: &SourceStage) -> BTreeSet<ImagePath> {
    let above =
        |volume: &VolumeRequest| std::iter::successors(Some(volume.target.clone()), ImagePath::parent);
    stage.volumes.iter().flat_map(above).filter(|path| path.as_str() != "/").collect()
}

/// The entries to upload.
fn entries(run: &SourceRun<'_>, owner: Owner, ephemeral: Vec<Entry>) -> Result<Vec<Entry>, RunError> {
    let destination = &run.stage.destination;
    let mut entries = run.template.to_vec();
    entries.extend(ephemeral);
    entries.extend(run.tree.layer_entries(&destination.join("src")?, owner));
    entries.extend(run.saved.entries(&destination.join("artifacts")?, owner));
    entries.extend(run.scripts.entries(&["assemble", "run"], destination, owner));
    Ok(entries)
}
