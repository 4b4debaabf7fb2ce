//! Owns the documents that sinks with manifests write after the layers: config, manifest, index.
//!
//! Must not know where they are written.

use bytes::Bytes;

use super::{LayerBlobs, WrittenImage};
use crate::image::compression::WrittenBlob;
use crate::image::layer::WrittenLayer;
use crate::image::{DescribedPlatform, Descriptor, Image, ImageIndex, InvalidImage, ManifestFormat};

pub(super) struct ImageDocuments {
    pub(super) config: Descriptor,
    pub(super) config_bytes: Bytes,
    pub(super) manifest: Descriptor,
    pub(super) manifest_bytes: Bytes,
    pub(super) written: WrittenImage,
}

impl ImageDocuments {
    /// `base` are the base's blobs, `new` the new layers', both lowest first. `blobs` remembers the new ones.
    pub(super) fn new(
        image: &Image,
        format: ManifestFormat,
        base: Vec<Descriptor>,
        new: &[WrittenBlob],
        blobs: &LayerBlobs,
    ) -> Result<Self, InvalidImage> {
        for (layer, written) in image.new.iter().zip(new) {
            blobs.remember(layer, format, written);
        }
        let layers: Vec<WrittenLayer> = new.iter().map(|written| written.layer).collect();
        let finished = image.finish(&layers)?;
        let config = Descriptor::of(format.config(), &finished.bytes);
        let new = new.iter().map(|written| written.descriptor.clone());
        let blobs: Vec<Descriptor> = base.into_iter().chain(new).collect();
        let (manifest, bytes) = image.manifest(format, config.clone(), blobs.clone());
        let (image_id, described) = (finished.image_id, Some(manifest.clone()));
        let written = WrittenImage { image_id, layers, manifest: described, blobs };
        let (config_bytes, manifest_bytes) = (finished.bytes.into(), bytes.into());
        Ok(Self { config, config_bytes, manifest, manifest_bytes, written })
    }
}

pub(super) fn index_of(
    format: ManifestFormat,
    images: &[Image],
    written: &[WrittenImage],
) -> (Descriptor, Bytes) {
    let entry = |(image, written): (&Image, &WrittenImage)| Descriptor {
        platform: Some(DescribedPlatform::from(&image.platform)),
        ..written.manifest.clone().expect("the sink writes manifests")
    };
    let entries = images.iter().zip(written).map(entry).collect();
    let annotations = images.first().map(|image| image.annotations.clone()).unwrap_or_default();
    let bytes = Bytes::from(ImageIndex::new(format, entries, annotations).to_bytes());
    (Descriptor::of(format.index(), &bytes), bytes)
}
