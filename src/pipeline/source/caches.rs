//! Owns the build caches of one source stage: taking those of its project, and what of them its engine mounts.
//!
//! Held until the builder has ended: two builds of one project never write to one cache at the same time.

use std::path::Path;

use super::run::SourceWork;
use crate::engine::{Engine, Mount, MountSource};
use crate::error::Error;
use crate::plan::{EngineKind, PlannedCache};
use crate::source_build::{BuildCacheKey, BuildCacheOwner, CacheScope, ProjectIdentity};
use crate::store::cache::{BuildCacheDescription, BuildCacheStore, HeldCache};
use crate::store::daemon::ensure_cache_volume;

/// The caches of one stage, this build's alone.
#[derive(Default)]
pub(super) struct StageCaches {
    /// What is to be mounted.
    pub(super) mounts: Vec<Mount>,
    _held: Vec<HeldCache>,
}

impl SourceWork<'_> {
    /// Takes the caches that the plan names; waits while another build has one.
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
        // In one order for all builds: two that wait for each other would wait for ever.
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

    /// Whose caches this build uses; if nobody's, it says so.
    pub(super) fn cache_scope(&self) -> Option<CacheScope> {
        let wanted = self.wanted;
        let context = wanted.source.context_directory.as_deref();
        let project = || ProjectIdentity::of(&wanted.location, context).map(CacheScope::Project);
        let scope = wanted.cache_key.clone().map(CacheScope::Shared).or_else(project);
        if scope.is_none() {
            let message = "these sources have no place that a later build could know them by, so nothing is kept for it";
            self.session.events.note(message);
        }
        scope
    }

    /// Removes what an interrupted removal left of a cache.
    pub(super) fn remove_cache(&self, path: &Path) -> Result<(), Error> {
        Ok(crate::engine::sandbox::remove_directory(&self.session.host.program, path)?)
    }
}
