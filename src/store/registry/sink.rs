//! Owns registries as an image sink: the base's layers are mounted or passed on, the new layer is uploaded while it
//! is made, and tags come last.
//!
//! With the layer's digest known (a memo), a tag that means the image already ends it after one question.

use std::sync::Arc;

use bytes::Bytes;

use super::Registries;
use super::content::{Content, Progress, Uploaded};
use super::error::RegistryError;
use super::push::{Early, Target, by_repository, bytes, elsewhere};
use crate::events::Step;
use crate::image::layer::{Layer, WrittenLayer};
use crate::image::{Descriptor, Digest, ImageManifest, ImageReference, ManifestFormat};
use crate::store::{BaseLayers, EncodeLayer, LayerBlob, UncompressedLayer, UnfinishedImage};

/// Layers whose tar is at most this large, in bytes, are made in memory before they are sent: with the digest known
/// beforehand a request is saved.
const MADE_IN_MEMORY: u64 = 4 << 20;

/// How an image is published.
#[derive(Clone)]
pub struct PublishOptions {
    /// How layers become blobs.
    pub encode: EncodeLayer,
    /// What writing the layer is known to yield, from a memo.
    pub known: Option<(WrittenLayer, Descriptor)>,
    /// What the layer of the built-in base is known to become, from a memo.
    pub known_base: Option<Descriptor>,
}

impl Default for PublishOptions {
    fn default() -> Self {
        Self { encode: UncompressedLayer::encode(), known: None, known_base: None }
    }
}

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Digest of the config: the image's ID in daemons.
    pub image_id: Digest,
    /// The manifest, with its digest.
    pub manifest: Descriptor,
    /// The layer that was added.
    pub layer: WrittenLayer,
    /// The layer's blob.
    pub blob: Descriptor,
    /// What the layer of the built-in base became, if the image stands on it.
    pub base: Option<Descriptor>,
}

/// Under what an image is published.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Under {
    /// The target's tags.
    Tags,
    /// Its digest alone: an index will name it.
    Digest,
}

/// An image with everything known.
pub(super) struct Finished {
    config: Content,
    config_digest: Digest,
    manifest: Bytes,
    pub(super) descriptor: Descriptor,
    layer: WrittenLayer,
    blob: Descriptor,
    /// Of the built-in base.
    base: Option<Descriptor>,
}

/// An image on its way to one repository.
pub(super) struct Publishing<'a> {
    target: &'a Target<'a>,
    image: &'a UnfinishedImage,
    options: &'a PublishOptions,
    pub(super) format: ManifestFormat,
    /// The base's layers, lowest first; each one's digest is known.
    base: Vec<Content>,
}

impl Registries {
    /// Publishes `image` under every one of `tags`, which may be in several repositories.
    ///
    /// # Errors
    /// [`RegistryError::Push`] and others of publishing, of reading the base's layers and the artifact. A tag whose
    /// manifest was not written means what it meant before; one that was written has everything.
    pub async fn publish(
        &self,
        image: &UnfinishedImage,
        tags: &[ImageReference],
        options: &PublishOptions,
    ) -> Result<Published, RegistryError> {
        let mut published = None;
        let mut options = options.clone();
        for group in by_repository(tags)? {
            let step = self.events().start(Step::Write, group.first.familiar(), None);
            let target = self.target(group, Progress::new(step.clone()))?;
            let publishing = Publishing::new(&target, image, &options).await?;
            let (done, was_there) = publishing.run(Under::Tags).await?;
            target.progress.finish(step, was_there);
            options.known = Some((done.layer, done.blob.clone()));
            published = Some(done);
        }
        published.ok_or(RegistryError::NoTag { image: String::new() })
    }
}

impl<'a> Publishing<'a> {
    pub(super) async fn new(
        target: &'a Target<'a>,
        image: &'a UnfinishedImage,
        options: &'a PublishOptions,
    ) -> Result<Self, RegistryError> {
        let mut format = ManifestFormat::Oci;
        let base = match &image.base.layers {
            BaseLayers::Described(layers) => {
                format = layers.format;
                elsewhere(&layers.blobs, &layers.descriptors).collect()
            }
            BaseLayers::BuiltIn(layer) => vec![built_in(target, image, layer, options).await?],
            BaseLayers::Scratch => Vec::new(),
            BaseLayers::Daemon { .. } => {
                let (image, base) = (target.image.clone(), image.base.name.clone());
                return Err(RegistryError::BaseInDaemon { image, base });
            }
        };
        Ok(Self { target, image, options, format, base })
    }

    /// Publishes the image and says whether it was there.
    pub(super) async fn run(&self, under: Under) -> Result<(Published, bool), RegistryError> {
        let target = self.target;
        let mut outdated: Option<Vec<&str>> = None;
        if let Some((layer, blob)) = &self.options.known {
            let finished = self.finish(*layer, blob.clone())?;
            let digest = finished.descriptor.digest;
            let (there, rest) = match under {
                Under::Digest => {
                    let name = digest.to_string();
                    let found = target.repository.manifest_digest(&name).await;
                    (found.map_err(|error| target.push(error))? == Some(digest), Vec::new())
                }
                Under::Tags => {
                    let rest = target.outdated(&digest).await?;
                    (rest.len() < target.tags.len(), rest)
                }
            };
            if there {
                target.publish_manifest(&rest, &finished.descriptor, &finished.manifest).await?;
                return Ok((finished.published(), rest.is_empty()));
            }
            outdated = Some(rest);
        }
        let (finished, ()) = tokio::try_join!(self.new_layer(), target.place_all(self.base.clone()))?;
        let (digest, tags) =
            (finished.descriptor.digest.to_string(), outdated.unwrap_or(target.tags.clone()));
        let references = if under == Under::Digest { vec![digest.as_str()] } else { tags };
        target.publish_manifest(&references, &finished.descriptor, &finished.manifest).await?;
        Ok((finished.published(), false))
    }

