//! Owns registries as an image sink. Must not change a tag before everything that it names is there.
//!
//! The base's layers are mounted or streamed, and new layers are uploaded while they are written. Several images come one
//! after the other, by digest, and then their index. If the memo knows every layer, one request finds out whether a tag
//! already has the image.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::try_join_all;

use super::Registries;
use super::content::{Content as Blob, Progress};
use super::error::RegistryError;
use super::push::{Early, Target, by_repository};
use crate::blocking::blocking;
use crate::events::Step;
use crate::fs::Lease;
use crate::image::compression::WrittenBlob;
use crate::image::layer::WrittenLayer;
use crate::image::{Image, ImageReference, LayerSource, ManifestFormat, ManifestTree, NewLayer};
use crate::store::documents::{ImageDocuments, index_of};
use crate::store::layout::{Layout, LayoutSink};
use crate::store::{Content, LayerBlob, LayerBlobs, Sink, Written, WrittenImage};

/// Largest sum of the sizes of layers that are written to memory before they are sent, in bytes. Known digests save a
/// request.
const MADE_IN_MEMORY: u64 = 4 << 20;

pub struct RegistrySink {
    pub registries: Registries,
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
            Content::Images(images) => images
                .iter()
                .flat_map(|image| &image.base.layers)
                .any(|layer| matches!(layer, LayerSource::File(_) | LayerSource::Daemon)),
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
    /// Pushes by way of a temporary layout: a daemon has neither manifests nor compressed layers.
    async fn write_by_layout(
        &self,
        content: Content<'_>,
        names: &[ImageReference],
        blobs: &LayerBlobs,
    ) -> Result<Written, RegistryError> {
        let path = self.lease.temporary_directory().join("push");
        let events = self.registries.shared.events.clone();
        let (lease, is_archive) = (self.lease.clone(), false);
        let layout = LayoutSink { path: path.clone(), is_archive, lease, events };
        let written = layout.write(content, &[], blobs).await?;
        let root = written.root.clone().expect("a layout has manifests");
        let blobs = blocking(move || Layout::open(&path)).await?.blobs();
        let name = names.first().map_or_else(String::new, ImageReference::familiar);
        self.registries.copy(&ManifestTree { root, blobs, name, is_raw: false }, names).await?;
        Ok(written)
    }
}

