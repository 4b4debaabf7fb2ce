//! Owns what every source gives for a name and a platform: one image, known down to its blobs.
//!
//! Must not know any one source.

use std::sync::Arc;

use crate::image::{Descriptor, Digest, ImageConfig, ImageManifest};

use super::{BaseImage, BaseLayers, BlobSource, DescribedLayers};

/// An image whose manifest and config were read and verified; its layers are opened only on demand.
#[derive(Clone)]
pub struct ResolvedImage {
    /// Its name, as it may stand in an image: nothing of the machine it was read on.
    pub name: String,
    /// Digest of what the name means: of the index, if the manifest was chosen from one. None where the manifest was
    /// made by b2i, because the source has none: it is nothing that anybody could ask for.
    pub root: Option<Digest>,
    /// Describes the manifest.
    pub descriptor: Descriptor,
    /// The manifest, as it was: its digest is over these bytes.
    pub manifest_bytes: Vec<u8>,
    /// The same, read.
    pub manifest: ImageManifest,
    /// The config, as it was.
    pub config_bytes: Vec<u8>,
    /// The same, read.
    pub config: ImageConfig,
    /// Opens config and layers.
    pub blobs: Arc<dyn BlobSource>,
}

impl std::fmt::Debug for ResolvedImage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.name, self.descriptor.digest)
    }
}

impl ResolvedImage {
    /// Its layers, and where they are.
    pub fn layers(&self) -> DescribedLayers {
        DescribedLayers {
            format: self.manifest.format(),
            descriptors: self.manifest.layers.clone(),
            blobs: self.blobs.clone(),
        }
    }

    /// As the base of a new image.
    pub fn into_base(self) -> BaseImage {
        let layers = self.layers();
        BaseImage {
            name: self.name,
            manifest_digest: self.root,
            config: self.config,
            layers: BaseLayers::Described(layers),
        }
    }
}
