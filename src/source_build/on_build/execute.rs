//! Owns carrying the steps out on an engine: files are uploaded, commands run one after the other, each in what the one
//! before left. Works over any engine and knows none.

use super::copy::CopyStep;
use super::{OnBuild, RunStep, Step};
use crate::assemble::{RunError, kept_if_well, left_labels, resolve_owner, upload};
use crate::engine::{Container, ContainerLimits, ContainerSpec, Engine, Mount, NO_COMMAND};
use crate::events::{Events, Step as Progress};
use crate::image::ImagePath;
use crate::image::layer::{Entry, Layer, Owner};
use crate::plan::SourceStage;
use crate::request::EnvironmentVariable;
use crate::source_build::assemble::AssembledSources;
use crate::source_build::container::{stage_spec, volumes};
use crate::source_build::directories::missing_directories;
use crate::source_build::ephemeral::EphemeralFile;

/// What carrying out needs beside the steps.
pub struct OnBuildRun<'a> {
    /// The steps.
    pub on_build: &'a OnBuild,
    /// The plan.
    pub stage: &'a SourceStage,
    /// The builder image, as the engine's own store knows it.
    pub image: &'a str,
    /// Variables of the commands that leave no trace.
    pub build_environment: &'a [EnvironmentVariable],
    /// Files that are there only while commands run.
    pub ephemeral: &'a [EphemeralFile],
    /// What a command may use.
    pub limits: ContainerLimits,
    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// Date of the uploaded files, in seconds since 1970.
    pub date: u64,
    /// The lease of this run.
    pub lease: &'a str,
}

/// Carries all steps out, and checks that the script is there that starts the result.
///
/// # Errors
/// [`RunError`]; the container is then removed.
pub async fn execute<E: Engine>(
    engine: &E,
    run: OnBuildRun<'_>,
    events: &Events,
) -> Result<AssembledSources<E::Container>, RunError<E::Error>>
where
    E::Container: Container<Error = E::Error>,
{
    let container = engine.create(run.spec(run.next_command(0))).await.map_err(RunError::Engine)?;
    let container = all_steps(container, &run, events).await?;
    let outcome = ending(&container, &run).await;
    let (container, labels) = kept_if_well(container, outcome).await?;
    Ok(AssembledSources { container, labels })
}

impl OnBuildRun<'_> {
    /// The first command from this step on.
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

async fn all_steps<C: Container>(
    mut container: C,
    run: &OnBuildRun<'_>,
    events: &Events,
) -> Result<C, RunError<C::Error>> {
    let mut has_run = false;
    for step in &run.on_build.steps {
        if let Step::Run(command) = step {
            if has_run {
                container =
                    container.restart(run.spec(Some(command)), events).await.map_err(RunError::Engine)?;
            }
            has_run = true;
        }
        let done = match step {
            Step::Copy(copy) => copy_into(&container, copy, run, events).await,
            Step::Directory(path) => make_directory(&container, path, run, events).await,
            Step::Run(command) => run_command(&container, command, run, events).await,
        };
        (container, ()) = kept_if_well(container, done).await?;
    }
    Ok(container)
}

async fn copy_into<C: Container>(
    container: &C,
    copy: &CopyStep,
    run: &OnBuildRun<'_>,
    events: &Events,
) -> Result<(), RunError<C::Error>> {
    let owner =
        resolve_owner(container, copy.owner.as_deref().unwrap_or_default(), &run.stage.builder.name).await?;
    let destination = &copy.destination;
    let into = match &copy.only_file {
        Some(name) if is_directory(container, destination).await? => Some(destination.join(name)?),
        _ => None,
    };
    let directory = match (&copy.only_file, &into) {
        (Some(_), None) => destination.parent().unwrap_or_else(|| destination.clone()),
        _ => destination.clone(),
    };
    let mut entries = missing_directories(container, [directory], owner).await?;
    for (path, entry) in &copy.entries {
        let path = match (path.is_empty(), &into) {
            (true, Some(into)) => into.clone(),
            (true, None) => destination.clone(),
            (false, _) => destination.join(path)?,
        };
        entries.push(Entry { path, kind: entry.kind.clone().into(), mode: entry.mode, owner });
    }
    upload(container, Layer::new(entries, run.date)?, &copy.shown, events).await.map(drop)
}

