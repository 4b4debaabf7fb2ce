//! Owns what is asked of the cache: how large it is, and making it smaller.

use std::path::PathBuf;

use serde::Serialize;

use super::prepare::remove_abandoned;
use super::{Error, Surroundings};
use crate::fs::CacheDirectory;
use crate::store::cache::{self, PartUsage, Pruned};

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
pub async fn cache_info(surroundings: &Surroundings) -> Result<CacheInfo, Error> {
    let directory = CacheDirectory::open(&surroundings.cache_directory)?;
    Ok(CacheInfo { directory: directory.root().to_owned(), parts: cache::usage(&directory)? })
}

/// Removes what no run uses until at most `keep` bytes are left, and what interrupted runs left behind; what they
/// left in the daemon only if `containers` says so.
///
/// # Errors
/// [`Error`] if the cache cannot be read, or the daemon was asked for and does not answer.
pub async fn prune_cache(
    keep: u64,
    containers: bool,
    surroundings: &Surroundings,
) -> Result<CachePruned, Error> {
    let directory = CacheDirectory::open(&surroundings.cache_directory)?;
    let daemon =
        if containers { Some(surroundings.find_daemon().await?.ok_or(Error::NoDaemon)?) } else { None };
    // Without the daemon the leases stay: they are how its containers are recognised.
    let interrupted_runs = match &daemon {
        Some(daemon) => remove_abandoned(surroundings, Some(daemon), false).await,
        None => 0,
    };
    #[cfg(target_os = "linux")]
    let program = surroundings.program.clone();
    let cache = tokio::task::spawn_blocking(move || {
        let pruned = cache::prune(&directory, keep);
        #[cfg(target_os = "linux")]
        if let Err(error) = crate::engine::sandbox::remove_pruned(&program, &directory) {
            tracing::warn!(%error, "some files of unpacked layers were not removed");
        }
        pruned
    });
    let cache = match cache.await {
        Ok(pruned) => pruned?,
        // It is never aborted and does not panic by design; if it does, the panic goes on here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    Ok(CachePruned { cache, interrupted_runs })
}
