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
use crate::assemble::{ContainerRun, RunError};
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::engine::{Container, ContainerLimits, ContainerSpec, Engine};
use crate::events::Events;
use crate::image::ImagePath;
use crate::image::layer::{Entry, EntryKind, Owner};
use crate::plan::{PlannedScript, ScriptOrigin, SourceStage};
use crate::sources::scripts::ScriptFiles;

/// What an earlier build saved.
#[derive(Clone, Default)]
pub struct SavedArtifacts(ContainerFiles);

/// Why nothing was saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The script did not end well.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The image has no such script.
    #[error("`{image}` has no script `save-artifacts`")]
    NoScript {
        /// The image.
        image: String,
    },
    /// Files for `assemble` alone would be seen.
    #[error(
        "in the sandbox, `save-artifacts` would see the secrets and injected files that are for `assemble` alone"
    )]
    SeesSecrets,
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

/// Runs `save-artifacts` in `image`, an earlier result.
///
/// # Errors
/// [`SaveError`]; the container is removed in any case.
pub async fn save_artifacts(
    engine: &dyn Engine,
    image: &str,
    script: &PlannedScript,
    run: &SaveRun<'_>,
    events: &Events,
) -> Result<SavedArtifacts, SaveError> {
    let file = run.file(script)?;
    let spec = ContainerSpec { image: image.to_owned(), ..run.spec(script, &file) };
    let container = ContainerRun::create(engine, spec, &run.stage.builder.name, run.date, events).await?;
    run.save(container, script, file).await
}

/// Runs `save-artifacts` in a container that goes on where `assemble` ended, and gives the file with what it printed,
/// which is a valid archive. It is started in `directory`, the image's own, which Podman does not commit. The container is
/// removed in any case.
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
    let container = ContainerRun::restart(container, spec, &run.stage.builder.name, run.date, events).await?;
    run.save(container, script, file.clone()).await?;
    Ok(file)
}

impl SaveRun<'_> {
    /// The file that gets what the script prints.
    fn file(&self, script: &PlannedScript) -> Result<Arc<File>, SaveError> {
        let file = tempfile::tempfile_in(self.directory);
        file.map(Arc::new).map_err(|source| SaveError::Archive { script: script.path.clone(), source })
    }

    fn spec(&self, script: &PlannedScript, printed: &Arc<File>) -> ContainerSpec {
        ContainerSpec {
            command: vec![script.path.to_string()],
            environment: self.stage.environment.clone(),
            user: Some(self.stage.user.clone()),
            mounts: volumes(self.stage).collect(),
            stdout: Some(printed.clone()),
            ..stage_spec(self.stage, &self.limits, self.lease)
        }
    }

    async fn save(
        &self,
        container: ContainerRun<'_>,
        script: &PlannedScript,
        printed: Arc<File>,
    ) -> Result<SavedArtifacts, SaveError> {
        let saved = async {
            if script.origin != ScriptOrigin::Image {
                let owner = container.owner(&self.stage.user).await?;
                let entries = self.scripts.entries(&["save-artifacts"], &self.stage.destination, owner);
                container.upload(entries, "save-artifacts").await?;
            }
            container.run(|ended| RunError::Script { script: script.path.clone(), ended }).await
        };
        let saved = saved.await;
        container.remove(saved).await?;
        let read = tokio::task::spawn_blocking(move || SavedArtifacts::read(&printed));
        let read = read.await.map_err(io::Error::other).flatten();
        read.map_err(|source| SaveError::Archive { script: script.path.clone(), source })
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
