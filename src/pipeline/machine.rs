//! Owns finding the daemon and the sandbox, and removing the remains of interrupted runs. Must not choose an engine.

use crate::blocking::blocking;
use crate::engine::sandbox::{self, SandboxError, probe};
use crate::error::Error;
use crate::fs::{AbandonedLease, Lease, abandoned};
use crate::image::Platform;
use crate::pipeline::sandbox::sandbox_settings;
use crate::plan::{Machine, PlanError};
use crate::session::Session;
use crate::store::daemon::{Daemon, remove_leftovers};

/// The result of the search for a daemon: found, none, or a daemon that does not answer.
#[derive(Default)]
pub(crate) struct DaemonSearch {
    pub(crate) daemon: Option<Daemon>,
    /// Why it does not answer.
    pub(crate) failure: Option<Error>,
}

impl From<Result<Option<Daemon>, Error>> for DaemonSearch {
    fn from(found: Result<Option<Daemon>, Error>) -> Self {
        match found {
            Ok(daemon) => Self { daemon, failure: None },
            Err(error) => Self { daemon: None, failure: Some(error) },
        }
    }
}

impl DaemonSearch {
    /// The machine for a plan; `sandbox` says whether the sandbox may replace a daemon.
    pub(crate) fn machine(&self, sandbox: bool) -> Machine {
        let native = self.daemon.as_ref().map(|daemon| daemon.info().platform.clone());
        Machine {
            daemon: self.daemon.is_some(),
            sandbox,
            native_platform: native.unwrap_or_else(Platform::host),
        }
    }

    /// Returns `decision`. If a daemon would change it and the daemon does not answer, returns that failure: something
    /// else replaces a daemon only if none exists.
    pub(crate) fn settle<T>(
        &mut self,
        decision: Result<T, PlanError>,
        would_use: impl FnOnce(&T) -> bool,
    ) -> Result<T, Error> {
        let depends = match &decision {
            Err(error) => error.needs_daemon(),
            Ok(decision) => would_use(decision),
        };
        match self.failure.take_if(|_| depends) {
            Some(reason) => Err(reason),
            None => Ok(decision?),
        }
    }
}

impl Session {
    /// Looks for the daemon, and removes the remains of interrupted runs from it and from the cache.
    pub(crate) async fn search_daemon(&self) -> DaemonSearch {
        let search = DaemonSearch::from(self.find_daemon().await);
        // A daemon that does not answer may still have containers of those runs.
        if search.failure.is_none() {
            self.remove_abandoned(search.daemon.as_ref()).await;
        }
        search
    }

    /// Whether interrupted runs left remains.
    pub(crate) fn has_abandoned(&self) -> bool {
        !abandoned(&self.host.cache_directory).is_empty()
    }

    /// Removes the files of interrupted runs, and counts the runs. The lease of a run that used a daemon stays, until a
    /// run with the daemon removes the containers.
    pub(crate) fn remove_abandoned_files(&self) -> usize {
        let mut removed = 0;
        for lease in abandoned(&self.host.cache_directory) {
            let has_daemon = lease.has_daemon();
            if self.remove_sandbox_files(&lease) && remove_lease(lease, has_daemon) {
                removed += 1;
            }
        }
        removed
    }

    /// Removes cgroups and files of other ids. Returns whether the lease may go: a cgroup with processes needs it.
    fn remove_sandbox_files(&self, lease: &AbandonedLease) -> bool {
        let temporary = lease.temporary_directory();
        if let Err(error) = sandbox::remove_cgroups(temporary) {
            tracing::warn!(lease = lease.id(), %error, "cgroups of an interrupted run were not removed");
            return false;
        }
        if temporary.exists()
            && let Err(error) = sandbox::remove_directory(&self.host.program, temporary)
        {
            tracing::warn!(%error, "a sandbox of an interrupted run was not removed");
        }
        true
    }

    /// Removes the remains of interrupted runs, and counts the runs. The next run retries a failed removal; it must not
    /// fail this one.
    pub(crate) async fn remove_abandoned(&self, daemon: Option<&Daemon>) -> usize {
        let mut removed = 0;
        for lease in abandoned(&self.host.cache_directory) {
            if let Some(daemon) = daemon
                && let Err(error) = remove_leftovers(daemon, &[lease.id().to_owned()]).await
            {
                tracing::warn!(lease = lease.id(), %error, "containers of an interrupted run were not removed");
                continue;
            }
            if self.remove_sandbox_files(&lease) && remove_lease(lease, false) {
                removed += 1;
            }
        }
        removed
    }

    /// Whether the sandbox works here.
    pub(crate) async fn has_sandbox(&self, lease: &Lease, allow_root: bool) -> bool {
        match self.try_sandbox(lease, allow_root).await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "the sandbox does not work here");
                false
            }
        }
    }

    /// Creates a sandbox without a program.
    ///
    /// # Errors
    /// [`SandboxError`] with the setting of this machine that forbids it.
    pub(crate) async fn try_sandbox(&self, lease: &Lease, allow_root: bool) -> Result<(), SandboxError> {
        let settings = sandbox_settings(self, lease, 0, allow_root);
        blocking(move || probe(&settings)).await.map(drop)
    }
}

/// Removes the files of an interrupted run and, without `stays`, its lease. Returns whether it worked.
fn remove_lease(lease: AbandonedLease, stays: bool) -> bool {
    let result = if stays { lease.remove_files() } else { lease.remove() };
    if let Err(error) = &result {
        tracing::warn!(%error, "files of an interrupted run were not removed");
    }
    result.is_ok()
}
