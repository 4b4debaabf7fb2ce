//! Owns the build caches of one source stage and their mounts. Must not choose the caches; the plan does.
//!
//! The caches are locked until the builder ends: two builds of one project never write to a cache at the same time.

use std::path::Path;

use super::run::SourceWork;
use crate::engine::{Engine, Mount, MountSource};
use crate::error::Error;
use crate::plan::{EngineKind, PlannedCache};
use crate::source_build::{BuildCacheKey, BuildCacheOwner, CacheScope, ProjectIdentity};
use crate::store::cache::{BuildCacheDescription, BuildCacheStore, HeldCache};
use crate::store::daemon::ensure_cache_volume;

/// The locked caches of one stage.
#[derive(Default)]
pub(super) struct StageCaches {
    pub(super) mounts: Vec<Mount>,
    _held: Vec<HeldCache>,
}

impl SourceWork<'_> {
    /// Locks the caches of the plan; waits for other builds.
    pub(super) async fn caches(&self, engine: &dyn Engine) -> Result<StageCaches, Error> {
        let stage = &self.prepared.stage;
        if stage.caches.is_empty() {
            return Ok(StageCaches::default());
        }
        let Some(scope) = self.cache_scope() else { return Ok(StageCaches::default()) };
        let template = stage.builder.name.split(':').next().unwrap_or_default();
        let file_owners = engine.file_owners()?;
        let owner = BuildCacheOwner {
            scope: &scope,
            template,
            user: &stage.user,
            platform: &stage.platform,
            engine: &file_owners,
        };
        let keys = stage.caches.iter().map(|cache| (BuildCacheKey::new(&owner, &cache.name), cache));
        let mut keys: Vec<(BuildCacheKey, &PlannedCache)> = keys.collect();
        // All builds lock in the same order, which prevents a deadlock.
        keys.sort_by(|one, other| one.0.cmp(&other.0));
        let store = BuildCacheStore::open(self.prepared.lease.cache())?;
        let mut caches = StageCaches::default();
        for (key, cache) in keys {
            let shown = format!("build cache `{}` of {scope}", cache.name);
            let held = store.take(key.as_str(), &shown, &self.session.events).await?;
            let source = match self.prepared.daemon.as_ref().filter(|_| stage.engine == EngineKind::Docker) {
                Some(daemon) => {
                    MountSource::Volume(ensure_cache_volume(daemon, &store.owner()?, key.as_str()).await?)
                }
                None => {
                    let description =
                        BuildCacheDescription { template: template.to_owned(), name: cache.name.clone() };
                    MountSource::BuildCache(held.tree(&description, |path| self.remove_cache(path))?)
                }
            };
            caches.mounts.push(Mount { source, target: cache.path.clone(), read_only: false });
            caches._held.push(held);
        }
        Ok(caches)
    }

    /// The owner of this build's caches; none, with a note, for sources without a stable location.
    pub(super) fn cache_scope(&self) -> Option<CacheScope> {
        let options = self.options;
        let context = options.source.context_directory.as_deref();
        let project = || ProjectIdentity::of(&options.location, context).map(CacheScope::Project);
        let scope = options.cache_key.clone().map(CacheScope::Shared).or_else(project);
        if scope.is_none() {
            let message =
                "a later build cannot recognize these sources, so it shares no caches with this one";
            self.session.events.note(message);
        }
        scope
    }

    /// Finishes an interrupted removal of a cache.
    pub(super) fn remove_cache(&self, path: &Path) -> Result<(), Error> {
        Ok(crate::engine::sandbox::remove_directory(&self.session.host.program, path)?)
    }
}