    /// Uploads the new layer, and the config that follows from it.
    async fn new_layer(&self) -> Result<Finished, RegistryError> {
        let target = self.target;
        let blob = (self.options.encode)(&self.image.layer, self.format);
        if let Some((layer, descriptor)) = &self.options.known {
            let finished = self.finish(*layer, descriptor.clone())?;
            let known = Uploaded { descriptor: descriptor.clone(), layer: Some(*layer) };
            let content = Content::Layer(blob, Some(known));
            tokio::try_join!(target.place(&content), target.place(&finished.config))?;
            return Ok(finished);
        }
        if self.image.layer.size() <= MADE_IN_MEMORY {
            // Two uploads are needed whatever they turn out to be.
            let made = in_memory(target, blob, self.image.layer.size());
            let (made, one, other) = tokio::try_join!(made, target.begin(), target.begin())?;
            let (layer, descriptor, bytes) = made;
            let finished = self.finish(layer, descriptor.clone())?;
            let content = Content::Bytes(bytes, descriptor);
            let config = target.upload(&finished.config, Some(other));
            tokio::try_join!(target.upload(&content, Some(one)), config)?;
            return Ok(finished);
        }
        let (uploaded, early) = target.upload_new(blob).await?;
        let layer = uploaded.layer.ok_or_else(|| RegistryError::Content {
            image: target.image.clone(),
            source: std::io::Error::other("the layer was not written"),
        })?;
        target.note_placed(uploaded.descriptor.digest);
        let finished = self.finish(layer, uploaded.descriptor)?;
        target.upload(&finished.config, early.and_then(Early::session)).await?;
        Ok(finished)
    }

    /// Makes config and manifest, if the layer is known.
    pub(super) fn foreseen(&self) -> Result<Option<Finished>, RegistryError> {
        let known = self.options.known.as_ref();
        known.map(|(layer, blob)| self.finish(*layer, blob.clone())).transpose()
    }

    /// Makes config and manifest.
    fn finish(&self, layer: WrittenLayer, blob: Descriptor) -> Result<Finished, RegistryError> {
        let config = (self.image.finish)(&layer);
        let image = || self.target.image.clone();
        let invalid = |source| RegistryError::Config { image: image(), source };
        let mut expected = self.image.base.config.diff_ids().map_err(invalid)?;
        expected.push(layer.diff_id);
        let found = config.diff_ids().map_err(invalid)?;
        if found != expected {
            return Err(RegistryError::Layers { image: image(), expected, found });
        }
        let config = config.to_bytes();
        let config_descriptor = Descriptor::of(self.format.config(), &config);
        let below = self.base.iter().filter_map(Content::known).map(|known| known.descriptor);
        let layers = below.chain([blob.clone()]).collect();
        let annotations = self.image.annotations.clone();
        let manifest = ImageManifest::new(self.format, config_descriptor.clone(), layers, annotations);
        let manifest = Bytes::from(manifest.to_bytes());
        let is_built_in = matches!(self.image.base.layers, BaseLayers::BuiltIn(_));
        let base = self.base.first().filter(|_| is_built_in).and_then(Content::known);
        Ok(Finished {
            base: base.map(|known| known.descriptor),
            config: bytes(self.format.config(), config),
            config_digest: config_descriptor.digest,
            descriptor: Descriptor::of(self.format.manifest(), &manifest),
            manifest,
            layer,
            blob,
        })
    }
}

impl Finished {
    pub(super) fn published(self) -> Published {
        let Self { config_digest, descriptor, layer, blob, base, .. } = self;
        Published { image_id: config_digest, manifest: descriptor, layer, blob, base }
    }
}

/// The layer of the built-in base, as a blob whose digest is known. What is not remembered is made in memory, so that it is
/// compressed once, whether it is there already or not.
async fn built_in(
    target: &Target<'_>,
    image: &UnfinishedImage,
    layer: &Layer,
    options: &PublishOptions,
) -> Result<Content, RegistryError> {
    let blob = (options.encode)(layer, image.manifest_format());
    if let Some(descriptor) = options.known_base.clone() {
        let invalid = |source| RegistryError::Config { image: target.image.clone(), source };
        let diff_id = image.base.config.diff_ids().map_err(invalid)?.first().copied();
        let layer = diff_id.map(|diff_id| WrittenLayer { diff_id, size: layer.size(), watched: None });
        return Ok(Content::Layer(blob, Some(Uploaded { descriptor, layer })));
    }
    let (_, descriptor, bytes) = in_memory(target, blob, layer.size()).await?;
    Ok(Content::Bytes(bytes, descriptor))
}

/// Writes the blob of a layer whose tar is so large, in bytes, and small.
async fn in_memory(
    target: &Target<'_>,
    blob: Arc<dyn LayerBlob>,
    size: u64,
) -> Result<(WrittenLayer, Descriptor, Bytes), RegistryError> {
    let capacity = usize::try_from(size).unwrap_or_default();
    let written = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::with_capacity(capacity);
        blob.write(&mut bytes).map(|(layer, descriptor)| (layer, descriptor, Bytes::from(bytes)))
    });
    let written = match written.await {
        Ok(written) => written,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    written.map_err(|source| RegistryError::Content { image: target.image.clone(), source })
}
