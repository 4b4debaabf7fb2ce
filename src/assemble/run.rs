//! Owns running the builder's `assemble` script, as S2I does.
//!
//! It uploads `<destination>/src`, runs `<scripts>/assemble` as the assemble user, reads the labels, and takes the
//! change. Must not know engines. Source: S2I's builder image contract.

use super::container_run::ContainerRun;
use super::error::RunError;
use super::place::{Inputs, layer_entries, source_kind};
use crate::engine::{Container, ContainerLimits, ContainerSpec, Diff, Engine};
use crate::events::Events;
use crate::image::layer::{Entry, Layer, Owner};
use crate::image::{Digest, ImagePath};
use crate::plan::{EntrySource, PlannedEntry, PlannedSource, start_command};
use crate::sources::scripts::{ScriptFile, ScriptFiles};

/// One run of a script: the plan and the labels of the builder image.
#[derive(Debug)]
pub struct ScriptRun<'a> {
    /// ID or name in the engine's store.
    pub image: &'a str,
    pub builder: &'a str,
    pub scripts: &'a ImagePath,
    /// The scripts that the image does not have, for that directory.
    pub uploaded: &'a [ScriptFile],
    /// Whether the image starts with the script `run`.
    pub needs_run: bool,
    pub destination: &'a ImagePath,
    pub user: &'a str,
    pub entries: &'a [PlannedEntry],
    pub sources: &'a [PlannedSource],
    pub environment: &'a [(String, String)],
    pub limits: ContainerLimits,
    pub network: Option<&'a str>,
    /// Date of uploaded files, in seconds since 1970.
    pub date: u64,
    pub lease: &'a str,
}

#[derive(Debug)]
pub struct RunOutcome {
    pub changes: Diff,
    pub labels: Vec<(String, String)>,
    pub artifact_digest: Option<Digest>,
    /// The script `run`, if only a shell can start it.
    pub shell_script: Option<ImagePath>,
    /// The container of the script. The caller removes it while other work continues.
    pub container: Box<dyn Container>,
}

/// Runs the script. After an error, the container is removed.
///
/// As in S2I, a shell starts a script without a `#!` line. That shows only when it is started, so the container is made anew.
pub async fn run_script(
    engine: &dyn Engine,
    run: ScriptRun<'_>,
    inputs: Inputs<'_>,
    events: &Events,
) -> Result<RunOutcome, RunError> {
    match run_started(engine, &run, false, inputs, events).await {
        Err(RunError::NeedsShell { .. }) => run_started(engine, &run, true, inputs, events).await,
        outcome => outcome,
    }
}

async fn run_started(
    engine: &dyn Engine,
    run: &ScriptRun<'_>,
    through_shell: bool,
    inputs: Inputs<'_>,
    events: &Events,
) -> Result<RunOutcome, RunError> {
    let script = run.scripts.join("assemble")?;
    let mut environment = run.environment.to_vec();
    environment.push(("S2I_DESTINATION".into(), run.destination.to_string()));
    let spec = ContainerSpec {
        image: run.image.to_owned(),
        command: start_command(&script, through_shell),
        environment,
        user: Some(run.user.to_owned()),
        limits: run.limits.clone(),
        network: run.network.map(Into::into),
        lease: run.lease.to_owned(),
        ..ContainerSpec::default()
    };
    let container = ContainerRun::create(engine, spec, run.builder, run.date, events).await?;
    let outcome = async {
        let files = upload_layer(run, container.owner(run.user).await?, inputs)?;
        let artifact_digest = container.upload_layer(files, &inputs.artifact.name).await?;
        let labels = container.assemble(&script).await?;
        let mut shell_script = None;
        if run.needs_run {
            // Checked only now, because `assemble` may create it.
            let script = run.scripts.join("run")?;
            shell_script = container.require_start(&script).await?.then_some(script);
        }
        let changes = container.container.take_changes(events).await?;
        Ok((changes, labels, artifact_digest, shell_script))
    };
    let outcome = outcome.await;
    let (container, (changes, labels, artifact_digest, shell_script)) = container.keep(outcome).await?;
    Ok(RunOutcome { changes, labels, artifact_digest, shell_script, container: container.container })
}

/// The files to upload: planned entries, and sources below `<destination>/src`.
fn upload_layer(run: &ScriptRun<'_>, owner: Owner, inputs: Inputs<'_>) -> Result<Layer, RunError> {
    let mut entries: Vec<Entry> = Vec::new();
    for entry in run.entries {
        entries.extend(layer_entries(entry, inputs));
    }
    if !run.uploaded.is_empty() {
        let files = ScriptFiles { named: run.uploaded.to_vec(), ..ScriptFiles::default() };
        entries.extend(files.entries(&["assemble", "run"], run.destination, owner));
    }
    let source = run.destination.join("src")?;
    let directory = source_kind(&EntrySource::Directory, inputs);
    entries.push(Entry { path: source.clone(), kind: directory, mode: 0o755, owner });
    let mut artifact = None;
    for planned in run.sources {
        let path = source.join(&planned.path)?;
        if planned.what == EntrySource::Artifact {
            artifact = Some(path.clone());
        }
        entries.push(Entry { path, kind: source_kind(&planned.what, inputs), mode: planned.mode, owner });
    }
    let layer = Layer::new(entries, run.date)?;
    Ok(match artifact {
        Some(path) if inputs.artifact.sha256.is_none() => layer.watching(path),
        _ => layer,
    })
}
