//! Owns the S2I steps: running the scripts of a source stage, and extracting their results.
//!
//! Must not decide (the plan does), nor know a front end or a store.

pub mod assemble;
pub mod assemble_runtime;
pub mod build_cache;
mod container;
pub mod container_files;
pub mod ephemeral;
pub mod extraction;
pub mod incremental;
pub mod on_build;
pub mod produced;
pub mod runtime_artifacts;

pub use build_cache::{BuildCacheKey, BuildCacheOwner, CacheScope, ProjectIdentity};
