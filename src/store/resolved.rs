//! Owns what every source returns: one image, with its manifest and config. Must not know any source.

use std::sync::Arc;

use crate::image::{
    BaseImage, BlobSource, Descriptor, Digest, Image, ImageConfig, ImageManifest, LayerSource, ManifestTree,
};

/// An image whose manifest and config are verified. Its layers are opened on demand.
#[derive(Clone)]
pub struct ResolvedImage {
    /// Its name in images that are built on it: without anything of this machine.
    pub name: String,
    /// The digest of the manifest or index of the name. `None` if the source has no manifests, and b2i made this one.
    pub root: Option<Digest>,
    pub descriptor: Descriptor,
    pub manifest: ImageManifest,
    pub config_bytes: Vec<u8>,
    pub config: ImageConfig,
    /// The source of config and layers.
    pub blobs: Arc<dyn BlobSource>,
}

impl std::fmt::Debug for ResolvedImage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.name, self.descriptor.digest)
    }
}

impl ResolvedImage {
    pub fn into_base(self) -> BaseImage {
        let layer = |descriptor: &Descriptor| LayerSource::Blob(descriptor.clone(), self.blobs.clone());
        let layers = self.manifest.layers.iter().map(layer).collect();
        BaseImage {
            manifest_digest: self.root,
            format: self.manifest.format(),
            ..BaseImage::new(self.name, self.config, layers)
        }
    }

    /// The image for a sink without manifests. Its config keeps every byte, so its ID stays the same.
    pub fn into_image(self) -> Image {
        let (config, annotations) = (self.config_bytes.clone(), self.manifest.annotations.clone());
        Image { annotations, ..Image::unchanged(self.into_base(), config) }
    }

    pub fn tree(&self) -> ManifestTree {
        let (root, blobs, name) = (self.descriptor.clone(), self.blobs.clone(), self.name.clone());
        ManifestTree { root, blobs, name, is_raw: false }
    }
}
