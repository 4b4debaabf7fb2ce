//! Owns what a front end hands over of the machine: cache, daemon, catalog, and the lease of this run.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::builder::CatalogSettings;
use crate::error::Error;
use crate::events::Events;
use crate::fs::{AtomicDirectory, Lease};
use crate::store::cache::{ImageCache, Memo};
use crate::store::daemon::{Daemon, DaemonSettings};
use crate::store::registry::{Registries, RegistrySettings};

/// What a front end knows of the machine and its configuration.
#[derive(Clone)]
pub struct Session {
    /// The cache's directory; made when it is needed.
    pub cache_directory: PathBuf,
    /// Which daemon to use.
    pub daemon: DaemonChoice,
    /// How registries are reached.
    pub registry: RegistrySettings,
    /// What configuration changes in the catalog.
    pub catalog: CatalogSettings,
    /// b2i itself: the sandbox starts it again.
    pub program: PathBuf,
    /// Where events go.
    pub events: Events,
    /// Where the user stands: that directory and those above it are not replaced.
    pub working_directory: Option<PathBuf>,
    /// Gives standard input, for `-`.
    pub stdin: fn() -> Box<dyn Read + Send>,
    /// The lease of this run, once it is taken; it outlives a dropped future so that what was left behind is known.
    lease: Arc<Mutex<Option<Arc<Lease>>>>,
    /// The daemon, once it was found; it outlives a dropped future, too, with the calls it is still busy with.
    found: Arc<Mutex<Option<Daemon>>>,
}

/// What decides which daemon is used.
#[derive(Clone, Debug, Default)]
pub struct DaemonChoice {
    /// How it is found.
    pub settings: DaemonSettings,
    /// Where registries' credentials are looked for when the daemon pulls.
    pub credential_files: Vec<PathBuf>,
}

impl Session {
    /// Puts together what a front end knows.
    pub fn new(
        cache_directory: PathBuf,
        daemon: DaemonChoice,
        registry: RegistrySettings,
        catalog: CatalogSettings,
        program: PathBuf,
        events: Events,
        stdin: fn() -> Box<dyn Read + Send>,
    ) -> Self {
        Self {
            cache_directory,
            daemon,
            registry,
            catalog,
            program,
            events,
            working_directory: None,
            stdin,
            lease: Arc::default(),
            found: Arc::default(),
        }
    }

    /// The lease of this run, taken at the first call.
    pub(crate) fn lease(&self) -> Result<Arc<Lease>, Error> {
        let mut slot = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lease) = &*slot {
            return Ok(Arc::clone(lease));
        }
        let lease = Arc::new(Lease::acquire(&self.cache_directory)?);
        *slot = Some(Arc::clone(&lease));
        Ok(lease)
    }

    /// Starts a directory that will be at `target`.
    pub(crate) fn new_directory(&self, target: &Path) -> Result<AtomicDirectory, Error> {
        let lease = self.lease()?;
        AtomicDirectory::create(target, self.working_directory.as_deref(), &lease).map_err(Error::Output)
    }

    /// What is known of earlier runs, or nothing if it is not to be used.
    pub(crate) fn memo(&self, is_used: bool) -> Result<Memo, Error> {
        if is_used { Ok(Memo::open(self.lease()?.cache())?) } else { Ok(Memo::bypassed()) }
    }

    /// The registries, with what the cache has of them.
    pub(crate) fn registries(&self) -> Result<Registries, Error> {
        let lease = self.lease()?;
        let cache = ImageCache::open(lease.cache())?;
        let registries = Registries::new(self.registry.clone(), self.events.clone());
        Ok(registries.with_cache(cache, lease.temporary_directory().to_owned()))
    }

    pub(crate) fn taken_lease(&self) -> Option<Arc<Lease>> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Leaves the lease's file where it is: a later run takes it for abandoned and removes what belongs to it.
    pub(crate) fn keep_lease(&self) {
        if let Some(lease) = self.taken_lease() {
            lease.leave();
        }
    }

    pub(crate) async fn find_daemon(&self) -> Result<Option<Daemon>, Error> {
        if let Some(daemon) = self.found_daemon() {
            return Ok(Some(daemon));
        }
        let daemon = Daemon::find(&self.daemon.settings).await?;
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&daemon);
        Ok(daemon)
    }

    pub(crate) fn found_daemon(&self) -> Option<Daemon> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
