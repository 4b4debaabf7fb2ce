//! Owns the outputs that keep all images, and the index that names them.

use std::path::{Path, PathBuf};

use super::build::Work;
use super::layer_memo::{CachedBase, CachedLayer};
use super::outputs::blocking;
use super::stage::{Assembled, AssembledImage};
use crate::error::Error;
use crate::events::Step;
use crate::fs::AtomicFile;
use crate::image::compression::{WrittenBlob, all_cores};
use crate::image::{Digest, ImageConfig, ManifestFormat, Platform};
use crate::store::archive::LayerFile;
use crate::store::layout::{
    Layout, LayoutImage, LayoutIndexImage, LayoutOptions, WrittenLayoutIndex, write_layout_index,
    write_layout_index_archive,
};
use crate::store::registry::{IndexImage, PublishOptions};
use crate::store::{CompressedLayer, UnfinishedImage};
use crate::transport::Transport;

/// What an output learned: the digests of the index and of each image's manifest.
pub(crate) struct WrittenIndex {
    pub(crate) index: Digest,
    pub(crate) images: Vec<Digest>,
}

/// An image as a thread of its own needs it to write it into a layout.
struct Owned {
    image: OwnedImage,
    files: Vec<LayerFile>,
    platform: Platform,
    known: Option<WrittenBlob>,
}

enum OwnedImage {
    Unfinished(Box<UnfinishedImage>),
    Committed(ImageConfig),
}

