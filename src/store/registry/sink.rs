//! Owns registries as an image sink: the base's layers are mounted or passed on, new layers are uploaded while they are
//! made, and tags come last. Several images get there one after the other, by their digests, and then the index of them.
//!
//! With every layer's digest known (a memo), a tag that means the image or the index already ends it after one question.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::try_join_all;

use super::Registries;
use super::content::{Content as Blob, Progress};
use super::error::RegistryError;
use super::push::{Early, Target, by_repository, bytes};
use crate::blocking::blocking;
use crate::events::Step;
use crate::fs::Lease;
use crate::image::compression::WrittenBlob;
use crate::image::layer::WrittenLayer;
use crate::image::{
    DescribedPlatform, Descriptor, Image, ImageIndex, ImageReference, LayerSource, ManifestFormat,
    ManifestTree, NewLayer,
};
use crate::store::layout::{Layout, LayoutSink};
use crate::store::{Content, LayerBlob, LayerBlobs, Sink, Written, WrittenImage};

/// Layers whose tars are together at most this large, in bytes, are made in memory before they are sent: with the digests
/// known beforehand a request is saved.
const MADE_IN_MEMORY: u64 = 4 << 20;

/// The registries that the names name, as a place to write to.
pub struct RegistrySink {
    /// How they are reached.
    pub registries: Registries,
    /// The lease of this run.
    pub lease: Arc<Lease>,
}

impl Sink for RegistrySink {
    type Error = RegistryError;

    async fn write(
        &self,
        content: Content<'_>,
        names: &[ImageReference],
        blobs: &LayerBlobs,
    ) -> Result<Written, RegistryError> {
        let by_layout = match content {
            Content::Images(images) => images.iter().any(|image| {
                let layers = image.base.layers.iter();
                layers.into_iter().any(|layer| matches!(layer, LayerSource::File(_) | LayerSource::Daemon))
            }),
            Content::Tree(tree) => tree.is_raw,
        };
        if by_layout {
            return self.write_by_layout(content, names, blobs).await;
        }
        match content {
            Content::Images(images) => self.registries.publish(images, names, blobs).await,
            Content::Tree(tree) => {
                self.registries.copy(tree, names).await?;
                Ok(Written { root: Some(tree.root.clone()), images: Vec::new() })
            }
        }
    }
}

impl RegistrySink {
    /// Pushes by way of a layout of its own: a daemon has neither manifests nor compressed layers.
    async fn write_by_layout(
        &self,
        content: Content<'_>,
        names: &[ImageReference],
        blobs: &LayerBlobs,
    ) -> Result<Written, RegistryError> {
        let path = self.lease.temporary_directory().join("push");
        let events = self.registries.events().clone();
        let (lease, is_archive) = (self.lease.clone(), false);
        let layout = LayoutSink { path: path.clone(), is_archive, lease, events };
        let written = layout.write(content, &[], blobs).await?;
        let root = written.root.clone().expect("a layout keeps manifests");
        let blobs = blocking(move || Layout::open(&path)).await?.blobs();
        let name = names.first().map_or_else(String::new, ImageReference::familiar);
        self.registries.copy(&ManifestTree { root, blobs, name, is_raw: false }, names).await?;
        Ok(written)
    }
}

impl Registries {
    /// Publishes one image, or several and an index of them, under every one of `names`, which may be in several
    /// repositories.
    ///
    /// # Errors
    /// [`RegistryError::Push`] and others of publishing, of reading the base's layers and the artifact. A tag whose
    /// manifest was not written means what it meant before; one that was written has everything.
    pub async fn publish(
        &self,
        images: &[Image],
        names: &[ImageReference],
        blobs: &LayerBlobs,
    ) -> Result<Written, RegistryError> {
        let mut result = None;
        for group in by_repository(names)? {
            let step = self.events().start(Step::Write, group.first.familiar(), None);
            let target = self.target(group, Progress::new(step.clone()))?;
            let (written, was_there) = match images {
                [image] => {
                    let publishing = Publishing::new(&target, image, blobs).await?;
                    let (image, was_there) = publishing.run(Under::Tags).await?;
                    (Written { root: image.manifest.clone(), images: vec![image] }, was_there)
                }
                _ => publish_index(&target, images, blobs).await?,
            };
            target.progress.finish(step, was_there);
            result = Some(written);
        }
        result.ok_or(RegistryError::NoTag { image: String::new() })
    }
}