/// Whether a directory is there: of a link, Docker tells the link and Podman what it leads to.
async fn is_directory<C: Container>(container: &C, path: &ImagePath) -> Result<bool, RunError<C::Error>> {
    if !container.has(path).await.map_err(RunError::Engine)? {
        return Ok(false);
    }
    let Some(stream) = container.archive(path).await.map_err(RunError::Engine)? else { return Ok(false) };
    let (sender, reader) = crate::stream::stream_to_reader();
    let reading = tokio::task::spawn_blocking(move || {
        let mut archive = tar::Archive::new(reader);
        let first = archive.entries()?.next().transpose()?;
        Ok::<_, std::io::Error>(first.is_some_and(|entry| entry.header().entry_type().is_dir()))
    });
    let (read, ()) = tokio::join!(reading, crate::stream::pump(stream, sender));
    read.map_err(std::io::Error::other).flatten().map_err(RunError::Read)
}

async fn make_directory<C: Container>(
    container: &C,
    path: &ImagePath,
    run: &OnBuildRun<'_>,
    events: &Events,
) -> Result<(), RunError<C::Error>> {
    let entries = missing_directories(container, [path.clone()], Owner::ROOT).await?;
    if entries.is_empty() {
        return Ok(());
    }
    upload(container, Layer::new(entries, run.date)?, path.as_str(), events).await.map(drop)
}

async fn run_command<C: Container>(
    container: &C,
    command: &RunStep,
    run: &OnBuildRun<'_>,
    events: &Events,
) -> Result<(), RunError<C::Error>> {
    if let Some(script) = &command.script {
        require(container, script, run).await?;
    }
    upload_ephemeral(container, command, run, events).await?;
    let step = events.start(Progress::Assemble, command.shown.clone(), None);
    let ended = container.run(events).await.map_err(RunError::Engine)?;
    if ended.exit_code != 0 {
        return Err(RunError::Command { command: command.shown.clone(), ended });
    }
    step.made(format!("by {}", command.shown)).finish("");
    Ok(())
}

/// They belong to whoever runs the command, and are there for each anew.
async fn upload_ephemeral<C: Container>(
    container: &C,
    command: &RunStep,
    run: &OnBuildRun<'_>,
    events: &Events,
) -> Result<(), RunError<C::Error>> {
    if run.ephemeral.is_empty() {
        return Ok(());
    }
    let owner = resolve_owner(container, &command.user, &run.stage.builder.name).await?;
    let mut entries = Vec::new();
    for file in run.ephemeral {
        if !file.is_directory() || !container.has(&file.path).await.map_err(RunError::Engine)? {
            entries.push(file.entry(owner));
        }
    }
    upload(container, Layer::new(entries, run.date)?, "files of the build alone", events).await.map(drop)
}

/// What the commands say about labels, if the script is there that starts the result.
async fn ending<C: Container>(
    container: &C,
    run: &OnBuildRun<'_>,
) -> Result<Vec<(String, String)>, RunError<C::Error>> {
    if let Some(script) = &run.stage.scripts.run {
        require(container, &script.path, run).await?;
    }
    left_labels(container).await
}

async fn require<C: Container>(
    container: &C,
    script: &ImagePath,
    run: &OnBuildRun<'_>,
) -> Result<(), RunError<C::Error>> {
    if container.has(script).await.map_err(RunError::Engine)? {
        return Ok(());
    }
    Err(RunError::NotCopied { builder: run.stage.builder.name.clone(), script: script.clone() })
}
