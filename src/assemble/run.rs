//! Owns `run`: the builder's own `assemble` script on an engine, as S2I runs it.
//!
//! Upload `<destination>/src`, run `<scripts>/assemble` as the assemble user, read what it says about labels, take
//! the change. Works over any engine and knows none. Source of the contract: DESIGN §4.2, S2I's builder image
//! contract.

use std::fmt::Write as _;

use super::labels::left_labels;
use super::place::{Inputs, source_kind};
use super::upload::{resolve_owner, upload};
use crate::builder::BuilderError;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::engine::{Container, ContainerLimits, ContainerSpec, Diff, Engine, ExitStatus};
use crate::events::{Events, Step};
use crate::image::layer::{Entry, InvalidLayer, Layer, Owner};
use crate::image::path::InvalidImagePath;
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
pub struct RunOutcome<C> {
    /// What it yielded.
    pub result: RunResult,
    /// The container. It is no longer needed, and for the caller to remove while other work goes on.
    pub container: C,
}

/// What a run yields.
#[derive(Debug)]
pub struct RunResult {
    /// The change, as the engine gives it.
    pub changes: Diff,
    /// Labels that the script left in `image_metadata.json`.
    pub labels: Vec<(String, String)>,
    /// Digest of the artifact that was uploaded.
    pub artifact_digest: Option<Digest>,
}

/// A run that did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError<E: Diagnostic> {
    /// The engine failed.
    #[error(transparent)]
    Engine(E),
    /// The script ended with a code other than zero.
    #[error("{}", describe(&format!("the builder's script `{script}`"), ended))]
    Script {
        /// The script's path.
        script: ImagePath,
        /// How it ended.
        ended: ExitStatus,
    },
    /// A command of the builder image's instructions ended with a code other than zero.
    #[error("{}", describe(&format!("the builder's `{command}`"), ended))]
    Command {
        /// The command.
        command: String,
        /// How it ended.
        ended: ExitStatus,
    },
    /// A script of the sources is not where the builder image's instructions should have put it.
    #[error("no instruction of the builder image `{builder}` put a script at `{script}`")]
    NotCopied {
        /// The builder.
        builder: String,
        /// The script's path.
        script: ImagePath,
    },
    /// A script that the contract asks for is not there.
    #[error("the builder image `{builder}` has no script `{script}`")]
    NoScript {
        /// The builder.
        builder: String,
        /// The script's path.
        script: ImagePath,
    },
    /// The files cannot be uploaded as planned.
    #[error(transparent)]
    Layer(#[from] InvalidLayer),
    /// A source's name makes no path.
    #[error(transparent)]
    Path(#[from] InvalidImagePath),
    /// `image_metadata.json` is not what it has to be.
    #[error(transparent)]
    Metadata(#[from] BuilderError),
    /// The user is a name that the image does not know.
    #[error(
        "`assemble` is to run as `{user}`, and /etc/passwd of the builder image `{builder}` has no such user"
    )]
    UnknownUser {
        /// The builder.
        builder: String,
        /// The name.
        user: String,
    },
    /// An input could not be read to its end.
    #[error("what goes into the container could not be read")]
    Read(#[source] std::io::Error),
}

impl<E: Diagnostic> Diagnostic for RunError<E> {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Engine(error) => error.kind(),
            Self::Script { .. } | Self::Command { .. } => FailureKind::Assemble,
            Self::Layer(_) | Self::Path(_) => FailureKind::Usage,
            Self::Metadata(_) => FailureKind::Assemble,
            Self::NoScript { .. } | Self::NotCopied { .. } | Self::UnknownUser { .. } => FailureKind::Builder,
            Self::Read(_) => FailureKind::Input,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Engine(error) => error.hints(),
            Self::Script { ended, .. } | Self::Command { ended, .. } if ended.out_of_memory => {
                vec!["give it more with `--memory`".into()]
            }
            Self::Script { ended, .. } if matches!(ended.exit_code, 126 | 127) => {
                vec![
                    "the script, or the interpreter its first line names, is missing or not executable"
                        .into(),
                ]
            }
            Self::NoScript { .. } => vec![
                "a builder image has `assemble` and `run` in the directory that its label \
                 `io.openshift.s2i.scripts-url` names"
                    .into(),
            ],
            Self::UnknownUser { .. } => vec!["name a numeric user with `--assemble-user UID:GID`".into()],
            Self::Metadata(error) => error.hints(),
            Self::NotCopied { .. } => {
                vec!["its `ONBUILD COPY` or `ADD` has to put the sources into its working directory".into()]
            }
            // What the script says of itself stands in the message.
            Self::Script { .. } | Self::Command { .. } | Self::Layer(_) | Self::Path(_) | Self::Read(_) => {
                Vec::new()
            }
        }
    }
}