/// Gets all images into one repository, unless one of the target's tags says that they are there, and then their index.
async fn publish_index(
    target: &Target<'_>,
    images: &[Image],
    blobs: &LayerBlobs,
) -> Result<(Written, bool), RegistryError> {
    if images.iter().all(|image| is_known(image, blobs)) {
        let mut foreseen = Vec::new();
        for image in images {
            foreseen.extend(Publishing::new(target, image, blobs).await?.foreseen()?.map(|one| one.written));
        }
        let (root, index) = index_of(images, &foreseen);
        let outdated = target.outdated(&root.digest).await?;
        if outdated.len() < target.tags.len() {
            target.publish_manifest(&outdated, &root, &index).await?;
            return Ok((Written { root: Some(root), images: foreseen }, outdated.is_empty()));
        }
    }
    let mut written = Vec::new();
    for image in images {
        written.push(Publishing::new(target, image, blobs).await?.run(Under::Digest).await?.0);
    }
    let (root, index) = index_of(images, &written);
    target.publish_manifest(&target.tags, &root, &index).await?;
    Ok((Written { root: Some(root), images: written }, false))
}

/// Whether every new layer's blob is known before it is made.
fn is_known(image: &Image, blobs: &LayerBlobs) -> bool {
    image.new.iter().all(|layer| blobs.known(layer, image.base.format).is_some())
}

/// The index of images that were written. Docker's own list of manifests holds Docker's manifests alone.
fn index_of(images: &[Image], written: &[WrittenImage]) -> (Descriptor, Bytes) {
    let is_docker = images.iter().all(|image| image.base.format == ManifestFormat::Docker);
    let format = if is_docker { ManifestFormat::Docker } else { ManifestFormat::Oci };
    let entry = |(image, written): (&Image, &WrittenImage)| Descriptor {
        platform: Some(DescribedPlatform::from(&image.platform)),
        ..written.manifest.clone().expect("a registry keeps manifests")
    };
    let entries = images.iter().zip(written).map(entry).collect();
    let annotations = images.first().map(|image| image.annotations.clone()).unwrap_or_default();
    let bytes = Bytes::from(ImageIndex::new(format, entries, annotations).to_bytes());
    (Descriptor::of(format.index(), &bytes), bytes)
}

/// Under what an image is published.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Under {
    /// The target's tags.
    Tags,
    /// Its digest alone: an index will name it.
    Digest,
}

/// An image with everything known.
struct Finished {
    config: Blob,
    manifest: Bytes,
    descriptor: Descriptor,
    written: WrittenImage,
}

/// An image on its way to one repository.
struct Publishing<'a> {
    target: &'a Target<'a>,
    image: &'a Image,
    blobs: &'a LayerBlobs,
    format: ManifestFormat,
    /// The base's layers, lowest first; each one's digest is known.
    base: Vec<Blob>,
}

impl<'a> Publishing<'a> {
    async fn new(
        target: &'a Target<'a>,
        image: &'a Image,
        blobs: &'a LayerBlobs,
    ) -> Result<Self, RegistryError> {
        let mut base = Vec::new();
        for (diff_id, layer) in image.base.layers()? {
            base.push(match layer {
                LayerSource::Blob(descriptor, source) => Blob::Blob(source.clone(), descriptor.clone()),
                LayerSource::New(layer) => {
                    let (content, written) = prepared(target, layer, image.base.format, blobs).await?;
                    image.base.check(&diff_id, &written)?;
                    content
                }
                LayerSource::File(_) | LayerSource::Daemon => {
                    let (image, base) = (target.image.clone(), image.base.name.clone());
                    return Err(RegistryError::BaseInDaemon { image, base });
                }
            });
        }
        Ok(Self { target, image, blobs, format: image.base.format, base })
    }

