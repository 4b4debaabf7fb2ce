//! Owns what every source gives for a name and a platform: one image, known down to its blobs.
//!
//! Must not know any one source.

use std::sync::Arc;

use crate::image::{
    BaseImage, BlobSource, Descriptor, Digest, Image, ImageConfig, ImageManifest, LayerSource, ManifestTree,
};

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
    /// The manifest, read.
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
    /// As the base of a new image.
    pub fn into_base(self) -> BaseImage {
        let layer = |descriptor: &Descriptor| LayerSource::Blob(descriptor.clone(), self.blobs.clone());
        let layers = self.manifest.layers.iter().map(layer).collect();
        BaseImage {
            manifest_digest: self.root,
            format: self.manifest.format(),
            ..BaseImage::new(self.name, self.config, layers)
        }
    }

    /// As it is, for a place that keeps one image: its config keeps every byte, and so the image its ID.
    pub fn into_image(self) -> Image {
        let (config, annotations) = (self.config_bytes.clone(), self.manifest.annotations.clone());
        Image { annotations, ..Image::unchanged(self.into_base(), config) }
    }

    /// As it is, for a place that keeps manifests.
    pub fn tree(&self) -> ManifestTree {
        let (root, blobs, name) = (self.descriptor.clone(), self.blobs.clone(), self.name.clone());
        ManifestTree { root, blobs, name, is_raw: false }
    }
}