impl Registries {
    /// Publishes one image, or several and their index, under all `names`, which may be in several repositories.
    ///
    /// # Errors
    /// [`RegistryError::Push`] and others of publishing, of reading the base's layers and the artifact. Each tag has either
    /// its old manifest or a complete new one.
    pub async fn publish(
        &self,
        images: &[Image],
        names: &[ImageReference],
        blobs: &LayerBlobs,
    ) -> Result<Written, RegistryError> {
        let mut result = None;
        for group in by_repository(names)? {
            let step = self.shared.events.start(Step::Write, group.first.familiar(), None);
            let target = self.target(group, Progress::new(step.clone()))?;
            let (written, was_there) = match images {
                [image] => {
                    let publishing = Publishing::new(&target, image, blobs).await?;
                    let (image, was_there) = publishing.run(PublishedUnder::Tags).await?;
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

/// Publishes all images in one repository, then their index, unless a tag already has that index.
async fn publish_index(
    target: &Target<'_>,
    images: &[Image],
    blobs: &LayerBlobs,
) -> Result<(Written, bool), RegistryError> {
    let is_known =
        |image: &Image| image.new.iter().all(|layer| blobs.known(layer, image.base.format).is_some());
    if images.iter().all(is_known) {
        let mut foreseen = Vec::new();
        for image in images {
            foreseen.extend(Publishing::new(target, image, blobs).await?.foreseen()?.map(|one| one.written));
        }
        let (root, index) = index_of(index_format(images), images, &foreseen);
        let outdated = target.outdated(&root.digest).await?;
        if outdated.len() < target.tags.len() {
            target.publish_manifest(&outdated, &root, &index).await?;
            return Ok((Written { root: Some(root), images: foreseen }, outdated.is_empty()));
        }
    }
    let mut written = Vec::new();
    for image in images {
        written.push(Publishing::new(target, image, blobs).await?.run(PublishedUnder::Digest).await?.0);
    }
    let (root, index) = index_of(index_format(images), images, &written);
    target.publish_manifest(&target.tags, &root, &index).await?;
    Ok((Written { root: Some(root), images: written }, false))
}

/// Docker's own index may name Docker's manifests only.
fn index_format(images: &[Image]) -> ManifestFormat {
    let is_docker = images.iter().all(|image| image.base.format == ManifestFormat::Docker);
    if is_docker { ManifestFormat::Docker } else { ManifestFormat::Oci }
}

/// The references that an image is published under.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PublishedUnder {
    Tags,
    Digest,
}

struct Publishing<'a> {
    target: &'a Target<'a>,
    image: &'a Image,
    blobs: &'a LayerBlobs,
    format: ManifestFormat,
    /// The base's layers, lowest first; all digests are known.
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

    /// Publishes the image. The flag is true if the registry already had it under all its names.
    async fn run(&self, under: PublishedUnder) -> Result<(WrittenImage, bool), RegistryError> {
        let target = self.target;
        let mut outdated: Option<Vec<&str>> = None;
        if let Some(documents) = self.foreseen()? {
            let digest = documents.manifest.digest;
            let (there, rest) = match under {
                PublishedUnder::Digest => {
                    let name = digest.to_string();
                    let found = target.repository.manifest_digest(&name).await;
                    (found.map_err(|error| target.push(error))? == Some(digest), Vec::new())
                }
                PublishedUnder::Tags => {
                    let rest = target.outdated(&digest).await?;
                    (rest.len() < target.tags.len(), rest)
                }
            };
            if there {
                target.publish_manifest(&rest, &documents.manifest, &documents.manifest_bytes).await?;
                return Ok((documents.written, rest.is_empty()));
            }
            outdated = Some(rest);
        }
        let (documents, ()) = tokio::try_join!(self.new_layers(), target.place_all(self.base.clone()))?;
        let (digest, tags) = (documents.manifest.digest.to_string(), outdated.unwrap_or(target.tags.clone()));
        let references = if under == PublishedUnder::Digest { vec![digest.as_str()] } else { tags };
        target.publish_manifest(&references, &documents.manifest, &documents.manifest_bytes).await?;
        Ok((documents.written, false))
    }

    async fn new_layers(&self) -> Result<ImageDocuments, RegistryError> {
        let target = self.target;
        if let Some(documents) = self.foreseen()? {
            let known = self.image.new.iter().filter_map(|layer| {
                let blob = self.blobs.blob(layer, self.format);
                Some(Blob::Layer(blob, Some(self.blobs.known(layer, self.format)?.into())))
            });
            let contents: Vec<Blob> = known.chain([config_of(&documents)]).collect();
            try_join_all(contents.iter().map(|content| target.place(content).boxed())).await?;
            return Ok(documents);
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
                    uploaded.written().ok_or_else(|| RegistryError::Content {
                        image: target.image.clone(),
                        source: std::io::Error::other("the layer was not written"),
                    })?
                }
            };
            target.note_placed(uploaded.descriptor.digest);
            written.push(uploaded);
        }
        let documents = self.documents(&written)?;
        target.upload(&config_of(&documents), early.and_then(Early::session)).await?;
        Ok(documents)
    }

    /// Writes the layers to memory while their uploads begin. Each blob needs an upload, whatever its digest.
    async fn small_layers(&self) -> Result<ImageDocuments, RegistryError> {
        let target = self.target;
        let layers = self.image.new.iter();
        let made =
            try_join_all(layers.map(|layer| in_memory(target, layer, self.format, self.blobs).boxed()));
        let begun = try_join_all(self.image.new.iter().map(|_| target.begin().boxed()));
        let (made, begun, last) = tokio::try_join!(made, begun, target.begin())?;
        let written: Vec<WrittenBlob> = made.iter().map(|(written, _)| written.clone()).collect();
        let documents = self.documents(&written)?;
        let contents: Vec<Blob> =
            made.into_iter().map(|(written, bytes)| Blob::Bytes(bytes, written.descriptor)).collect();
        let uploads =
            contents.iter().zip(begun).map(|(content, begun)| target.upload(content, Some(begun)).boxed());
        let config = config_of(&documents);
        tokio::try_join!(try_join_all(uploads), target.upload(&config, Some(last)))?;
        Ok(documents)
    }

    fn foreseen(&self) -> Result<Option<ImageDocuments>, RegistryError> {
        let known = self.image.new.iter().map(|layer| self.blobs.known(layer, self.format));
        let known: Option<Vec<WrittenBlob>> = known.collect();
        known.map(|known| self.documents(&known)).transpose()
    }

    fn documents(&self, new: &[WrittenBlob]) -> Result<ImageDocuments, RegistryError> {
        let base = self.base.iter().filter_map(Blob::known).map(|known| known.descriptor).collect();
        Ok(ImageDocuments::new(self.image, self.format, base, new, self.blobs)?)
    }
}

fn config_of(documents: &ImageDocuments) -> Blob {
    Blob::Bytes(documents.config_bytes.clone(), documents.config.clone())
}

/// The blob of a layer that b2i makes for a base. If its digest is unknown, it is compressed once, into memory.
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