fn describe(what: &str, ended: &ExitStatus) -> String {
    let mut text = format!("{what} failed with exit code {}", ended.exit_code);
    if ended.out_of_memory {
        text.push_str(", killed for using more memory than allowed");
    }
    if !ended.last_lines.is_empty() {
        text.push_str("; its last lines:");
        for line in &ended.last_lines {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  {line}");
        }
    }
    text
}

/// Runs the script.
///
/// # Errors
/// [`RunError`]; the container is then removed.
pub async fn run_script<E: Engine>(
    engine: &E,
    run: ScriptRun<'_>,
    inputs: Inputs<'_>,
    events: &Events,
) -> Result<RunOutcome<E::Container>, RunError<E::Error>>
where
    E::Container: Container<Error = E::Error>,
{
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
    let container = engine.create(spec).await.map_err(RunError::Engine)?;
    let outcome = run_in(&container, &run, &script, inputs, events).await;
    let (container, result) = kept_if_well(container, outcome).await?;
    Ok(RunOutcome { result, container })
}

/// Gives the container with what came of it; after an error it is removed.
pub(crate) async fn kept_if_well<C: Container, T>(
    container: C,
    outcome: Result<T, RunError<C::Error>>,
) -> Result<(C, T), RunError<C::Error>> {
    match outcome {
        Ok(value) => Ok((container, value)),
        Err(error) => {
            // The error of the run is the one to report; the lease's clean-up removes what is left.
            let _ = container.remove().await;
            Err(error)
        }
    }
}

async fn run_in<C: Container>(
    container: &C,
    run: &ScriptRun<'_>,
    script: &ImagePath,
    inputs: Inputs<'_>,
    events: &Events,
) -> Result<RunResult, RunError<C::Error>> {
    let owner = resolve_owner(container, run.user, run.builder).await?;
    let files = upload_layer(run, owner, inputs)?;
    let artifact_digest = upload(container, files, &inputs.artifact.name, events).await?;
    require(container, run, script).await?;
    let step = events.start(Step::Assemble, script.to_string(), None);
    let ended = container.run(events).await.map_err(RunError::Engine)?;
    if ended.exit_code != 0 {
        return Err(RunError::Script { script: script.clone(), ended });
    }
    if run.needs_run {
        // Only now: a script may make the other.
        require(container, run, &run.scripts.join("run")?).await?;
    }
    let labels = left_labels(container).await?;
    step.made(format!("by {script}")).finish("");
    let changes = container.take_changes(events).await.map_err(RunError::Engine)?;
    Ok(RunResult { changes, labels, artifact_digest })
}

async fn require<C: Container>(
    container: &C,
    run: &ScriptRun<'_>,
    script: &ImagePath,
) -> Result<(), RunError<C::Error>> {
    if container.has(script).await.map_err(RunError::Engine)? {
        return Ok(());
    }
    Err(RunError::NoScript { builder: run.builder.to_owned(), script: script.clone() })
}

/// What is uploaded: the planned entries at their places, the sources below `<destination>/src`.
fn upload_layer<E: Diagnostic>(
    run: &ScriptRun<'_>,
    owner: Owner,
    inputs: Inputs<'_>,
) -> Result<Layer, RunError<E>> {
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
