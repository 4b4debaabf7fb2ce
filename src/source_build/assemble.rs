//! Owns one assembly of sources: the builder's `assemble` on an engine, as S2I runs it.
//!
//! Upload `<destination>/src`, the scripts from outside and what an earlier build saved; run `assemble`; read what it
//! says about labels. Works with any engine. What becomes of the container is the caller's.

use std::collections::BTreeSet;

use super::container::{stage_spec, volumes};
use super::ephemeral::{EphemeralFile, missing_entries};
use super::incremental::SavedArtifacts;
use crate::assemble::{AssembledContainer, ContainerRun, RunError};
use crate::engine::{ContainerLimits, ContainerSpec, Engine, Mount};
use crate::events::Events;
use crate::image::layer::{Entry, Layer, Owner};
use crate::image::{ImageConfig, ImagePath};
use crate::plan::{PlannedScript, SourceStage};
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

/// Assembles.
///
/// # Errors
/// [`RunError`]; the container is then removed.
pub async fn assemble(
    engine: &dyn Engine,
    run: SourceRun<'_>,
    events: &Events,
) -> Result<AssembledContainer, RunError> {
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
    let container = ContainerRun::create(engine, spec, &stage.builder.name, run.date, events).await?;
    let labels = async {
        let owner = container.owner(&stage.user).await?;
        let ephemeral = missing_entries(run.ephemeral, &container, owner).await?;
        container.upload(entries(&run, owner, ephemeral)?, &stage.source.name).await?;
        container.assemble(&run.assemble.path).await
    };
    let labels = labels.await;
    container.keep_assembled(labels).await
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

/// Where volumes are mounted, and the directories above: an engine makes those that are not there. (The places of build
/// caches are the template's own directories.)
fn mount_places(stage: &SourceStage) -> BTreeSet<ImagePath> {
    let above =
        |volume: &VolumeRequest| std::iter::successors(Some(volume.target.clone()), ImagePath::parent);
    stage.volumes.iter().flat_map(above).filter(|path| path.as_str() != "/").collect()
}

/// What is uploaded.
fn entries(run: &SourceRun<'_>, owner: Owner, ephemeral: Vec<Entry>) -> Result<Vec<Entry>, RunError> {
    let destination = &run.stage.destination;
    let mut entries = run.template.to_vec();
    entries.extend(ephemeral);
    entries.extend(run.tree.layer_entries(&destination.join("src")?, owner));
    entries.extend(run.saved.entries(&destination.join("artifacts")?, owner));
    entries.extend(run.scripts.entries(&["assemble", "run"], destination, owner));
    Ok(entries)
}
