//! The room of source builds: the S2I pre-step that makes an artifact, or for interpreted languages an image, out of
//! a source tree.
//!
//! `source/` fetches trees (directories, git, archives); `build_cache` says whose a kept directory is; `request` is
//! what somebody asked for. Knows no front end and no store; engines are handed to it.

pub mod assemble;
pub mod assemble_runtime;
pub mod build_cache;
mod container;
pub mod container_files;
mod directories;
pub mod environment;
pub mod ephemeral;
pub mod incremental;
pub mod on_build;
pub mod produced;
pub mod request;
pub mod runtime_artifacts;
pub mod scripts;
mod selection;
pub mod source;
pub mod uids;

pub use build_cache::{BuildCacheKey, BuildCacheOwner, CacheScope, ProjectIdentity};
pub use request::{
    EnvironmentVariable, Injection, PreviousImage, RuntimeArtifactPlace, RuntimeRequest, ScriptsSource,
    SecretFile, SourceBuildRequest, UidRange, VolumeRequest,
};
pub use source::{
    Commit, GitError, GitLocation, GitOptions, SourceError, SourceInfo, SourceLocation, SourceOptions,
    SourceTree, TreeEntry, TreeEntryKind, fetch_source,
};
