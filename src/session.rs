//! Owns the session: one run with its events, its lease and its daemon.
//!
//! Must not decide anything; `pipeline` and `ops` do the work.

mod cache_of_run;
mod created;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_of_run::CacheOfRun;

use crate::error::Error;
use crate::events::Events;
use crate::fs::{AtomicDirectory, Lease};
use crate::host::Host;
use crate::image::Digest;
use crate::ops::{self, CopyRequest};
use crate::pipeline::{self, Built, Inspection, WrittenContext};
use crate::plan::Plan;
use crate::request::{EnvironmentVariable, Request, SecretVariable};
use crate::store::cache::{ImageCache, Memo};
use crate::store::daemon::Daemon;
use crate::store::registry::Registries;

/// One run on a [`Host`].
///
/// Its futures may be dropped at any time. Dropping the session removes every file of the run and releases its lease;
/// [`Session::abort`] also removes what a daemon holds for it. A later run removes what neither could.
pub struct Session {
    pub(crate) host: Host,
    pub(crate) events: Events,
    /// The lease. It outlives a dropped future, whose leftovers it lists.
    lease: Mutex<Option<Arc<Lease>>>,
    /// The daemon. It outlives a dropped future, whose calls it may still execute.
    daemon: Mutex<Option<Daemon>>,
    /// Replaces a cache that cannot be created. It is removed with the session.
    cache_of_run: Mutex<Option<CacheOfRun>>,
}

impl Session {
    pub(crate) fn new(host: Host, events: Events) -> Self {
        Self {
            host,
            events,
            lease: Mutex::default(),
            daemon: Mutex::default(),
            cache_of_run: Mutex::default(),
        }
    }

    /// Builds an image, or one for each platform and an index of them, and writes it to the outputs of the request.
    ///
    /// # Errors
    /// [`Error`] of the step that failed. No output then has an incomplete image.
    pub async fn build(&self, request: &Request) -> Result<Built, Error> {
        pipeline::build(&self.date(self.accept(request)?).await?, self).await
    }

    /// Plans a build and builds nothing.
    ///
    /// # Errors
    /// [`Error`] if the request cannot be fulfilled.
    pub async fn plan(&self, request: &Request) -> Result<Plan, Error> {
        pipeline::plan(&self.date(self.accept(request)?).await?, self).await
    }

    /// Fetches the artifact of a request and reads its facts.
    ///
    /// # Errors
    /// [`Error`] if the artifact cannot be fetched or has an unknown format.
    pub async fn inspect(&self, request: &Request) -> Result<Inspection, Error> {
        pipeline::inspect(&self.accept(request)?, self).await
    }

    /// Copies an image. Returns the digest of its manifest or index, or its ID if it has no manifest.
    ///
    /// # Errors
    /// [`Error`] of reading or writing.
    pub async fn copy(&self, request: &CopyRequest) -> Result<Digest, Error> {
        ops::copy(request, self).await
    }

    /// Writes a plan as a Dockerfile with its build context to `directory`, and builds nothing.
    ///
    /// # Errors
    /// [`Error`] of the step that failed; `directory` is then unchanged.
    pub async fn write_dockerfile(
        &self,
        request: &Request,
        directory: &Path,
    ) -> Result<WrittenContext, Error> {
        pipeline::write_dockerfile(&self.date(self.accept(request)?).await?, directory, self).await
    }

    /// Removes the leftovers of a dropped future: in the daemon, within `limit`, and all files.
    ///
    /// If the daemon does not answer in time, the lease stays, and a later run removes the rest.
    pub async fn abort(&self, limit: Duration) {
        if let (Some(lease), Some(daemon)) = (self.taken_lease(), self.found_daemon()) {
            // The daemon may still create a container of an earlier call.
            let settled = tokio::time::timeout(limit / 2, daemon.settle()).await.is_ok();
            let leases = [lease.id().to_owned()];
            let removal = crate::store::daemon::remove_leftovers(&daemon, &leases);
            let removed = tokio::time::timeout(limit / 2, removal).await;
            if !settled || !matches!(removed, Ok(Ok(()))) {
                tracing::warn!(settled, ?removed, "the daemon may hold leftovers; a later run removes them");
                self.keep_lease();
            }
        }
        self.release();
    }

