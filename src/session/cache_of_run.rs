//! Owns the temporary directory that replaces the cache if none can be created, as in a container with a read-only root.
//! The run has a place for its temporary files, and keeps nothing.
//!
//! Must not replace a directory that the user names.

use std::sync::PoisonError;

use tempfile::TempDir;

use super::Session;
use crate::error::Error;
use crate::fs::{FileError, Lease};

/// A cache that ends with its run.
pub(super) struct CacheOfRun {
    /// Why there is no other.
    reason: FileError,
    _directory: TempDir,
}

impl Session {
    /// Takes a lease in a temporary directory, if the cache cannot be created for `reason`.
    ///
    /// # Errors
    /// `reason`, if no directory is writable or the user named the cache.
    pub(super) fn lease_without_cache(&self, reason: FileError) -> Result<Lease, FileError> {
        let exists = self.host.cache_directory.symlink_metadata().is_ok();
        if matches!(reason, FileError::Full { .. }) || (exists && matches!(reason, FileError::Refused { .. }))
        {
            return Err(reason);
        }
        for parent in &self.host.temporary_directories {
            let Ok(directory) = tempfile::Builder::new().prefix("b2i-").tempdir_in(parent) else { continue };
            let Ok(lease) = Lease::acquire(&directory.path().join("cache")) else { continue };
            let message = format!("{reason}; using `{}` for this run, and keeping nothing", parent.display());
            self.events.note(message);
            let cache = CacheOfRun { reason, _directory: directory };
            *self.cache_of_run.lock().unwrap_or_else(PoisonError::into_inner) = Some(cache);
            return Ok(lease);
        }
        Err(reason)
    }

    /// Rejects work that is useless without a cache, such as unpacking layers for the sandbox.
    ///
    /// # Errors
    /// The reason why there is no cache, whose hint names `--cache-dir`.
    pub(crate) fn require_cache(&self) -> Result<(), Error> {
        let cache = self.cache_of_run.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cache {
            Some(cache) => Err(cache.reason.repeated().into()),
            None => Ok(()),
        }
    }
}
