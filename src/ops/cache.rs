//! Owns the commands on the cache: sizes and pruning.
//!
//! Must not know the layout of the cache; `store/cache` does.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::blocking::blocking;
use crate::engine::sandbox::{SandboxError, remove_directory, remove_pruned};
use crate::error::Error;
use crate::fs::CacheDirectory;
use crate::session::Session;
use crate::store::cache::{self, BuildCacheStore, PartUsage, Pruned, VolumeUsage};
use crate::store::daemon::{CacheVolume, Daemon, cache_volumes, remove_cache_volume};

/// The location and the sizes of the cache.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheInfo {
    pub directory: PathBuf,
    pub parts: Vec<PartUsage>,
}

/// The result of pruning.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CachePruned {
    #[serde(flatten)]
    pub cache: Pruned,
    /// Number of interrupted runs whose leftovers were removed.
    pub interrupted_runs: usize,
}

/// Measures the cache.
pub async fn cache_info(session: &Session) -> Result<CacheInfo, Error> {
    let directory = CacheDirectory::open(&session.host.cache_directory)?;
    let (_, volumes) = volumes(&BuildCacheStore::open(&directory)?, session).await;
    let parts = cache::usage(&directory, volumes)?;
    Ok(CacheInfo { directory: directory.root().to_owned(), parts })
}

/// Removes the files of interrupted runs, and unused entries until at most `keep` bytes are left. With `containers`, also
/// removes the containers of interrupted runs from the daemon.
///
/// # Errors
/// [`Error`] if the cache cannot be read, or if `containers` is set and no daemon answers.
pub async fn prune_cache(keep: u64, containers: bool, session: &Session) -> Result<CachePruned, Error> {
    let directory = CacheDirectory::open(&session.host.cache_directory)?;
    let mut interrupted_runs = session.remove_abandoned_files();
    if containers {
        let daemon = session.find_daemon().await?.ok_or(Error::NoDaemon)?;
        interrupted_runs = interrupted_runs.max(session.remove_abandoned(Some(&daemon)).await);
    }
    let store = BuildCacheStore::open(&directory)?;
    let (daemon, volumes) = volumes(&store, session).await;
    let program = session.host.program.clone();
    let work = blocking(move || {
        let mut removed = Vec::new();
        let pruned = cache::prune(&directory, keep, volumes, &mut |key| {
            // The lock is held until the volume is removed, so no build starts to use it.
            let lock = store.take_to_remove(key);
            lock.map(|lock| removed.push((key.to_owned(), lock))).is_some()
        });
        if let Err(error) = remove_of_other_ids(&program, &directory, &store) {
            tracing::warn!(%error, "some files of unpacked layers or build caches were not removed");
        }
        pruned.map(|pruned| (pruned, removed))
    });
    let (mut cache, removed) = work.await?;
    for (key, _lock) in removed {
        let Some(daemon) = &daemon else { continue };
        if !remove_cache_volume(daemon, &key).await? {
            cache.entries -= 1;
            cache.in_use += 1;
        }
    }
    Ok(CachePruned { cache, interrupted_runs })
}

/// Removes files that pruning skipped, because only a user namespace has rights over their owners.
fn remove_of_other_ids(
    program: &Path,
    directory: &CacheDirectory,
    store: &BuildCacheStore,
) -> Result<(), SandboxError> {
    remove_pruned(program, directory)?;
    store.halves().iter().try_for_each(|half| remove_directory(program, half.path()))
}

/// The build caches in the daemon, with the daemon. Does not contact a daemon that never had one.
async fn volumes(store: &BuildCacheStore, session: &Session) -> (Option<Daemon>, Vec<VolumeUsage>) {
    let Some(owner) = store.known_owner() else { return (None, Vec::new()) };
    let listed = async {
        let Some(daemon) = session.find_daemon().await? else { return Ok::<_, Error>((None, Vec::new())) };
        let volumes = cache_volumes(&daemon, &owner).await?;
        Ok((Some(daemon), volumes))
    };
    let (daemon, volumes) = listed.await.unwrap_or_else(|error| {
        session.events.warning(format!("skipping the build caches in the daemon: {error}"), None);
        (None, Vec::new())
    });
    if volumes.iter().any(|volume| volume.bytes.is_none()) {
        let message = "the daemon does not report the size of its build caches; they count as empty";
        session.events.warning(message, None);
    }
    let usage = |CacheVolume { key, bytes }| VolumeUsage {
        used: store.last_use(&key),
        key,
        bytes: bytes.unwrap_or_default(),
    };
    (daemon, volumes.into_iter().map(usage).collect())
}
