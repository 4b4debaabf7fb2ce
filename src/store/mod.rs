//! Owns the stores: the sources of base images and the sinks of results. Must not know a plan, an artifact or a builder.

pub mod archive;
pub mod builtin;
pub mod cache;
pub mod credentials;
pub mod daemon;
mod documents;
mod layer_blob;
pub mod layout;
pub mod registry;
pub mod resolved;

use std::future::Future;

pub(crate) use layer_blob::StoredBlob;
pub use layer_blob::{LayerBlob, LayerBlobs};

use crate::image::layer::WrittenLayer;
use crate::image::{Descriptor, Digest, Image, ImageReference, ManifestTree};

/// A target of images. Each transport has one.
pub trait Sink {
    type Error;

    /// Writes `content`, then `names`: each name has its old meaning until everything is written. `blobs` makes the blobs of
    /// new layers, if it does not know them already.
    fn write(
        &self,
        content: Content<'_>,
        names: &[ImageReference],
        blobs: &LayerBlobs,
    ) -> impl Future<Output = Result<Written, Self::Error>> + Send;
}

#[derive(Clone, Copy)]
pub enum Content<'a> {
    /// One image, or several for several platforms and their index. A sink without indexes gets one.
    Images(&'a [Image]),
    /// Manifests and blobs of another store, copied byte for byte where the sink can.
    Tree(&'a ManifestTree),
}

impl Content<'_> {
    /// The image, for a sink without indexes.
    pub(crate) fn single_image(&self) -> &Image {
        match self {
            Self::Images([image]) => image,
            Self::Images(_) | Self::Tree(_) => {
                unreachable!("callers pass one image to a sink without indexes")
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The manifest or index of the names, if the sink has manifests.
    pub root: Option<Descriptor>,
    /// One for each image; empty for a tree.
    pub images: Vec<WrittenImage>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenImage {
    /// The digest of the config: the image's ID in daemons.
    pub image_id: Digest,
    /// The new layers, lowest first.
    pub layers: Vec<WrittenLayer>,
    /// If the sink has manifests.
    pub manifest: Option<Descriptor>,
    /// All layers in the manifest, lowest first.
    pub blobs: Vec<Descriptor>,
}
