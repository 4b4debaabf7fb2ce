//! Owns the outputs that keep all images, and the index that names them.

use super::Error;
use super::build::Work;
use super::known::KnownLayer;
use super::stage::{Assembled, AssembledImage};
use crate::image::compression::{WrittenBlob, all_cores};
use crate::image::{Digest, Platform};
use crate::request::Output;
use crate::store::CompressedLayer;
use crate::store::registry::{IndexImage, PublishOptions};

/// What an output learned: the digests of the index and of each image's manifest.
pub(super) struct WrittenIndex {
    pub(super) index: Digest,
    pub(super) images: Vec<Digest>,
}

impl Work<'_> {
    /// Writes all images and their index to one output.
    pub(super) async fn write_index(
        &self,
        output: &Output,
        assembled: &[Assembled<'_>],
        layers: &mut [KnownLayer<'_>],
    ) -> Result<WrittenIndex, Error> {
        match output {
            Output::Registry => self.push_index(assembled, layers).await,
            _ => Err(Error::NoOutput),
        }
    }

    async fn push_index(
        &self,
        assembled: &[Assembled<'_>],
        layers: &mut [KnownLayer<'_>],
    ) -> Result<WrittenIndex, Error> {
        let compression = self.request.compression;
        let mut images = Vec::new();
        for one in assembled {
            let AssembledImage::Unfinished { image, layer } = &one.image else { return Err(Error::NoOutput) };
            let known = layers[*layer].blob(compression, image.manifest_format());
            let options = PublishOptions {
                encode: CompressedLayer::encode(compression, all_cores()),
                known: known.map(|blob| (blob.layer, blob.descriptor)),
            };
            images.push(IndexImage { image: image.clone(), platform: one.platform(), options });
        }
        let (tags, annotations) = (&self.prepared.plan.tags, &self.request.image.annotations);
        let written = self.surroundings.registries()?.publish_index(&images, tags, annotations).await?;
        for (one, published) in assembled.iter().zip(&written.images) {
            if let AssembledImage::Unfinished { image, layer } = &one.image {
                let blob = WrittenBlob { layer: published.layer, descriptor: published.blob.clone() };
                layers[*layer].remember_blob(&blob, compression, image.manifest_format());
            }
        }
        let images = written.images.iter().map(|published| published.manifest.digest).collect();
        Ok(WrittenIndex { index: written.index.digest, images })
    }
}

impl Assembled<'_> {
    /// The platform that the index names the image for: the base may know the variant that nobody asked for.
    fn platform(&self) -> Platform {
        let planned = &self.stage.stage.platform;
        let config = match &self.image {
            AssembledImage::Unfinished { image, .. } => image.base.config.platform(),
            AssembledImage::Committed { config, .. } => config.platform(),
        };
        if planned.variant.is_some() { planned.clone() } else { config }
    }
}
