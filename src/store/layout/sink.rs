//! Owns layouts as an image sink: a directory that may have images, or a new archive. Must not read layers.

use bytes::Bytes;
use std::collections::BTreeMap;
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
use crate::fs::{AtomicFile, Lease, file_size};
use crate::image::{Descriptor, Digest, Image, ImageReference, ManifestTree, Platform};
use crate::store::archive::ArchiveError;
use crate::store::documents::index_of;
use crate::store::{Content, LayerBlobs, Sink, Written, WrittenImage};

#[derive(Clone)]
pub struct LayoutSink {
    /// The path of the archive or of the directory. The directory may be missing, empty or an existing layout.
    pub path: PathBuf,
    pub is_archive: bool,
    pub lease: Arc<Lease>,
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
        let size = match self.is_archive {
            true => file_size(&self.path),
            false => Some(blob_bytes(&written)),
        };
        let step = if let Some(size) = size { step.sized(size) } else { step };
        step.finish("");
        Ok(written)
    }
}

/// The bytes of all blobs in the layout; images share equal ones.
fn blob_bytes(written: &Written) -> u64 {
    let blobs: BTreeMap<Digest, u64> =
        written.images.iter().flat_map(|image| &image.blobs).map(|blob| (blob.digest, blob.size)).collect();
    blobs.values().sum()
}

impl LayoutSink {
    /// Writes images one after the other. They share the blobs of equal layers.
    ///
    /// Blocks, on a blocking thread of the runtime that reads the blobs of bases. After an error a directory
    /// is unchanged.
    pub(crate) fn write_images(
        &self,
        images: &[Image],
        names: &[ImageReference],
        blobs: &LayerBlobs,
    ) -> Result<Written, LayoutError> {
        if self.is_archive {
            // Opening a pipe waits for its reader.
            let mut out = AtomicFile::create(&self.path, None, &self.lease)?;
            let written = write_archive(images, names, blobs, &mut out);
            let written = written.map_err(|error| error.of_file(&out))?;
            out.commit()?;
            return Ok(written);
        }
        let layout = Directory::open(&self.path, &self.lease)?;
        let mut written = Vec::new();
        for image in images {
            written.push(layout.store_image(&Pieces::new(image, blobs))?);
        }
        let (root, platform, index) = root_of(images, &written);
        if let Some(index) = index {
            layout.store_bytes(&root, &index)?;
        }
        layout.edit_index(|index| index.put(&root, platform.as_ref(), names))?;
        Ok(Written { root: Some(root), images: written })
    }

    /// Copies a tree. An archive is made from a directory, because a blob's size comes before its bytes.
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
    let (root, platform, index) = root_of(images, &written);
    if let Some(index) = index {
        archive.bytes(&root, &index)?;
    }
    let mut document = IndexDocument::empty();
    document.put(&root, platform.as_ref(), names);
    archive.end(&document)?;
    Ok(Written { root: Some(root), images: written })
}

/// The manifest or index that `index.json` names, the platform of a single image, and the bytes of an index.
fn root_of(images: &[Image], written: &[WrittenImage]) -> (Descriptor, Option<Platform>, Option<Bytes>) {
    if let ([image], [one]) = (images, written) {
        let manifest = one.manifest.clone().expect("a layout has manifests");
        return (manifest, Some(image.base.config.platform()), None);
    }
    let (index, bytes) = index_of(FORMAT, images, written);
    (index, None, Some(bytes))
}
