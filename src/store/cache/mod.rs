//! The cache: downloads and what is kept of images, by digest; the memo; and what builds keep for the next one.
//!
//! Any number of processes may use it at once: what is in it was renamed into place whole, and what is named by a
//! digest is verified before it is used.

pub mod build_caches;
pub mod downloads;
pub mod images;
pub mod memo;
pub mod usage;

pub use build_caches::{BuildCacheDescription, BuildCacheStore, HeldCache};
pub use downloads::{DownloadCache, DownloadEntry};
pub use images::{ImageCache, KnownName};
pub use memo::Memo;
pub use usage::{PartUsage, Pruned, VolumeUsage, prune, usage, usage_with_volumes};
