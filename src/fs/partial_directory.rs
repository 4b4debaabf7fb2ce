//! Owns directories under construction that a run removes, however it ends. Must not know what the files are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::FileError;
use super::lease::{Lease, remove_if_there};

/// A directory with a name of its lease. Dropping it removes it, and so does the clean-up after a killed run.
#[derive(Debug)]
pub struct PartialDirectory<'a> {
    path: PathBuf,
    lease: &'a Lease,
}

impl<'a> PartialDirectory<'a> {
    /// Creates it beside `target`, which need not exist. Its name is derived from that of `target`.
    pub fn beside(target: &Path, lease: &'a Lease) -> Result<Self, FileError> {
        let path = lease.partial_path(target);
        lease.create(&path, || {
            fs::create_dir(&path).map_err(|error| FileError::new("create", target, error))
        })?;
        Ok(Self { path, lease })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves `from`, the directory or something in it, to `to`. Fails if the run has ended: then `from` may be half
    /// removed.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.lease.unless_released(|| fs::rename(from, to))
    }
}

impl Drop for PartialDirectory<'_> {
    fn drop(&mut self) {
        // The lease lists it, so a later run tries again.
        drop(remove_if_there(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::tests::{names, with_lease};

    #[test]
    fn it_goes_with_the_run_unless_it_was_moved() {
        with_lease(|root, lease| {
            let target = root.join("out");
            let partial = PartialDirectory::beside(&target, lease).expect("creates");
            fs::write(partial.path().join("file"), "x").expect("writes");
            assert_eq!(names(root).len(), 1);
            drop(partial);
            assert_eq!(names(root), [""; 0]);
            let partial = PartialDirectory::beside(&target, lease).expect("creates");
            partial.rename(partial.path(), &target).expect("moves");
            drop(partial);
            assert_eq!(names(root), ["out"]);
            let partial = PartialDirectory::beside(&root.join("late"), lease).expect("creates");
            lease.release();
            partial.rename(partial.path(), &root.join("late")).expect_err("the run has ended");
            assert_eq!(names(root), ["out"]);
        });
    }
}
