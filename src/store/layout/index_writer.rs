//! Owns writing several images, each for another platform, with an index that names them all.
//!
//! The layout's `index.json` names that index, and it the images, so that a name means all of them.

use std::collections::BTreeMap;
use std::path::Path;

use super::archive::LayoutArchive;
use super::directory::Directory;
use super::image::{LayoutImage, Pieces};
use super::index::IndexDocument;
use super::{LayoutError, LayoutOptions, WrittenLayout};
use crate::fs::{AtomicFile, Lease};
use crate::image::compression::WrittenBlob;
use crate::image::{DescribedPlatform, Descriptor, ImageIndex, ManifestFormat, Platform};
use crate::store::archive::{ArchiveError, LayerFile};

/// One image of an index.
#[derive(Clone)]
pub struct LayoutIndexImage<'a> {
    /// The image. Where several have the same layer, copies of it, it is made once.
    pub image: LayoutImage<'a>,
    /// The layers of a base that is in a daemon.
    pub base_files: &'a [LayerFile],
    /// The platform that the index names it for.
    pub platform: Platform,
    /// The new layer's blob, as in [`LayoutOptions::known`].
    pub known: Option<WrittenBlob>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenLayoutIndex {
    /// The index, with its digest.
    pub index: Descriptor,
    /// Each image, in the order of the index.
    pub images: Vec<WrittenLayout>,
}

/// Adds images and an index of them to the layout in `directory`, as
/// [`write_layout`](super::write_layout) adds one. `options` holds for all, but for what is known.
///
/// Blocks, on a blocking thread of the runtime that reads the blobs.
///
/// # Errors
/// [`LayoutError`]; after one, the layout's index is as it was before.
pub fn write_layout_index(
    images: &[LayoutIndexImage<'_>],
    annotations: &BTreeMap<String, String>,
    options: &LayoutOptions,
    directory: &Path,
    lease: &Lease,
) -> Result<WrittenLayoutIndex, LayoutError> {
    let layout = Directory::open(directory, lease)?;
    let written =
        write_each(images, options, |pieces, files, options| layout.store_image(pieces, files, options))?;
    let (descriptor, bytes) = index_of(images, &written, annotations);
    layout.store_bytes(&descriptor, &bytes)?;
    layout.edit_index(|document| document.put(&descriptor, None, &options.tags))?;
    Ok(WrittenLayoutIndex { index: descriptor, images: written })
}

/// Writes images and an index of them as an archive to `out`; the caller commits it.
///
/// # Errors
/// [`LayoutError`]; after one, what was written so far is no archive.
pub fn write_layout_index_archive(
    images: &[LayoutIndexImage<'_>],
    annotations: &BTreeMap<String, String>,
    options: &LayoutOptions,
    out: &mut AtomicFile,
) -> Result<WrittenLayoutIndex, LayoutError> {
    let mut write = || {
        let mut archive = LayoutArchive::begin(&mut *out)?;
        let written =
            write_each(images, options, |pieces, files, options| archive.image(pieces, files, options))?;
        let (descriptor, bytes) = index_of(images, &written, annotations);
        archive.bytes(&descriptor, &bytes)?;
        let mut document = IndexDocument::empty();
        document.put(&descriptor, None, &options.tags);
        archive.end(&document)?;
        Ok(WrittenLayoutIndex { index: descriptor, images: written })
    };
    let written = write();
    written.map_err(|error| match error {
        ArchiveError::Io(error) => LayoutError::File(out.error(error)),
        other => other.into(),
    })
}

/// Writes the images one after the other; what one says of a layer serves those that have it too.
fn write_each<'a, E: From<ArchiveError>>(
    images: &[LayoutIndexImage<'a>],
    options: &LayoutOptions,
    mut write: impl FnMut(&Pieces<'_>, &'a [LayerFile], &LayoutOptions) -> Result<WrittenLayout, E>,
) -> Result<Vec<WrittenLayout>, E> {
    let mut written: Vec<WrittenLayout> = Vec::new();
    for (position, one) in images.iter().enumerate() {
        let same = images[..position].iter().position(|other| has_same_layer(&one.image, &other.image));
        let known = same.and_then(|same| written[same].blob.clone()).or_else(|| one.known.clone());
        let options = LayoutOptions { known, ..options.clone() };
        let pieces = Pieces::new(one.image, &options)?;
        written.push(write(&pieces, one.base_files, &options)?);
    }
    Ok(written)
}

fn has_same_layer(one: &LayoutImage<'_>, two: &LayoutImage<'_>) -> bool {
    match (one, two) {
        (LayoutImage::Unfinished(one), LayoutImage::Unfinished(two)) => one.layer.is_same(&two.layer),
        _ => false,
    }
}

fn index_of(
    images: &[LayoutIndexImage<'_>],
    written: &[WrittenLayout],
    annotations: &BTreeMap<String, String>,
) -> (Descriptor, Vec<u8>) {
    let entry = |(image, written): (&LayoutIndexImage<'_>, &WrittenLayout)| Descriptor {
        platform: Some(DescribedPlatform::from(&image.platform)),
        ..written.manifest.clone()
    };
    let entries = images.iter().zip(written).map(entry).collect();
    let bytes = ImageIndex::new(ManifestFormat::Oci, entries, annotations.clone()).to_bytes();
    (Descriptor::of(ManifestFormat::Oci.index(), &bytes), bytes)
}
