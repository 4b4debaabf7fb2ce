//! Owns image data: names, digests, platforms, paths, configs, manifests and layers.
//! Must not know where images are stored, how they are planned, or what an artifact is.

pub mod blobs;
pub mod compression;
pub mod config;
pub mod descriptor;
pub mod digest;
pub mod layer;
pub mod layer_source;
mod layer_tar;
pub mod manifest;
pub mod model;
pub mod path;
pub mod platform;
mod pull_policy;
pub mod reference;
pub mod shell_words;
pub mod signal;

pub(crate) use blobs::BlockingBlobs;
pub use blobs::{BlobOrigin, BlobSource, BlobStream, OpenBlobError};
pub use config::{ConfigEdits, ImageConfig};
pub use descriptor::{DescribedPlatform, Descriptor};
pub use digest::{Digest, DigestBuilder, DigestReader, DigestWriter};
pub use layer_source::{LayerFile, LayerSource, NewLayer};
pub(crate) use layer_tar::open_tar;
pub use manifest::{ImageIndex, ImageManifest, LayerCompression, Manifest, ManifestFormat};
pub use model::{BaseImage, Config, FinishedConfig, Image, InvalidImage, ManifestTree};
pub use path::ImagePath;
pub use platform::Platform;
pub use pull_policy::PullPolicy;
pub use reference::ImageReference;
