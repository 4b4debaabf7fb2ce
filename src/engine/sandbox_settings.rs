//! Owns the settings and abilities of the sandbox, which exist in a build without it too. Must not touch the machine.

#![cfg_attr(
    not(any(all(feature = "sandbox", target_os = "linux"), feature = "internals")),
    expect(dead_code, reason = "the sandbox alone reads them")
)]

use std::path::PathBuf;

use crate::fs::cache_directory::CacheDirectory;

#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// b2i itself, which is started as the child.
    pub program: PathBuf,
    pub cache: CacheDirectory,
    /// The directory for temporary files, on the same filesystem as the cache; removed with the lease.
    pub temporary: PathBuf,
    /// Date of the change's files, in seconds since 1970.
    pub date: u64,
    /// Allow real root without a user namespace if root can map no ids.
    pub allow_root: bool,
}

/// The abilities of the sandbox on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxSupport {
    /// For people.
    pub users: String,
    /// Whether files can have any owner. Otherwise, the command's user owns all files.
    pub has_owners: bool,
    /// The limits that do not work, and why.
    pub missing_limits: Option<(&'static str, String)>,
    /// Why the sandbox is limited here.
    pub remark: Option<String>,
}
