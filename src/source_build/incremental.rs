//! Owns what an earlier build saved: `save-artifacts` runs in the image of that build, and the tar that it prints is
//! read into entries for the new one (`container_files`).
//!
//! Links have to stay inside of the directory of artifacts. Must not decide what happens if there is nothing: that is the
//! road's.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::container::{stage_spec, volumes};
use super::container_files::{ContainerFiles, OutwardLinks};
use crate::assemble::{RunError, resolve_owner, upload};
use crate::diagnostic::Diagnostic;
use crate::engine::{Container, ContainerLimits, ContainerSpec, Engine};
use crate::events::Events;
use crate::image::ImagePath;
use crate::image::layer::{Entry, EntryKind, Layer, Owner};
use crate::plan::{PlannedScript, ScriptOrigin, SourceStage};
use crate::sources::scripts::ScriptFiles;

/// What an earlier build saved.
#[derive(Clone, Default)]
pub struct SavedArtifacts(ContainerFiles);

/// Why nothing was saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError<E: Diagnostic> {
    /// The script did not end well.
    #[error(transparent)]
    Run(#[from] RunError<E>),
    /// What it printed is no archive that can be taken over.
    #[error("what `{script}` printed cannot be taken over")]
    Archive {
        /// The script.
        script: ImagePath,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Runs `save-artifacts` in `image`, an earlier result.
///
/// # Errors
/// [`SaveError`]; the container is removed in any case.
pub async fn save_artifacts<E: Engine>(
    engine: &E,
    image: &str,
    script: &PlannedScript,
    run: &SaveRun<'_>,
    events: &Events,
) -> Result<SavedArtifacts, SaveError<E::Error>>
where
    E::Container: Container<Error = E::Error>,
{
    let archive = |source| SaveError::Archive { script: script.path.clone(), source };
    let file = Arc::new(tempfile::tempfile_in(run.directory).map_err(archive)?);
    let spec = ContainerSpec { image: image.to_owned(), ..spec(run, script, &file) };
    let container = engine.create(spec).await.map_err(RunError::Engine)?;
    let saved = run_in(&container, script, run, events).await;
    let removed = container.remove().await;
    saved?;
    removed.map_err(RunError::Engine)?;
    let read = tokio::task::spawn_blocking(move || SavedArtifacts::read(&file));
    read.await.map_err(io::Error::other).flatten().map_err(archive)
}

/// Runs `save-artifacts` in a container that goes on where `assemble` ended, and gives the file with what it printed,
/// which is a valid archive. It is started in `directory`, the image's own, which Podman does not commit. The container is
/// removed in any case.
///
/// # Errors
/// [`SaveError`].
pub async fn save_after<C: Container>(
    container: C,
    script: &PlannedScript,
    directory: Option<&ImagePath>,
    run: &SaveRun<'_>,
    events: &Events,
) -> Result<Arc<File>, SaveError<C::Error>> {
    let archive = |source| SaveError::Archive { script: script.path.clone(), source };
    let file = Arc::new(tempfile::tempfile_in(run.directory).map_err(archive)?);
    let spec = ContainerSpec { directory: directory.cloned(), ..spec(run, script, &file) };
    let container = container.restart(spec, events).await.map_err(RunError::Engine)?;
    let saved = run_in(&container, script, run, events).await;
    let removed = container.remove().await;
    saved?;
    removed.map_err(RunError::Engine)?;
    let printed = file.clone();
    let read = tokio::task::spawn_blocking(move || SavedArtifacts::read(&printed));
    read.await.map_err(io::Error::other).flatten().map_err(archive)?;
    Ok(file)
}

fn spec(run: &SaveRun<'_>, script: &PlannedScript, printed: &Arc<File>) -> ContainerSpec {
    ContainerSpec {
        command: vec![script.path.to_string()],
        environment: run.stage.environment.clone(),
        user: Some(run.stage.user.clone()),
        mounts: volumes(run.stage).collect(),
        stdout: Some(printed.clone()),
        ..stage_spec(run.stage, &run.limits, run.lease)
    }
}

/// What running the script needs.
pub struct SaveRun<'a> {
    /// The source stage.
    pub stage: &'a SourceStage,
    /// The scripts from outside.
    pub scripts: &'a ScriptFiles,
    /// What it may use.
    pub limits: ContainerLimits,
    /// Directory for what it prints.
    pub directory: &'a std::path::Path,
    /// Date of uploaded files, in seconds since 1970.
    pub date: u64,
    /// The lease of this run.
    pub lease: &'a str,
}

async fn run_in<C: Container>(
    container: &C,
    script: &PlannedScript,
    run: &SaveRun<'_>,
    events: &Events,
) -> Result<(), RunError<C::Error>> {
    if script.origin != ScriptOrigin::Image {
        let owner = resolve_owner(container, &run.stage.user, &run.stage.builder.name).await?;
        let entries = run.scripts.entries(&["save-artifacts"], &run.stage.destination, owner);
        upload(container, Layer::new(entries, run.date)?, "save-artifacts", events).await?;
    }
    let ended = container.run(events).await.map_err(RunError::Engine)?;
    match ended.exit_code {
        0 => Ok(()),
        _ => Err(RunError::Script { script: script.path.clone(), ended }),
    }
}

impl SavedArtifacts {
    /// What `save-artifacts` printed into a file.
    ///
    /// # Errors
    /// An error of reading, or one that names what is not confined.
    pub fn read(file: &Arc<File>) -> io::Result<Self> {
        ContainerFiles::read(file, OutwardLinks::Refused).map(Self)
    }

    /// The entries below `directory`, with an entry for it; nothing if nothing was saved.
    pub(super) fn entries(&self, directory: &ImagePath, owner: Owner) -> Vec<Entry> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let top = Entry { path: directory.clone(), kind: EntryKind::Directory, mode: 0o755, owner };
        std::iter::once(top).chain(self.0.entries(directory, owner)).collect()
    }
}