    /// Removes the files of the run. Its threads may still run, but they can create nothing more.
    fn release(&self) {
        if let Some(lease) = self.taken_lease() {
            lease.release();
        }
    }

    /// Checks a request and adds the settings of this host: secrets, network, git.
    pub(crate) fn accept(&self, request: &Request) -> Result<Request, Error> {
        request.validate()?;
        let mut request = request.clone().without_repetitions();
        request.input.http = self.host.http_options(&request)?;
        request.input.offline = request.offline;
        if let Some(sources) = &mut request.source_build {
            sources.source.git = self.host.git.clone();
            sources.source.input = request.input.clone();
            for SecretVariable { name, value } in std::mem::take(&mut sources.build_secrets) {
                let value = self.host.secret(&value, &format!("--build-env {name}"))?;
                sources.build_environment.retain(|known| known.name != name);
                sources.build_environment.push(EnvironmentVariable { name, value });
            }
        }
        Ok(request)
    }

    /// The lease of this run. The first call acquires it, and removes the files of interrupted runs.
    pub(crate) fn lease(&self) -> Result<Arc<Lease>, Error> {
        let mut slot = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lease) = &*slot {
            return Ok(Arc::clone(lease));
        }
        let lease =
            Lease::acquire(&self.host.cache_directory).or_else(|error| self.lease_without_cache(error))?;
        let lease = Arc::new(lease);
        if self.found_daemon().is_some() {
            lease.record_daemon()?;
        }
        *slot = Some(Arc::clone(&lease));
        self.remove_abandoned_files();
        Ok(lease)
    }

    /// Creates a directory that a commit moves to `target`.
    pub(crate) fn new_directory(&self, target: &Path) -> Result<AtomicDirectory, Error> {
        let lease = self.lease()?;
        AtomicDirectory::create(target, self.host.working_directory.as_deref(), &lease).map_err(Error::Output)
    }

    /// The memo of earlier runs, or an empty one.
    pub(crate) fn memo(&self, is_used: bool) -> Result<Memo, Error> {
        if is_used { Ok(Memo::open(self.lease()?.cache())?) } else { Ok(Memo::bypassed()) }
    }

    /// The registries, with their cache.
    pub(crate) fn registries(&self) -> Result<Registries, Error> {
        let lease = self.lease()?;
        let cache = ImageCache::open(lease.cache())?;
        let registries = Registries::new(self.host.registry.clone(), self.events.clone());
        Ok(registries.with_cache(cache, lease.temporary_directory().to_owned()))
    }

    fn taken_lease(&self) -> Option<Arc<Lease>> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the lease's file: a later run finds it abandoned and removes its leftovers.
    pub(crate) fn keep_lease(&self) {
        if let Some(lease) = self.taken_lease() {
            lease.leave();
        }
    }

    pub(crate) async fn find_daemon(&self) -> Result<Option<Daemon>, Error> {
        if let Some(daemon) = self.found_daemon() {
            return Ok(Some(daemon));
        }
        let daemon = Daemon::find(&self.host.daemon.settings).await?;
        if let (Some(_), Some(lease)) = (&daemon, self.taken_lease()) {
            lease.record_daemon()?;
        }
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&daemon);
        Ok(daemon)
    }

    pub(crate) fn found_daemon(&self) -> Option<Daemon> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_send<T: Send>(_: &T) {}

    /// A service spawns them on a runtime of several threads.
    #[test]
    fn futures_can_move_between_threads() {
        let session = Host::new("unused").session(Events::silent());
        let request = Request::default();
        let copy = CopyRequest {
            source: "oci:here".parse().expect("a layout"),
            destination: "oci:there".parse().expect("a layout"),
            platform: None,
            offline: true,
        };
        is_send(&session);
        is_send(&session.build(&request));
        is_send(&session.copy(&copy));
        is_send(&session.plan(&request));
        is_send(&session.inspect(&request));
        is_send(&session.write_dockerfile(&request, Path::new("unused")));
        is_send(&session.abort(Duration::ZERO));
    }
}
