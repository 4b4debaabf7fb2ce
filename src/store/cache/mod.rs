//! The cache: downloads by digest.
//!
//! Any number of processes may use it at once: what is in it was renamed into place whole, and what is named by a
//! digest is verified before it is used.

pub mod downloads;

pub use downloads::{DownloadCache, DownloadEntry};
