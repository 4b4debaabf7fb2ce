//! Owns the artifact cache of extended builds. A runtime image has no files of the builder for `save-artifacts`, so the
//! script runs in the assembled builder, and its output goes into a cache of the project.
//!
//! Must not fail the build: an error is a warning.

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
use crate::plan::{PlannedScript, save_sees_secrets};
use crate::source_build::incremental::{SaveError, SavedArtifacts, save_after};
use crate::source_build::{BuildCacheKey, BuildCacheOwner};
use crate::store::cache::{BuildCacheDescription, BuildCacheStore, HeldCache};

/// The cache's name among those of a project.
const NAME: &str = "save-artifacts";

/// The file in it.
const FILE: &str = "artifacts.tar";

/// The artifact cache of one project, locked for this build.
pub(super) struct ArtifactCache {
    directory: PathBuf,
    _held: HeldCache,
}

impl SourceWork<'_> {
    /// Locks the cache if the build saves artifacts; waits for other builds.
    pub(super) async fn artifact_cache(&self) -> Option<ArtifactCache> {
        let keeps = self.prepared.stage.runtime.as_ref().is_some_and(|runtime| runtime.keeps_artifacts);
        if !keeps {
            return None;
        }
        let cache = self.lock_artifact_cache().await;
        cache.unwrap_or_else(|error| {
            self.warn_unsaved(&error);
            None
        })
    }

    async fn lock_artifact_cache(&self) -> Result<Option<ArtifactCache>, Error> {
        let Some(scope) = self.cache_scope() else { return Ok(None) };
        let stage = &self.prepared.stage;
        let owner = BuildCacheOwner {
            scope: &scope,
            // With its tag: another version may not read these artifacts.
            template: &stage.builder.name,
            user: &stage.user,
            platform: &stage.platform,
            // A tar does not depend on the ids of an engine.
            engine: "any",
        };
        let key = BuildCacheKey::new(&owner, NAME);
        let store = BuildCacheStore::open(self.prepared.lease.cache())?;
        let shown = format!("saved artifacts of {scope}");
        let held = store.take(key.as_str(), &shown, &self.session.events).await?;
        let description =
            BuildCacheDescription { template: stage.builder.name.clone(), name: NAME.to_owned() };
        let directory = held.tree(&description, |path| self.remove_cache(path))?;
        Ok(Some(ArtifactCache { directory, _held: held }))
    }

    /// Runs `save-artifacts` into the cache, and removes the container.
    pub(super) async fn save(&self, container: Box<dyn Container>, cache: &ArtifactCache) {
        if let Err(error) = self.try_save(container, cache).await {
            self.warn_unsaved(&error);
        }
    }

    fn warn_unsaved(&self, error: &Error) {
        let message = format!("the next build cannot restore artifacts of this one: {}", whole(error));
        self.session.events.warning(message, None);
    }

    fn save_script(&self) -> Result<&PlannedScript, SaveError> {
        let prepared = self.prepared;
        if save_sees_secrets(prepared.stage.engine, !prepared.ephemeral.is_empty()) {
            return Err(SaveError::SeesSecrets);
        }
        let missing = || SaveError::NoScript { image: prepared.stage.builder.name.clone() };
        prepared.stage.scripts.save_artifacts.as_ref().ok_or_else(missing)
    }

    async fn try_save(&self, container: Box<dyn Container>, cache: &ArtifactCache) -> Result<(), Error> {
        let script = match self.save_script() {
            Ok(script) => script,
            Err(error) => {
                // The lease's clean-up removes it otherwise.
                let _ = container.remove().await;
                return Err(error.into());
            }
        };
        let directory = ImagePath::new(self.prepared.base.config.working_dir()).ok();
        let (run, events) = (self.save_run(), &self.session.events);
        let file = save_after(container, script, directory.as_ref(), &run, events).await?;
        let written = cache.write(&file);
        let path = cache.directory.join(FILE);
        written.map_err(|error| FileError::new("write", &path, error))?;
        Ok(())
    }
}

impl ArtifactCache {
    /// The artifacts of the previous build; empty for the first one.
    pub(super) fn read(&self) -> io::Result<SavedArtifacts> {
        match File::open(self.directory.join(FILE)) {
            Ok(file) => SavedArtifacts::read(&Arc::new(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(SavedArtifacts::default()),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file atomically: a killed build leaves the old one.
    fn write(&self, saved: &File) -> io::Result<()> {
        let mut saved = saved;
        io::Seek::rewind(&mut saved)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
        io::copy(&mut saved, &mut file)?;
        file.persist(self.directory.join(FILE)).map_err(|error| error.error)?;
        Ok(())
    }
}
