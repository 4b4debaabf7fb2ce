//! Owns layouts as an image sink: one image, or several with an index that names them all, into a directory that may have
//! others, or into a new archive.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LayoutError;
use super::archive::LayoutArchive;
use super::copy::{archive_layout, copy_tree};
use super::directory::Directory;
use super::image::{FORMAT, Pieces};
use super::index::IndexDocument;
use crate::blocking::blocking;
use crate::events::{Events, Step};
use crate::fs::{AtomicFile, Lease};
use crate::image::{
    DescribedPlatform, Descriptor, Image, ImageIndex, ImageReference, ManifestTree, Platform,
};
use crate::store::archive::ArchiveError;
use crate::store::{Content, LayerBlobs, Sink, Written, WrittenImage};

/// One layout that is written.
#[derive(Clone)]
pub struct LayoutSink {
    /// The directory, which is made if it does not exist or is empty, or the archive.
    pub path: PathBuf,
    /// Whether it is an archive.
    pub is_archive: bool,
    /// The lease of this run.
    pub lease: Arc<Lease>,
    /// Where progress goes.
    pub events: Events,
}

impl Sink for LayoutSink {
    type Error = LayoutError;

    async fn write(
        &self,
        content: Content<'_>,
        names: &[ImageReference],
        blobs: &LayerBlobs,
    ) -> Result<Written, LayoutError> {
        let step = self.events.start(Step::Write, self.path.display().to_string(), None);
        let (sink, names, blobs) = (self.clone(), names.to_vec(), blobs.clone());
        let written = match content {
            Content::Images(images) => {
                let images = images.to_vec();
                blocking(move || sink.write_images(&images, &names, &blobs)).await?
            }
            Content::Tree(tree) => {
                let tree = tree.clone();
                blocking(move || sink.write_tree(&tree, &names, &blobs)).await?
            }
        };
        let new = |image: &WrittenImage| -> u64 {
            image.blobs.iter().rev().take(image.layers.len()).map(|blob| blob.size).sum()
        };
        step.sized(written.images.iter().map(new).sum()).finish("");
        Ok(written)
    }
}

impl LayoutSink {
    /// Writes images one after the other; what one says of a layer serves those that have it too.
    ///
    /// Blocks, on a blocking thread of the runtime that reads the blobs of bases. After an error the index of a directory is
    /// as it was before.
    pub(crate) fn write_images(
        &self,
        images: &[Image],
        names: &[ImageReference],
        blobs: &LayerBlobs,
    ) -> Result<Written, LayoutError> {
        if self.is_archive {
            // Opening a pipe waits for its reader.
            let mut out = AtomicFile::create(&self.path, None, &self.lease)?;
            let written = write_archive(images, names, blobs, &mut out).map_err(|error| match error {
                ArchiveError::Io(error) => LayoutError::File(out.error(error)),
                other => other.into(),
            })?;
            out.commit()?;
            return Ok(written);
        }
        let layout = Directory::open(&self.path, &self.lease)?;
        let mut written = Vec::new();
        for image in images {
            written.push(layout.store_image(&Pieces::new(image, blobs))?);
        }
        let root = Root::of(images, &written);
        if let Some(index) = &root.index {
            layout.store_bytes(&root.descriptor, index)?;
        }
        layout.edit_index(|index| index.put(&root.descriptor, root.platform.as_ref(), names))?;
        Ok(Written { root: Some(root.descriptor), images: written })
    }

    /// Copies what is at another place. An archive is made of a directory, as a blob's size stands before its bytes.
    fn write_tree(
        &self,
        tree: &ManifestTree,
        names: &[ImageReference],
        blobs: &LayerBlobs,
    ) -> Result<Written, LayoutError> {
        let spool = self.lease.temporary_directory().join("copy");
        let directory: &Path = if self.is_archive { &spool } else { &self.path };
        let root = copy_tree(tree, names, blobs, directory, &self.lease)?;
        if self.is_archive {
            let mut out = AtomicFile::create(&self.path, None, &self.lease)?;
            archive_layout(directory, &mut out)?;
            out.commit()?;
        }
        Ok(Written { root: Some(root), images: Vec::new() })
    }
}

fn write_archive(
    images: &[Image],
    names: &[ImageReference],
    blobs: &LayerBlobs,
    out: &mut AtomicFile,
) -> Result<Written, ArchiveError> {
    let mut archive = LayoutArchive::begin(out)?;
    let mut written = Vec::new();
    for image in images {
        written.push(archive.image(&Pieces::new(image, blobs))?);
    }
    let root = Root::of(images, &written);
    if let Some(index) = &root.index {
        archive.bytes(&root.descriptor, index)?;
    }
    let mut document = IndexDocument::empty();
    document.put(&root.descriptor, root.platform.as_ref(), names);
    archive.end(&document)?;
    Ok(Written { root: Some(root.descriptor), images: written })
}

/// What the layout's `index.json` names, so that a name means all images.
struct Root {
    descriptor: Descriptor,
    /// The platform of the one image.
    platform: Option<Platform>,
    /// The index of several.
    index: Option<Vec<u8>>,
}

impl Root {
    fn of(images: &[Image], written: &[WrittenImage]) -> Self {
        let manifest = |written: &WrittenImage| written.manifest.clone().expect("a layout keeps manifests");
        if let ([image], [one]) = (images, written) {
            let platform = Some(image.base.config.platform());
            return Self { descriptor: manifest(one), platform, index: None };
        }
        let entry = |(image, written): (&Image, &WrittenImage)| Descriptor {
            platform: Some(DescribedPlatform::from(&image.platform)),
            ..manifest(written)
        };
        let entries = images.iter().zip(written).map(entry).collect();
        let annotations = images.first().map(|image| image.annotations.clone()).unwrap_or_default();
        let bytes = ImageIndex::new(FORMAT, entries, annotations).to_bytes();
        Self { descriptor: Descriptor::of(FORMAT.index(), &bytes), platform: None, index: Some(bytes) }
    }
}
