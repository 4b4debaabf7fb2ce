//! The room of image data: names, digests, platforms, paths, configs and layers.
//!
//! Knows nothing of where images are stored, how they were planned, or what an artifact is.

pub mod compression;
pub mod config;
pub mod descriptor;
pub mod digest;
pub mod layer;
pub mod manifest;
pub mod path;
pub mod platform;
mod pull_policy;
pub mod reference;
pub mod shell_words;
pub mod signal;

pub use config::{ConfigEdits, ImageConfig};
pub use descriptor::{DescribedPlatform, Descriptor};
pub use digest::{Digest, DigestBuilder, DigestReader, DigestWriter};
pub use manifest::{ImageIndex, ImageManifest, LayerCompression, Manifest, ManifestFormat};
pub use path::ImagePath;
pub use platform::Platform;
pub use pull_policy::PullPolicy;
pub use reference::ImageReference;
