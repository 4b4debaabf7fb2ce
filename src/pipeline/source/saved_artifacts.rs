//! Owns what an extended build keeps for the next one: a runtime image has nothing of the builder in it that
//! `save-artifacts` could save, so the script runs in the assembled builder, and b2i's cache keeps what it prints.
//!
//! The cache is the project's, like its build caches. Whatever is wrong, the build goes on and says so.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::incremental::whole;
use super::run::SourceWork;
use crate::engine::Container;
use crate::error::Error;
use crate::fs::FileError;
use crate::image::ImagePath;
use crate::plan::{EngineKind, PlannedScript};
use crate::source_build::incremental::{SaveError, SavedArtifacts, save_after};
use crate::source_build::{BuildCacheKey, BuildCacheOwner};
use crate::store::cache::{BuildCacheDescription, BuildCacheStore, HeldCache};

/// The cache's name among those of a project.
const NAME: &str = "save-artifacts";

/// The file in it.
const FILE: &str = "artifacts.tar";

/// The cache of one project, this build's alone.
pub(super) struct KeptArtifacts {
    directory: PathBuf,
    _held: HeldCache,
}

impl SourceWork<'_> {
    /// Takes the cache, if this build keeps something; waits while another build has it.
    pub(super) async fn kept(&self) -> Option<KeptArtifacts> {
        let keeps = self.prepared.stage.runtime.as_ref().is_some_and(|runtime| runtime.keeps_artifacts);
        if !keeps {
            return None;
        }
        let taken = self.take_kept().await;
        taken.unwrap_or_else(|error| {
            let message = format!("nothing is kept for the next build: {}", whole(&error));
            self.session.events.warning(message, None);
            None
        })
    }

    async fn take_kept(&self) -> Result<Option<KeptArtifacts>, Error> {
        let Some(scope) = self.cache_scope() else { return Ok(None) };
        let stage = &self.prepared.stage;
        let owner = BuildCacheOwner {
            scope: &scope,
            // With its tag: another version may not understand what this one saved.
            template: &stage.builder.name,
            user: &stage.user,
            platform: &stage.platform,
            // A tar has no ids of an engine.
            engine: "any",
        };
        let key = BuildCacheKey::new(&owner, NAME);
        let store = BuildCacheStore::open(self.prepared.lease.cache())?;
        let shown = format!("saved artifacts of {scope}");
        let held = store.take(key.as_str(), &shown, &self.session.events).await?;
        let description =
            BuildCacheDescription { template: stage.builder.name.clone(), name: NAME.to_owned() };
        let directory = held.tree(&description, |path| self.remove_cache(path))?;
        Ok(Some(KeptArtifacts { directory, _held: held }))
    }

    /// Lets `save-artifacts` print into the cache; the container is gone then.
    pub(super) async fn keep(&self, container: Box<dyn Container>, kept: &KeptArtifacts) {
        if let Err(error) = self.try_keep(container, kept).await {
            let message = format!("nothing is kept for the next build: {}", whole(&error));
            self.session.events.warning(message, None);
        }
    }

    fn script_that_may_save(&self) -> Result<&PlannedScript, SaveError> {
        let prepared = self.prepared;
        // There it is the same container, with the same files.
        if prepared.stage.engine == EngineKind::Sandbox && !prepared.ephemeral.is_empty() {
            return Err(SaveError::SeesSecrets);
        }
        let missing = || SaveError::NoScript { image: prepared.stage.builder.name.clone() };
        prepared.stage.scripts.save_artifacts.as_ref().ok_or_else(missing)
    }

    async fn try_keep(&self, container: Box<dyn Container>, kept: &KeptArtifacts) -> Result<(), Error> {
        let script = match self.script_that_may_save() {
            Ok(script) => script,
            Err(error) => {
                // The lease's clean-up removes what cannot be removed now.
                let _ = container.remove().await;
                return Err(error.into());
            }
        };
        let directory = ImagePath::new(self.prepared.base.config.working_dir()).ok();
        let (run, events) = (self.save_run(), &self.session.events);
        let file = save_after(container, script, directory.as_ref(), &run, events).await?;
        let written = kept.write(&file);
        let path = kept.directory.join(FILE);
        written.map_err(|error| FileError::new("write", &path, error))?;
        Ok(())
    }
}

impl KeptArtifacts {
    /// What the build before kept; nothing if there is none.
    pub(super) fn read(&self) -> io::Result<SavedArtifacts> {
        match File::open(self.directory.join(FILE)) {
            Ok(file) => SavedArtifacts::read(&Arc::new(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(SavedArtifacts::default()),
            Err(error) => Err(error),
        }
    }

    /// Whole or not at all: a build that is killed leaves what was there.
    fn write(&self, saved: &File) -> io::Result<()> {
        let mut saved = saved;
        io::Seek::rewind(&mut saved)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
        io::copy(&mut saved, &mut file)?;
        file.persist(self.directory.join(FILE)).map_err(|error| error.error)?;
        Ok(())
    }
}
