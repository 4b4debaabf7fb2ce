//! Owns what is asked of the cache: how large it is, and making it smaller.

use std::path::PathBuf;

use serde::Serialize;

use crate::blocking::blocking;
use crate::error::Error;
use crate::fs::CacheDirectory;
use crate::session::Session;
use crate::store::cache::{self, BuildCacheStore, PartUsage, Pruned, VolumeUsage};
use crate::store::daemon::{CacheVolume, Daemon, cache_volumes, remove_cache_volume};

/// What the cache holds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheInfo {
    /// Where it is.
    pub directory: PathBuf,
    /// What its parts take.
    pub parts: Vec<PartUsage>,
}

/// What pruning did.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CachePruned {
    /// What was removed of the cache.
    #[serde(flatten)]
    pub cache: Pruned,
    /// How many runs that were interrupted were cleaned up after.
    pub interrupted_runs: usize,
}

/// Says what the cache holds.
///
/// # Errors
/// [`Error`] if it cannot be read.
pub async fn cache_info(session: &Session) -> Result<CacheInfo, Error> {
    let directory = CacheDirectory::open(&session.host.cache_directory)?;
    let volumes = volumes(&BuildCacheStore::open(&directory)?, session).await;
    Ok(CacheInfo {
        directory: directory.root().to_owned(),
        parts: cache::usage_with_volumes(&directory, volumes.found)?,
    })
}

/// Removes what no run uses until at most `keep` bytes are left, and what interrupted runs left behind; what they
/// left in the daemon only if `containers` says so.
///
/// # Errors
/// [`Error`] if the cache cannot be read, or the daemon was asked for and does not answer.
pub async fn prune_cache(keep: u64, containers: bool, session: &Session) -> Result<CachePruned, Error> {
    let directory = CacheDirectory::open(&session.host.cache_directory)?;
    let daemon = if containers { Some(session.find_daemon().await?.ok_or(Error::NoDaemon)?) } else { None };
    // Without the daemon the leases stay: they are how its containers are recognised.
    let interrupted_runs = match &daemon {
        Some(daemon) => session.remove_abandoned(Some(daemon)).await,
        None => 0,
    };
    let store = BuildCacheStore::open(&directory)?;
    let Volumes { daemon, found } = volumes(&store, session).await;
    let program = session.host.program.clone();
    let work = blocking(move || {
        let mut doomed = Vec::new();
        let pruned = cache::prune(&directory, keep, found, &mut |key| {
            // Held until the volume is gone, so that no build begins to use it meanwhile.
            let held = store.take_to_remove(key);
            held.map(|held| doomed.push((key.to_owned(), held))).is_some()
        });
        if let Err(error) = remove_of_other_ids(&program, &directory, &store) {
            tracing::warn!(%error, "some files of unpacked layers or build caches were not removed");
        }
        pruned.map(|pruned| (pruned, doomed))
    });
    let (mut cache, doomed) = work.await?;
    for (key, _held) in doomed {
        let Some(daemon) = &daemon else { continue };
        if !remove_cache_volume(daemon, &key).await? {
            cache.entries -= 1;
            cache.in_use += 1;
        }
    }
    Ok(CachePruned { cache, interrupted_runs })
}

/// Removes what pruning had to leave, because it belongs to ids that only a user namespace has rights over.
fn remove_of_other_ids(
    program: &std::path::Path,
    directory: &CacheDirectory,
    store: &BuildCacheStore,
) -> Result<(), crate::engine::sandbox::SandboxError> {
    crate::engine::sandbox::remove_pruned(program, directory)?;
    store.halves().iter().try_for_each(|half| crate::engine::sandbox::remove_directory(program, half.path()))
}

/// Build caches in the daemon.
struct Volumes {
    daemon: Option<Daemon>,
    found: Vec<VolumeUsage>,
}

/// Asks the daemon for them, if it was ever given one. One that does not answer has none that could be counted.
async fn volumes(store: &BuildCacheStore, session: &Session) -> Volumes {
    let nothing = Volumes { daemon: None, found: Vec::new() };
    let Some(owner) = store.known_owner() else { return nothing };
    let listed = match session.find_daemon().await {
        Ok(None) => return nothing,
        Ok(Some(daemon)) => {
            cache_volumes(&daemon, &owner).await.map(|found| (daemon, found)).map_err(Error::from)
        }
        Err(error) => Err(error),
    };
    match listed {
        Ok((daemon, found)) => {
            if found.iter().any(|volume| volume.bytes.is_none()) {
                let message = "the daemon does not say what build caches in it take, so they count as empty";
                session.events.warning(message, None);
            }
            let of_volume = |CacheVolume { key, bytes }| VolumeUsage {
                used: store.last_use(&key),
                key,
                bytes: bytes.unwrap_or_default(),
            };
            Volumes { daemon: Some(daemon), found: found.into_iter().map(of_volume).collect() }
        }
        Err(error) => {
            let message = format!("build caches in the daemon are left out: {error}");
            session.events.warning(message, None);
            nothing
        }
    }
}
