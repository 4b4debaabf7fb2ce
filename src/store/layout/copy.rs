//! Owns copying into a layout: an image, or an index with all its images, goes there with not one byte changed.
//!
//! Manifests keep the media types that they have, also Docker's: other types would be other bytes.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use super::archive::blob;
use super::directory::Directory;
use super::image::copy_blob;
use super::index::IndexDocument;
use super::{INDEX_FILE, LAYOUT, LAYOUT_FILE, LayoutError};
use crate::fs::{AtomicFile, Lease};
use crate::image::manifest::MAXIMUM_MANIFEST;
use crate::image::{Descriptor, Digest, ImageReference, Manifest, Platform};
use crate::store::BlobSource;
use crate::store::archive::{ArchiveError, TarWriter};
use crate::store::blobs::BlockingBlobs;

/// How deep indexes may be within each other.
const MAXIMUM_DEPTH: usize = 4;

/// Most bytes of all manifests of an index: they are held in memory.
const MAXIMUM_MANIFESTS: u64 = 16 << 20;

/// Adds what `root` describes to the layout in `directory`, under `tags`. `blobs` opens manifests too; `platform` is
/// that of an image, none of an index. Blobs that are there already are verified and not read.
///
/// Blocks, on a blocking thread of the runtime that reads the blobs.
///
/// # Errors
/// [`LayoutError`]; after one, the index is as it was before.
pub fn copy_to_layout(
    root: &Descriptor,
    blobs: &Arc<dyn BlobSource>,
    platform: Option<&Platform>,
    tags: &[ImageReference],
    directory: &Path,
    lease: &Lease,
) -> Result<(), LayoutError> {
    let layout = Directory::open(directory, lease)?;
    let tree = Tree::read(root, blobs)?;
    for item in &tree.blobs {
        if let Some(bytes) = tree.manifests.get(&item.digest) {
            layout.store_bytes(item, bytes)?;
        } else if !layout.has(item) {
            let mut out = layout.new_blob()?;
            tree.copy(item, &mut out).map_err(|error| in_file(error, &out))?;
            out.commit_as(&item.digest.hex())?;
        }
    }
    layout.edit_index(|index| index.put(root, platform, tags))
}

/// Writes what `root` describes as the tar of a layout to `out`, as [`copy_to_layout`]; the caller commits it.
///
/// # Errors
/// [`LayoutError`]; after one, what was written so far is no archive.
pub fn copy_to_layout_archive(
    root: &Descriptor,
    blobs: &Arc<dyn BlobSource>,
    platform: Option<&Platform>,
    tags: &[ImageReference],
    out: &mut AtomicFile,
) -> Result<(), LayoutError> {
    let tree = Tree::read(root, blobs)?;
    let mut tar = TarWriter { out: &mut *out };
    let mut write = || {
        tar.file(LAYOUT_FILE, LAYOUT)?;
        for item in &tree.blobs {
            match tree.manifests.get(&item.digest) {
                Some(bytes) => tar.file(&blob(&item.digest), bytes)?,
                None => {
                    tar.begin(&blob(&item.digest), item.size)?;
                    tree.copy(item, &mut *tar.out)?;
                    tar.padding(item.size)?;
                }
            }
        }
        let mut index = IndexDocument::empty();
        index.put(root, platform, tags);
        tar.file(INDEX_FILE, &index.to_bytes())?;
        Ok::<_, ArchiveError>(tar.end()?)
    };
    let written = write();
    written.map_err(|error| in_file(error, out))
}

fn in_file(error: ArchiveError, out: &AtomicFile) -> LayoutError {
    match error {
        ArchiveError::Io(error) => LayoutError::File(out.error(error)),
        other => other.into(),
    }
}

/// All that a manifest names, each blob once, what is named before what names it.
struct Tree {
    source: BlockingBlobs,
    name: String,
    blobs: Vec<Descriptor>,
    manifests: HashMap<Digest, Vec<u8>>,
    seen: BTreeSet<Digest>,
    /// Bytes of manifests that may still be read.
    left: u64,
}

impl Tree {
    fn read(root: &Descriptor, blobs: &Arc<dyn BlobSource>) -> Result<Self, ArchiveError> {
        let mut tree = Self {
            source: BlockingBlobs::new(blobs.clone())?,
            name: root.digest.to_string(),
            blobs: Vec::new(),
            manifests: HashMap::new(),
            seen: BTreeSet::new(),
            left: MAXIMUM_MANIFESTS,
        };
        tree.add(root, 0)?;
        Ok(tree)
    }

    fn add(&mut self, manifest: &Descriptor, depth: usize) -> Result<(), ArchiveError> {
        if self.seen.contains(&manifest.digest) {
            return Ok(());
        }
        let invalid = |text: String| ArchiveError::ReadBlob {
            name: self.name.clone(),
            digest: manifest.digest,
            source: io::Error::new(io::ErrorKind::InvalidData, text),
        };
        if manifest.size > MAXIMUM_MANIFEST.min(self.left) || depth > MAXIMUM_DEPTH {
            return Err(invalid("its manifests are too large or nested too deep".into()));
        }
        let mut bytes = Vec::new();
        copy_blob(&self.source, &self.name, manifest, &mut bytes)?;
        let announced = Some(manifest.media_type.as_str()).filter(|text| !text.is_empty());
        let parsed = Manifest::parse(&bytes, announced).map_err(|error| invalid(error.to_string()))?;
        self.left -= manifest.size;
        match parsed {
            Manifest::Image(image) => {
                for blob in [&image.config].into_iter().chain(&image.layers) {
                    if self.seen.insert(blob.digest) {
                        self.blobs.push(blob.clone());
                    }
                }
            }
            Manifest::Index(index) => {
                for entry in &index.manifests {
                    self.add(entry, depth + 1)?;
                }
            }
        }
        self.seen.insert(manifest.digest);
        self.blobs.push(manifest.clone());
        self.manifests.insert(manifest.digest, bytes);
        Ok(())
    }

    fn copy(&self, blob: &Descriptor, out: impl Write) -> Result<(), ArchiveError> {
        copy_blob(&self.source, &self.name, blob, out)
    }
}
