//! Owns executing the steps on an engine: each runs in the file system that the step before it left. Must not know the
//! engine.

use super::copy::CopyStep;
use super::{OnBuild, RunStep, Step};
use crate::assemble::{AssembledContainer, ContainerRun, Findings, RunError};
use crate::engine::{ContainerLimits, ContainerSpec, Engine, Mount, NO_COMMAND};
use crate::events::Events;
use crate::fs::BoundedTar;
use crate::image::ImagePath;
use crate::image::layer::{Entry, Owner};
use crate::plan::SourceStage;
use crate::request::EnvironmentVariable;
use crate::source_build::container::{stage_spec, volumes};
use crate::source_build::ephemeral::{EphemeralFile, missing_entries};

pub struct OnBuildRun<'a> {
    pub on_build: &'a OnBuild,
    pub stage: &'a SourceStage,
    /// The name of the builder image in the engine's store.
    pub image: &'a str,
    /// Variables that the image does not record.
    pub build_environment: &'a [EnvironmentVariable],
    pub ephemeral: &'a [EphemeralFile],
    pub limits: ContainerLimits,
    pub mounts: Vec<Mount>,
    /// Date of the uploaded files, in seconds since 1970.
    pub date: u64,
    pub lease: &'a str,
}

/// Executes all steps, and checks that the `run` script exists.
///
/// # Errors
/// [`RunError`]; the container is then removed.
pub async fn execute(
    engine: &dyn Engine,
    run: OnBuildRun<'_>,
    events: &Events,
) -> Result<AssembledContainer, RunError> {
    let (spec, image) = (run.spec(run.next_command(0)), &run.stage.builder.name);
    let container = ContainerRun::create(engine, spec, image, run.date, events).await?;
    let container = all_steps(container, &run, events).await?;
    let findings = findings(&container, &run).await;
    container.keep_assembled(findings).await
}

impl OnBuildRun<'_> {
    /// The first command at or after this step.
    fn next_command(&self, from: usize) -> Option<&RunStep> {
        self.on_build.steps[from..].iter().find_map(|step| match step {
            Step::Run(run) => Some(run),
            Step::Copy(_) | Step::Directory(_) => None,
        })
    }

    fn spec(&self, command: Option<&RunStep>) -> ContainerSpec {
        let stage = self.stage;
        let mut environment = command.map(|command| command.environment.clone()).unwrap_or_default();
        environment.retain(|(name, _)| self.build_environment.iter().all(|variable| variable.name != *name));
        let build = self.build_environment.iter();
        environment.extend(build.map(|variable| (variable.name.clone(), variable.value.clone())));
        ContainerSpec {
            image: self.image.to_owned(),
            command: command.map_or_else(|| vec![NO_COMMAND.to_owned()], |command| command.command.clone()),
            environment,
            user: command.map(|command| command.user.clone()),
            directory: command.map(|command| command.directory.clone()),
            mounts: volumes(stage).chain(self.mounts.iter().cloned()).collect(),
            ephemeral: self.ephemeral.iter().map(|file| file.path.clone()).collect(),
            ..stage_spec(stage, &self.limits, self.lease)
        }
    }
}

async fn all_steps<'a>(
    mut container: ContainerRun<'a>,
    run: &OnBuildRun<'_>,
    events: &'a Events,
) -> Result<ContainerRun<'a>, RunError> {
    let mut has_run = false;
    for step in &run.on_build.steps {
        if let Step::Run(command) = step {
            if has_run {
                let (spec, image) = (run.spec(Some(command)), &run.stage.builder.name);
                container = ContainerRun::restart(container.container, spec, image, run.date, events).await?;
            }
            has_run = true;
        }
        let done = match step {
            Step::Copy(copy) => copy_into(&container, copy).await,
            Step::Directory(path) => make_directory(&container, path).await,
            Step::Run(command) => run_command(&container, command, run).await,
        };
        (container, ()) = container.keep(done).await?;
    }
    Ok(container)
}

async fn copy_into(container: &ContainerRun<'_>, copy: &CopyStep) -> Result<(), RunError> {
    let owner = container.owner(copy.owner.as_deref().unwrap_or_default()).await?;
    let destination = &copy.destination;
    let into = match &copy.only_file {
        Some(name) if is_directory(container, destination).await? => Some(destination.join(name)?),
        _ => None,
    };
    let directory = match (&copy.only_file, &into) {
        (Some(_), None) => destination.parent().unwrap_or_else(|| destination.clone()),
        _ => destination.clone(),
    };
    let mut entries = container.missing_directories([directory], owner).await?;
    for (path, entry) in &copy.entries {
        let path = match (path.is_empty(), &into) {
            (true, Some(into)) => into.clone(),
            (true, None) => destination.clone(),
            (false, _) => destination.join(path)?,
        };
        entries.push(Entry { path, kind: entry.kind.clone().into(), mode: entry.mode, owner });
    }
    container.upload(entries, &copy.shown).await
}

/// Whether `path` is a directory. For a link, Docker sends the link and Podman its target.
async fn is_directory(container: &ContainerRun<'_>, path: &ImagePath) -> Result<bool, RunError> {
    if !container.has(path).await? {
        return Ok(false);
    }
    let Some(stream) = container.container.archive(path).await? else { return Ok(false) };
    let (sender, reader) = crate::stream::stream_to_reader();
    let reading = tokio::task::spawn_blocking(move || {
        let mut archive = BoundedTar::new(reader);
        let first = archive.entries()?.next().transpose()?;
        Ok::<_, std::io::Error>(first.is_some_and(|entry| entry.header().entry_type().is_dir()))
    });
    let (read, ()) = tokio::join!(reading, crate::stream::pump(stream, sender));
    read.map_err(std::io::Error::other).flatten().map_err(RunError::Read)
}

async fn make_directory(container: &ContainerRun<'_>, path: &ImagePath) -> Result<(), RunError> {
    let entries = container.missing_directories([path.clone()], Owner::ROOT).await?;
    match entries.is_empty() {
        true => Ok(()),
        false => container.upload(entries, path.as_str()).await,
    }
}

async fn run_command(
    container: &ContainerRun<'_>,
    command: &RunStep,
    run: &OnBuildRun<'_>,
) -> Result<(), RunError> {
    if let Some(script) = &command.script {
        require(container, script, run).await?;
    }
    if !run.ephemeral.is_empty() {
        // The files belong to the user of the command, and are uploaded for each command.
        let owner = container.owner(&command.user).await?;
        let entries = missing_entries(run.ephemeral, container, owner).await?;
        container.upload(entries, "ephemeral files").await?;
    }
    let failed = |status| RunError::Command { command: command.shown.clone(), status };
    container.run_step(&command.shown, failed).await
}

/// The labels that the commands set, if the `run` script exists.
async fn findings(container: &ContainerRun<'_>, run: &OnBuildRun<'_>) -> Result<Findings, RunError> {
    if let Some(script) = &run.stage.scripts.run {
        require(container, &script.path, run).await?;
    }
    Ok(Findings { labels: container.labels().await?, shell_script: None })
}

async fn require(
    container: &ContainerRun<'_>,
    script: &ImagePath,
    run: &OnBuildRun<'_>,
) -> Result<(), RunError> {
    match container.has(script).await? {
        true => Ok(()),
        false => Err(RunError::NotCopied { builder: run.stage.builder.name.clone(), script: script.clone() }),
    }
}
