//! Owns the cache directory, leases, atomic writes and confined unpacking. Must not know artifacts, images or
//! networks.

mod abandoned;
pub mod atomic;
pub mod atomic_directory;
pub mod cache_directory;
pub mod descriptor;
pub mod error;
pub mod lease;
pub mod partial_directory;
pub(crate) mod path;
pub mod stamp;
mod tar;
#[cfg(test)]
mod tests;
pub mod unpack;

pub use abandoned::{AbandonedLease, abandoned};
pub use atomic::AtomicFile;
pub use atomic_directory::AtomicDirectory;
pub use cache_directory::{CacheDirectory, create_private_directory};
pub use descriptor::open_descriptor;
pub use error::FileError;
pub use lease::Lease;
pub use partial_directory::PartialDirectory;
pub use path::{canonical_path, file_size, is_device};
pub use stamp::FileStamp;
pub(crate) use tar::{BoundedEntry, BoundedTar};
pub use unpack::{TreeLimits, TreeWriter, UnpackError};
