//! Owns running `save-artifacts` in the image of an earlier build, and reading the printed tar into entries.
//!
//! Links must stay inside the directory of artifacts. Must not decide what happens without saved artifacts.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::container::{stage_spec, volumes};
use super::container_files::{ContainerFiles, OutwardLinks};
use crate::assemble::{ContainerRun, RunError};
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::engine::{Container, ContainerLimits, ContainerSpec, Engine};
use crate::events::Events;
use crate::image::ImagePath;
use crate::image::layer::{Entry, EntryKind, Owner};
use crate::plan::{PlannedScript, ScriptOrigin, SourceStage, start_command};
use crate::sources::scripts::ScriptFiles;

#[derive(Clone, Default)]
pub struct SavedArtifacts(ContainerFiles);

#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("`{image}` has no script `save-artifacts`")]
    NoScript { image: String },
    #[error("in the sandbox, `save-artifacts` would see the secrets and injected files of `assemble`")]
    SeesSecrets,
    #[error("cannot read the archive that `{script}` printed")]
    Archive { script: ImagePath, source: io::Error },
}

impl Diagnostic for SaveError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Run(error) => error.kind(),
            Self::NoScript { .. } | Self::SeesSecrets => FailureKind::Usage,
            Self::Archive { .. } => FailureKind::Assemble,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Run(error) => error.hints(),
            Self::NoScript { .. } | Self::SeesSecrets | Self::Archive { .. } => Vec::new(),
        }
    }
}

pub struct SaveRun<'a> {
    pub stage: &'a SourceStage,
    pub scripts: &'a ScriptFiles,
    pub limits: ContainerLimits,
    /// The directory for the printed tar.
    pub directory: &'a std::path::Path,
    /// Date of uploaded files, in seconds since 1970.
    pub date: u64,
    pub lease: &'a str,
}

/// Runs `save-artifacts` in `image`, the result of an earlier build.
///
/// # Errors
/// [`SaveError`]. The container is always removed.
pub async fn save_artifacts(
    engine: &dyn Engine,
    image: &str,
    script: &PlannedScript,
    run: &SaveRun<'_>,
    events: &Events,
) -> Result<SavedArtifacts, SaveError> {
    let file = run.file(script)?;
    let spec = ContainerSpec { image: image.to_owned(), ..run.spec(script, &file) };
    let container =
        ContainerRun::create(engine, spec.clone(), &run.stage.builder.name, run.date, events).await?;
    run.save(container, script, spec, events).await
}

/// Runs `save-artifacts` in the container of a finished `assemble`, and returns the printed tar, which is valid. The script
/// starts in `directory`, the working directory of the image, which Podman does not commit. The container is always removed.
///
/// # Errors
/// [`SaveError`].
pub async fn save_after(
    container: Box<dyn Container>,
    script: &PlannedScript,
    directory: Option<&ImagePath>,
    run: &SaveRun<'_>,
    events: &Events,
) -> Result<Arc<File>, SaveError> {
    let file = run.file(script)?;
    let spec = ContainerSpec { directory: directory.cloned(), ..run.spec(script, &file) };
    let image = &run.stage.builder.name;
    let container = ContainerRun::restart(container, spec.clone(), image, run.date, events).await?;
    run.save(container, script, spec, events).await?;
    Ok(file)
}

impl SaveRun<'_> {
    /// The file for the printed tar.
    fn file(&self, script: &PlannedScript) -> Result<Arc<File>, SaveError> {
        let file = tempfile::tempfile_in(self.directory);
        file.map(Arc::new).map_err(|source| SaveError::Archive { script: script.path.clone(), source })
    }

    fn spec(&self, script: &PlannedScript, printed: &Arc<File>) -> ContainerSpec {
        ContainerSpec {
            command: script.command(),
            environment: self.stage.environment.clone(),
            user: Some(self.stage.user.clone()),
            mounts: volumes(self.stage).collect(),
            stdout: Some(printed.clone()),
            ..stage_spec(self.stage, &self.limits, self.lease)
        }
    }

    /// Runs the script, whose container has `spec`. A shell starts a script without a `#!` line in the next container.
    async fn save(
        &self,
        container: ContainerRun<'_>,
        script: &PlannedScript,
        spec: ContainerSpec,
        events: &Events,
    ) -> Result<SavedArtifacts, SaveError> {
        let printed = spec.stdout.clone().expect("`SaveRun::spec` has a file for the tar");
        let saved = async {
            if script.origin != ScriptOrigin::Image {
                let owner = container.owner(&self.stage.user).await?;
                let entries = self.scripts.entries(&["save-artifacts"], &self.stage.destination, owner);
                container.upload(entries, "save-artifacts").await?;
            }
            container.run_script(&script.path).await
        };
        match saved.await {
            Err(RunError::NeedsShell { .. }) => {
                let spec = ContainerSpec { command: start_command(&script.path, true), ..spec };
                let image = &self.stage.builder.name;
                let next = ContainerRun::restart(container.container, spec, image, self.date, events).await?;
                let saved = next.run_script(&script.path).await;
                next.remove(saved).await?;
            }
            saved => container.remove(saved).await?,
        }
        let read = tokio::task::spawn_blocking(move || SavedArtifacts::read(&printed));
        let read = read.await.map_err(io::Error::other).flatten();
        read.map_err(|source| SaveError::Archive { script: script.path.clone(), source })
    }
}

impl SavedArtifacts {
    /// Reads the tar that `save-artifacts` printed.
    ///
    /// # Errors
    /// An error of reading, or one that names the refused entry.
    pub fn read(file: &Arc<File>) -> io::Result<Self> {
        ContainerFiles::read(file, OutwardLinks::Refuse).map(Self)
    }

    /// The entries below `directory` and its own entry; empty without saved artifacts.
    pub(super) fn entries(&self, directory: &ImagePath, owner: Owner) -> Vec<Entry> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let top = Entry { path: directory.clone(), kind: EntryKind::Directory, mode: 0o755, owner };
        std::iter::once(top).chain(self.0.entries(directory, owner)).collect()
    }
}
