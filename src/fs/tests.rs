//! Owns the parts that the tests of `fs` share. Must not be compiled outside of tests.

use std::fs;
use std::path::Path;

use super::Lease;

/// Gives a test an empty directory and a lease of another one.
pub(super) fn with_lease(check: impl FnOnce(&Path, &Lease)) {
    let cache = tempfile::tempdir().expect("temporary directory");
    let lease = Lease::acquire(cache.path()).expect("acquires");
    let directory = tempfile::tempdir().expect("temporary directory");
    check(directory.path(), &lease);
}

/// The names in a directory, sorted.
pub(super) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("lists");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("reads").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
