//! Owns the cache: downloads, images, the memo, and build caches. Must not use an unverified blob.
//!
//! Several processes may use it at once: each file is renamed into place when it is complete.

pub mod build_caches;
pub(crate) mod entries;
pub mod images;
pub mod memo;
pub mod observed_bases;
pub mod usage;

pub use build_caches::{BuildCacheDescription, BuildCacheStore, HeldCache};
pub use images::{ImageCache, KnownName};
pub use memo::Memo;
pub use observed_bases::ObservedBases;
pub use usage::{PartUsage, Pruned, VolumeUsage, prune, usage};