    /// Publishes the image and says whether it was there.
    async fn run(&self, under: Under) -> Result<(WrittenImage, bool), RegistryError> {
        let target = self.target;
        let mut outdated: Option<Vec<&str>> = None;
        if let Some(finished) = self.foreseen()? {
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
                return Ok((finished.written, rest.is_empty()));
            }
            outdated = Some(rest);
        }
        let (finished, ()) = tokio::try_join!(self.new_layers(), target.place_all(self.base.clone()))?;
        let (digest, tags) =
            (finished.descriptor.digest.to_string(), outdated.unwrap_or(target.tags.clone()));
        let references = if under == Under::Digest { vec![digest.as_str()] } else { tags };
        target.publish_manifest(&references, &finished.descriptor, &finished.manifest).await?;
        Ok((finished.written, false))
    }

    /// Uploads the new layers, and the config that follows from them.
    async fn new_layers(&self) -> Result<Finished, RegistryError> {
        let target = self.target;
        if let Some(finished) = self.foreseen()? {
            let known = self.image.new.iter().filter_map(|layer| {
                let blob = self.blobs.blob(layer, self.format);
                Some(Blob::Layer(blob, Some(self.blobs.known(layer, self.format)?.into())))
            });
            let contents: Vec<Blob> = known.collect();
            let layers = try_join_all(contents.iter().map(|content| target.place(content).boxed()));
            tokio::try_join!(layers, target.place(&finished.config))?;
            return Ok(finished);
        }
        if self.image.new.iter().map(|layer| layer.layer().size()).sum::<u64>() <= MADE_IN_MEMORY {
            return self.small_layers().await;
        }
        let (mut written, mut early) = (Vec::new(), None);
        for (index, layer) in self.image.new.iter().enumerate() {
            let blob = self.blobs.blob(layer, self.format);
            let uploaded = match self.blobs.known(layer, self.format) {
                Some(known) => {
                    target.place(&Blob::Layer(blob, Some(known.clone().into()))).await?;
                    known
                }
                None => {
                    let is_last = index + 1 == self.image.new.len();
                    let (uploaded, following) = target.upload_new(blob, is_last).await?;
                    early = following;
                    let layer = uploaded.layer.ok_or_else(|| RegistryError::Content {
                        image: target.image.clone(),
                        source: std::io::Error::other("the layer was not written"),
                    })?;
                    WrittenBlob { layer, descriptor: uploaded.descriptor }
                }
            };
            target.note_placed(uploaded.descriptor.digest);
            written.push(uploaded);
        }
        let finished = self.finish(&written)?;
        target.upload(&finished.config, early.and_then(Early::session)).await?;
        Ok(finished)
    }

    /// Makes the layers in memory while the uploads are begun, which are needed whatever the layers turn out to be.
    async fn small_layers(&self) -> Result<Finished, RegistryError> {
        let target = self.target;
        let layers = self.image.new.iter();
        let made =
            try_join_all(layers.map(|layer| in_memory(target, layer, self.format, self.blobs).boxed()));
        let begun = try_join_all(self.image.new.iter().map(|_| target.begin().boxed()));
        let (made, begun, last) = tokio::try_join!(made, begun, target.begin())?;
        let written: Vec<WrittenBlob> = made.iter().map(|(written, _)| written.clone()).collect();
        let finished = self.finish(&written)?;
        let contents: Vec<Blob> =
            made.into_iter().map(|(written, bytes)| Blob::Bytes(bytes, written.descriptor)).collect();
        let uploads =
            contents.iter().zip(begun).map(|(content, begun)| target.upload(content, Some(begun)).boxed());
        tokio::try_join!(try_join_all(uploads), target.upload(&finished.config, Some(last)))?;
        Ok(finished)
    }

    /// Makes config and manifest, if every layer is known.
    fn foreseen(&self) -> Result<Option<Finished>, RegistryError> {
        let known = self.image.new.iter().map(|layer| self.blobs.known(layer, self.format));
        let known: Option<Vec<WrittenBlob>> = known.collect();
        known.map(|known| self.finish(&known)).transpose()
    }

    /// Makes config and manifest.
    fn finish(&self, new: &[WrittenBlob]) -> Result<Finished, RegistryError> {
        for (layer, written) in self.image.new.iter().zip(new) {
            self.blobs.remember(layer, self.format, written);
        }
        let layers: Vec<WrittenLayer> = new.iter().map(|written| written.layer).collect();
        let finished = self.image.finish(&layers)?;
        let config = Descriptor::of(self.format.config(), &finished.bytes);
        let below = self.base.iter().filter_map(Blob::known).map(|known| known.descriptor);
        let blobs: Vec<Descriptor> =
            below.chain(new.iter().map(|written| written.descriptor.clone())).collect();
        let (descriptor, manifest) = self.image.manifest(self.format, config, blobs.clone());
        let (image_id, manifest_descriptor) = (finished.image_id, Some(descriptor.clone()));
        Ok(Finished {
            config: bytes(self.format.config(), finished.bytes),
            manifest: manifest.into(),
            descriptor,
            written: WrittenImage { image_id, layers, manifest: manifest_descriptor, blobs },
        })
    }
}

/// A layer of the base that b2i makes, as a blob whose digest is known. What is not remembered is made in memory, so that
/// it is compressed once, whether it is there already or not.
async fn prepared(
    target: &Target<'_>,
    layer: &NewLayer,
    format: ManifestFormat,
    blobs: &LayerBlobs,
) -> Result<(Blob, WrittenLayer), RegistryError> {
    if let Some(known) = blobs.known(layer, format) {
        let written = known.layer;
        return Ok((Blob::Layer(blobs.blob(layer, format), Some(known.into())), written));
    }
    let (written, bytes) = in_memory(target, layer, format, blobs).await?;
    blobs.remember(layer, format, &written);
    Ok((Blob::Bytes(bytes, written.descriptor), written.layer))
}

/// Writes the blob of a small layer.
async fn in_memory(
    target: &Target<'_>,
    layer: &NewLayer,
    format: ManifestFormat,
    blobs: &LayerBlobs,
) -> Result<(WrittenBlob, Bytes), RegistryError> {
    let capacity = usize::try_from(layer.layer().size()).unwrap_or_default();
    let blob: Arc<dyn LayerBlob> = blobs.blob(layer, format);
    let written = blocking(move || {
        let mut bytes = Vec::with_capacity(capacity);
        blob.write(&mut bytes).map(|written| (written, Bytes::from(bytes)))
    });
    written.await.map_err(|source| RegistryError::Content { image: target.image.clone(), source })
}
