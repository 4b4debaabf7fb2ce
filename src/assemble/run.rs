//! Owns `run`: the builder's own `assemble` script on an engine, as S2I runs it.
//!
//! Upload `<destination>/src`, run `<scripts>/assemble` as the assemble user, read what it says about labels, take
//! the change. Works with any engine. Source of the contract: S2I's builder image contract.

use super::container_run::ContainerRun;
use super::error::RunError;
use super::place::{Inputs, source_kind};
use crate::engine::{Container, ContainerLimits, ContainerSpec, Diff, Engine};
use crate::events::Events;
use crate::image::layer::{Entry, Layer, Owner};
use crate::image::{Digest, ImagePath};
use crate::plan::{EntrySource, PlannedEntry, PlannedSource};

/// One run of a script: the planned part and what the builder image's labels told.
#[derive(Debug)]
pub struct ScriptRun<'a> {
    /// The image to start from, as the engine's own store knows it.
    pub image: &'a str,
    /// The builder, as it is called in errors.
    pub builder: &'a str,
    /// Directory of the scripts.
    pub scripts: &'a ImagePath,
    /// Whether the result is started by the script `run`.
    pub needs_run: bool,
    /// Where S2I's `src` goes.
    pub destination: &'a ImagePath,
    /// User of the script.
    pub user: &'a str,
    /// What is put into the container before.
    pub entries: &'a [PlannedEntry],
    /// Files for the script.
    pub sources: &'a [PlannedSource],
    /// Environment of the script.
    pub environment: &'a [(String, String)],
    /// What it may use.
    pub limits: ContainerLimits,
    /// Network; none means no network.
    pub network: Option<&'a str>,
    /// Date of the uploaded files, in seconds since 1970.
    pub date: u64,
    /// The lease of this run.
    pub lease: &'a str,
}

/// A run that ended well.
#[derive(Debug)]
pub struct RunOutcome {
    /// The change, as the engine gives it.
    pub changes: Diff,
    /// Labels that the script left in `image_metadata.json`.
    pub labels: Vec<(String, String)>,
    /// Digest of the artifact that was uploaded.
    pub artifact_digest: Option<Digest>,
    /// The container. It is no longer needed, and for the caller to remove while other work goes on.
    pub container: Box<dyn Container>,
}

/// Runs the script.
///
/// # Errors
/// [`RunError`]; the container is then removed.
pub async fn run_script(
    engine: &dyn Engine,
    run: ScriptRun<'_>,
    inputs: Inputs<'_>,
    events: &Events,
) -> Result<RunOutcome, RunError> {
    let script = run.scripts.join("assemble")?;
    let mut environment = run.environment.to_vec();
    environment.push(("S2I_DESTINATION".into(), run.destination.to_string()));
    let spec = ContainerSpec {
        image: run.image.to_owned(),
        command: vec![script.to_string()],
        environment,
        user: Some(run.user.to_owned()),
        limits: run.limits.clone(),
        network: run.network.map(Into::into),
        lease: run.lease.to_owned(),
        ..ContainerSpec::default()
    };
    let container = ContainerRun::create(engine, spec, run.builder, run.date, events).await?;
    let outcome = async {
        let files = upload_layer(&run, container.owner(run.user).await?, inputs)?;
        let artifact_digest = container.upload_layer(files, &inputs.artifact.name).await?;
        let labels = container.assemble(&script).await?;
        if run.needs_run {
            // Only now: a script may make the other.
            container.require(&run.scripts.join("run")?).await?;
        }
        let changes = container.container.take_changes(events).await?;
        Ok((changes, labels, artifact_digest))
    };
    let outcome = outcome.await;
    let (container, (changes, labels, artifact_digest)) = container.keep(outcome).await?;
    Ok(RunOutcome { changes, labels, artifact_digest, container: container.container })
}

/// What is uploaded: the planned entries at their places, the sources below `<destination>/src`.
fn upload_layer(run: &ScriptRun<'_>, owner: Owner, inputs: Inputs<'_>) -> Result<Layer, RunError> {
    let mut entries: Vec<Entry> = Vec::new();
    for entry in run.entries {
        let kind = source_kind(&entry.what, inputs);
        entries.push(Entry { path: entry.path.clone(), kind, mode: entry.mode, owner: entry.owner });
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
