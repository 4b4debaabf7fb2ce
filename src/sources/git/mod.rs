//! Owns fetching a git repository: from a location to a checked-out tree and what is known of its commit.
//!
//! Goes through the `git` program, so that everything that works for its user works here: credential helpers, ssh,
//! proxies, rewritten URLs. What comes from the repository is not trusted: b2i makes the repository on this side, so no
//! configuration, hook or template of the other one is in it.

mod certificates;
mod checkout;
mod error;
mod location;
mod options;
mod process;
mod remote;
mod size;
mod submodules;

use std::path::{Path, PathBuf};

pub use error::GitError;
pub use location::GitLocation;
pub(super) use location::{is_bare_repository, is_repository, valid_reference};
pub use options::GitOptions;

use super::error::SourceError;
use super::tree::Commit;
use crate::events::{Events, RunningStep};
use crate::fs::{FileError, Lease};
use process::{Git, Protocols};

/// A repository's tree on this machine.
pub(super) struct CheckedOut {
    /// Its directory; the repository itself is in `.git` there.
    pub(super) directory: PathBuf,
    /// Its commit.
    pub(super) commit: Commit,
}

/// What is to be fetched, and how.
pub(super) struct GitFetch<'a> {
    pub(super) location: &'a GitLocation,
    pub(super) options: &'a GitOptions,
    /// Whether submodules come along.
    pub(super) submodules: bool,
    /// Whether the network must not be used.
    pub(super) offline: bool,
    /// How many bytes may come, and how many the files of the commit may have.
    pub(super) limit: u64,
    pub(super) events: &'a Events,
    pub(super) step: &'a RunningStep,
}

impl GitFetch<'_> {
    /// Fetches the tree into the lease's directory.
    pub(super) async fn run(&self, lease: &Lease) -> Result<CheckedOut, SourceError> {
        if self.offline && !self.location.is_local() {
            return Err(GitError::Offline { repository: self.location.to_string() }.into());
        }
        let directory = working_directory(lease.temporary_directory())?;
        let mut git = Git {
            options: self.options,
            directory: &directory,
            shown: self.location.to_string(),
            protocols: Protocols { network: !self.offline, own_is_file: self.location.is_local() },
            step: self.step,
            batch_ssh: false,
            certificates: None,
        };
        git.set_up_ssh().await?;
        git.certificates = certificates::bundle(&git, lease.temporary_directory()).await?;
        let work = async {
            let wanted = remote::resolve(&git, self.location, self.events).await?;
            let id = checkout::fetch(&git, self.location, &wanted).await?;
            // It may have come between two looks.
            size::check_received(&git, self.limit).await?;
            size::check_files(&git, &id, self.limit).await?;
            checkout::check_out(&git, &id).await?;
            if self.submodules {
                submodules::update(&git).await?;
            }
            checkout::warn_of_large_files(&git, self.events).await?;
            checkout::describe(&git, &id, wanted.name).await
        };
        let limit = self.options.timeout;
        let bounded = async {
            tokio::select! {
                done = work => done,
                error = size::exceeded(&git, self.limit) => Err(error.into()),
            }
        };
        let commit = match tokio::time::timeout(limit, bounded).await {
            Ok(result) => result?,
            Err(_) => return Err(GitError::TooLong { repository: self.location.to_string(), limit }.into()),
        };
        Ok(CheckedOut { directory, commit })
    }
}

/// Makes the directory that becomes the working tree. It stays until the lease goes: files are read much later.
fn working_directory(temporary: &Path) -> Result<PathBuf, FileError> {
    let directory = tempfile::Builder::new().prefix("git-").disable_cleanup(true).tempdir_in(temporary);
    let directory = directory.map_err(|error| FileError::new("create a directory in", temporary, error))?;
    Ok(directory.keep())
}
