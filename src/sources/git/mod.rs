//! Owns fetching a git repository: from a location to a checked-out tree with its commit.
//!
//! The `git` program does it, so credential helpers, ssh, proxies and rewritten URLs work as for its user. Must not trust
//! the repository: b2i makes the local one, without configuration, hooks or templates of the other.

mod certificates;
mod checkout;
mod error;
mod gate;
mod head;
mod location;
mod options;
mod process;
mod remote;
mod size;
mod submodules;

use std::path::{Path, PathBuf};

pub use error::GitError;
pub(crate) use head::head as work_tree_head;
pub use location::GitLocation;
pub(super) use location::{is_bare_repository, is_repository, valid_reference};
pub use options::GitOptions;

use super::{Commit, SourceError};
use crate::events::{Events, RunningStep};
use crate::fs::{FileError, Lease};
use gate::Gate;
use process::{Git, Protocols};

pub(super) struct Checkout {
    /// The working tree, with the repository in `.git`.
    pub(super) directory: PathBuf,
    pub(super) commit: Commit,
}

pub(super) struct GitFetch<'a> {
    pub(super) location: &'a GitLocation,
    pub(super) options: &'a GitOptions,
    pub(super) submodules: bool,
    pub(super) offline: bool,
    /// Largest number of received bytes, and of bytes in the commit's files.
    pub(super) limit: u64,
    pub(super) events: &'a Events,
    pub(super) step: &'a RunningStep,
}

impl GitFetch<'_> {
    /// Fetches the tree into the lease's directory.
    pub(super) async fn run(&self, lease: &Lease) -> Result<Checkout, SourceError> {
        if self.offline && !self.location.is_local() {
            return Err(GitError::Offline { repository: self.location.to_string() }.into());
        }
        let directory = working_directory(lease.temporary_directory())?;
        let mut git = Git {
            options: self.options,
            directory: &directory,
            shown: self.location.to_string(),
            protocols: Protocols { network: !self.offline },
            step: self.step,
            batch_ssh: false,
            certificates: None,
            gate: None,
        };
        if self.options.public_addresses_only {
            git.gate = Some(Gate::open().await.map_err(GitError::Start)?);
        }
        git.set_up_ssh().await?;
        git.certificates = certificates::bundle(&git, lease.temporary_directory()).await?;
        let work = async {
            let target = remote::resolve(&git, self.location, self.events).await?;
            let id = checkout::fetch(&git, self.location, &target).await?;
            // The pack may have arrived between two checks.
            size::check_received(&git, self.limit).await?;
            size::check_files(&git, &id, self.limit).await?;
            checkout::check_out(&git, &id).await?;
            if self.submodules {
                submodules::update(&git).await?;
            }
            checkout::warn_of_large_files(&git, self.events).await?;
            checkout::describe(&git, &id, target.name).await
        };
        let limit = self.options.timeout;
        let bounded = async {
            tokio::select! {
                done = work => done,
                error = size::exceeded(&git, self.limit) => Err(error.into()),
            }
        };
        let too_long = |_| GitError::TooLong { repository: self.location.to_string(), limit };
        let commit = tokio::time::timeout(limit, bounded).await.map_err(too_long)??;
        Ok(Checkout { directory, commit })
    }
}

/// Makes the directory for the working tree. The lease removes it: its files are read much later.
fn working_directory(temporary: &Path) -> Result<PathBuf, FileError> {
    let directory = tempfile::Builder::new().prefix("git-").disable_cleanup(true).tempdir_in(temporary);
    let directory = directory.map_err(|error| FileError::new("create a directory in", temporary, error))?;
    Ok(directory.keep())
}
