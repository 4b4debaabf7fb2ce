//! Owns what a sandbox is made from: where it works, the image of its containers, how a program runs in it.
//!
//! Plain values, so that they exist in a build without the sandbox. Must not touch the machine.

#![cfg_attr(
    not(any(all(feature = "sandbox", target_os = "linux"), feature = "internals")),
    expect(dead_code, reason = "the sandbox alone reads them")
)]

use std::path::PathBuf;

use crate::fs::cache_directory::CacheDirectory;

/// Where the sandbox works and what it is allowed.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// b2i itself, to be started as the child; `/proc/self/exe` outside of tests.
    pub program: PathBuf,
    /// The cache, for unpacked layers.
    pub cache: CacheDirectory,
    /// The directory for temporary files of this run's lease, on the same file system.
    pub temporary: PathBuf,
    /// Date of the files of the change, in seconds since 1970.
    pub date: u64,
    /// Whether real root without a user namespace may be used where root can map no ids.
    pub allow_root: bool,
}

/// How well the sandbox works here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxSupport {
    /// Who its users are, in words.
    pub users: String,
    /// Whether files can have any owner inside; without it all belong to the command's user.
    pub has_owners: bool,
    /// The limits that cannot be enforced, and why; none if all can.
    pub missing_limits: Option<(&'static str, String)>,
    /// What is worth knowing beside that: why it is not as good as it could be.
    pub remark: Option<String>,
}

/// How a finished image is run.
#[derive(Clone, Debug, Default)]
pub struct SandboxProgramOptions {
    /// `host`, or none.
    pub network: Option<String>,
    /// The lease of this run.
    pub lease: String,
}
