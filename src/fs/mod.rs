//! The room of the file system: the cache directory, leases, atomic writes and confined unpacking.
//!
//! Knows nothing of artifacts, images or networks.

mod abandoned;
pub mod atomic;
pub mod atomic_directory;
pub mod cache_directory;
pub mod canonical_path;
pub mod descriptor;
pub mod error;
pub(crate) mod file_name;
pub mod lease;
pub(crate) mod lexical_path;
#[cfg(all(test, unix))]
mod sample;
pub mod stamp;
pub mod unpack;

pub use abandoned::{AbandonedLease, abandoned};
pub use atomic::AtomicFile;
pub use atomic_directory::AtomicDirectory;
pub use cache_directory::{CacheDirectory, create_private_directory};
pub use canonical_path::canonical_path;
pub use descriptor::open_descriptor;
pub use error::FileError;
pub use lease::Lease;
pub use stamp::FileStamp;
pub use unpack::{TreeLimits, TreeWriter, UnpackError};