impl Work<'_> {
    /// Writes all images and their index to one output.
    pub(crate) async fn write_index(
        &self,
        output: &Transport,
        assembled: &[Assembled<'_>],
        layers: &mut [CachedLayer<'_>],
    ) -> Result<WrittenIndex, Error> {
        let is_committed = |one: &Assembled<'_>| matches!(one.image, AssembledImage::Committed { .. });
        match output {
            Transport::Registry if assembled.iter().any(is_committed) => {
                self.push_by_layout(assembled, layers).await
            }
            Transport::Registry => self.push_index(assembled, layers).await,
            Transport::OciDirectory { path } => self.lay_out_index(assembled, layers, path, false).await,
            Transport::OciArchive { path } => self.lay_out_index(assembled, layers, path, true).await,
            Transport::Docker | Transport::DockerArchive { .. } => {
                unreachable!("the plan gives an index only to what keeps manifests")
            }
        }
    }

    async fn push_index(
        &self,
        assembled: &[Assembled<'_>],
        layers: &mut [CachedLayer<'_>],
    ) -> Result<WrittenIndex, Error> {
        let compression = self.request.compression;
        let mut images = Vec::new();
        for one in assembled {
            let AssembledImage::Unfinished { image, layer } = &one.image else { continue };
            let known = layers[*layer].blob(compression, image.manifest_format());
            let memo = self.session.memo(!self.request.ignore_memo)?;
            let known_base = CachedBase::find(memo, &image.base, compression, image.manifest_format());
            let options = PublishOptions {
                known_base: known_base.blob.clone(),
                encode: CompressedLayer::encode(compression, all_cores()),
                known: known.map(|blob| (blob.layer, blob.descriptor)),
            };
            images.push(IndexImage { image: image.clone(), platform: one.platform(), options });
        }
        let (tags, annotations) = (&self.prepared.plan.tags, &self.request.image.annotations);
        let written = self.session.registries()?.publish_index(&images, tags, annotations).await?;
        for (one, published) in assembled.iter().zip(&written.images) {
            if let AssembledImage::Unfinished { image, layer } = &one.image {
                let blob = WrittenBlob { layer: published.layer, descriptor: published.blob.clone() };
                layers[*layer].remember_blob(&blob, compression, image.manifest_format());
            }
        }
        let images = written.images.iter().map(|published| published.manifest.digest).collect();
        Ok(WrittenIndex { index: written.index.digest, images })
    }

    /// Pushes what an engine committed by way of a layout: a daemon has neither manifests nor compressed layers.
    async fn push_by_layout(
        &self,
        assembled: &[Assembled<'_>],
        layers: &mut [CachedLayer<'_>],
    ) -> Result<WrittenIndex, Error> {
        let directory = self.prepared.lease.temporary_directory().join("push-index");
        let written = self.write_layout_index(assembled, layers, &directory, false).await?;
        let blobs = Layout::open(&directory)?.blobs();
        self.session.registries()?.copy(&written.index, &blobs, &self.prepared.plan.tags).await?;
        Ok(digests(&written))
    }

    async fn lay_out_index(
        &self,
        assembled: &[Assembled<'_>],
        layers: &mut [CachedLayer<'_>],
        path: &Path,
        is_archive: bool,
    ) -> Result<WrittenIndex, Error> {
        let step = self.session.events.start(Step::Write, path.display().to_string(), None);
        let written = self.write_layout_index(assembled, layers, path, is_archive).await?;
        let sizes = written.images.iter().filter_map(|one| one.blob.as_ref());
        step.sized(sizes.map(|blob| blob.descriptor.size).sum()).finish("");
        Ok(digests(&written))
    }

    async fn write_layout_index(
        &self,
        assembled: &[Assembled<'_>],
        layers: &mut [CachedLayer<'_>],
        path: &Path,
        is_archive: bool,
    ) -> Result<WrittenLayoutIndex, Error> {
        let compression = self.request.compression;
        let mut images = Vec::new();
        for one in assembled {
            images.push(one.owned(layers, self.request.compression).await?);
        }
        let annotations = self.request.image.annotations.clone();
        let tags = self.prepared.plan.tags.clone();
        let options = LayoutOptions { tags, compression, ..LayoutOptions::default() };
        let (path, lease): (PathBuf, _) = (path.to_owned(), self.prepared.lease.clone());
        let written = blocking(move || {
            let borrowed: Vec<LayoutIndexImage<'_>> =
                images.iter().map(|one| one.borrowed(&annotations)).collect();
            if !is_archive {
                return Ok(write_layout_index(&borrowed, &annotations, &options, &path, &lease)?);
            }
            let mut out = AtomicFile::create(&path, None, &lease).map_err(Error::Output)?;
            let written = write_layout_index_archive(&borrowed, &annotations, &options, &mut out)?;
            out.commit().map_err(Error::Output)?;
            Ok(written)
        })
        .await?;
        for (one, written) in assembled.iter().zip(&written.images) {
            if let (AssembledImage::Unfinished { layer, .. }, Some(blob)) = (&one.image, &written.blob) {
                layers[*layer].remember_blob(blob, compression, ManifestFormat::Oci);
            }
        }
        Ok(written)
    }
}

impl Assembled<'_> {
    /// The platform that the index names the image for: the base may know the variant that nobody asked for.
    fn platform(&self) -> Platform {
        let planned = &self.stage.stage.platform;
        let config = match &self.image {
            AssembledImage::Unfinished { image, .. } => image.base.config.platform(),
            AssembledImage::Committed { config, .. } | AssembledImage::InContainer { config, .. } => {
                config.platform()
            }
        };
        if planned.variant.is_some() { planned.clone() } else { config }
    }

    async fn owned(
        &self,
        layers: &[CachedLayer<'_>],
        compression: crate::image::compression::Compression,
    ) -> Result<Owned, Error> {
        let (image, files, known) = match &self.image {
            AssembledImage::Unfinished { image, layer } => {
                let files = self.stage.base_files(image).await?;
                let known = layers[*layer].blob(compression, ManifestFormat::Oci);
                (OwnedImage::Unfinished(Box::new(image.clone())), files, known)
            }
            AssembledImage::Committed { id, config } => {
                let files = self.stage.committed_files(id, config).await?;
                (OwnedImage::Committed(config.clone()), files, None)
            }
            AssembledImage::InContainer { .. } => unreachable!("it goes to the daemon alone, as one image"),
        };
        Ok(Owned { image, files, platform: self.platform(), known })
    }
}

impl Owned {
    fn borrowed<'a>(
        &'a self,
        annotations: &'a std::collections::BTreeMap<String, String>,
    ) -> LayoutIndexImage<'a> {
        let image = match &self.image {
            OwnedImage::Unfinished(image) => LayoutImage::Unfinished(image),
            OwnedImage::Committed(config) => LayoutImage::Committed { config, annotations },
        };
        LayoutIndexImage {
            image,
            base_files: &self.files,
            platform: self.platform.clone(),
            known: self.known.clone(),
        }
    }
}

fn digests(written: &WrittenLayoutIndex) -> WrittenIndex {
    WrittenIndex {
        index: written.index.digest,
        images: written.images.iter().map(|image| image.manifest.digest).collect(),
    }
}
