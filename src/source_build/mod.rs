//! Owns the S2I pre-step: running the scripts of a source stage, and taking out what they made.
//!
//! Must not decide what a plan decides, nor know a front end or a store. Engines are handed in.

pub mod assemble;
pub mod assemble_runtime;
pub mod build_cache;
mod container;
pub mod container_files;
pub mod ephemeral;
pub mod incremental;
pub mod on_build;
pub mod produced;
pub mod runtime_artifacts;

pub use build_cache::{BuildCacheKey, BuildCacheOwner, CacheScope, ProjectIdentity};
