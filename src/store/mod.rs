//! The room of stores: where base images come from (sources) and where results go (sinks).
//!
//! Knows images as configs and layers. Knows no plan, no artifact and no builder.

pub mod archive;
pub mod builtin;
pub mod cache;
pub mod credentials;
pub mod daemon;
mod layer_blob;
pub mod layout;
pub mod registry;
pub mod resolved;

use std::future::Future;

pub use layer_blob::{LayerBlob, LayerBlobs};

use crate::image::layer::WrittenLayer;
use crate::image::{Descriptor, Digest, Image, ImageReference, ManifestTree};

/// A place where images are written. Each transport has one; its tricks stay inside.
pub trait Sink {
    /// Its own error.
    type Error;

    /// Writes `content` under `names`, which come last: a name means what it meant before until everything is there.
    /// `blobs` makes new layers into blobs, and is asked before a layer is made.
    ///
    /// # Errors
    /// Errors of reading the layers and of the place.
    fn write(
        &self,
        content: Content<'_>,
        names: &[ImageReference],
        blobs: &LayerBlobs,
    ) -> impl Future<Output = Result<Written, Self::Error>> + Send;
}

/// What a sink writes.
#[derive(Clone, Copy)]
pub enum Content<'a> {
    /// One image, or several for several platforms, which an index names. Where the sink keeps no index, it is one.
    Images(&'a [Image]),
    /// What is at another place, byte for byte where the sink can.
    Tree(&'a ManifestTree),
}

impl Content<'_> {
    /// The image, for a sink that keeps one.
    pub(crate) fn single_image(&self) -> &Image {
        match self {
            Self::Images([image]) => image,
            Self::Images(_) | Self::Tree(_) => unreachable!("a place that keeps one image is given one"),
        }
    }
}

/// What a sink has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What the names mean, where the sink keeps manifests: the image's, or the index.
    pub root: Option<Descriptor>,
    /// Each image, in their order; none for a tree.
    pub images: Vec<WrittenImage>,
}

/// One image that a sink has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenImage {
    /// Digest of the config: the image's ID in daemons.
    pub image_id: Digest,
    /// The new layers, lowest first.
    pub layers: Vec<WrittenLayer>,
    /// Its manifest, where the sink keeps one.
    pub manifest: Option<Descriptor>,
    /// What the manifest names: all layers, lowest first.
    pub blobs: Vec<Descriptor>,
}
