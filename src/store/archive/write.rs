//! Owns what goes into an image archive and in which order. Must not know how its tar is written.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::filter::Excerpt;
use super::format::{Archive, Form, NEW_LAYER};
use super::{ArchiveError, LayerFile};
use crate::image::compression::{DecompressionLimit, decompress};
use crate::image::layer::WrittenLayer;
use crate::image::{Digest, DigestReader, ImageConfig, ImageReference, LayerCompression};
use crate::store::blobs::BlockingBlobs;
use crate::store::resolved::ResolvedImage;
use crate::store::{BaseImage, BaseLayers, DescribedLayers, UnfinishedImage, WrittenImage};

/// Writes an image with all its layers; the bytes depend on the image and the tags alone.
///
/// `base_layers` are the files of a base that is in a daemon, in any order, and of what [`unpack_for_archive`] had to
/// unpack; other bases bring their layers along. Those that a manifest describes go in as they are, compressed. They
/// are read through the runtime whose blocking thread calls this.
///
/// # Errors
/// [`ArchiveError`]; after one, what was written so far is no archive.
pub fn write_archive(
    image: &UnfinishedImage,
    base_layers: &[LayerFile],
    tags: &[ImageReference],
    out: impl Write,
) -> Result<WrittenImage, ArchiveError> {
    let names: Vec<String> = tags.iter().map(ImageReference::familiar).collect();
    let (layer, config) = write_image(image, BaseFiles::All(base_layers), Form::Docker, &names, out)?;
    Ok(WrittenImage { image_id: config.digest(), layer: Some(layer) })
}

/// Which layers of the base go into an archive.
#[derive(Clone, Copy)]
pub(crate) enum BaseFiles<'a> {
    /// None that the reader has; a built-in base always goes along.
    Absent,
    /// All of them; a daemon's are in these files.
    All(&'a [LayerFile]),
}

/// Writes an image, its base with it or without.
pub(crate) fn write_image(
    image: &UnfinishedImage,
    base: BaseFiles<'_>,
    form: Form,
    names: &[String],
    out: impl Write,
) -> Result<(WrittenLayer, ImageConfig), ArchiveError> {
    let base_ids = diff_ids(&image.base.name, &image.base.config)?;
    let mut archive = Archive::new(out, form);
    write_base(&mut archive, image, &base_ids, base)?;
    let written = archive.layer(NEW_LAYER, image.layer.size(), |out| image.layer.write_to(out));
    let written = written.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => ArchiveError::Content(error),
        _ => error.into(),
    })?;
    let config = (image.finish)(&written);
    let expected: Vec<Digest> = base_ids.iter().copied().chain([written.diff_id]).collect();
    let found = diff_ids(&image.base.name, &config)?;
    if found != expected {
        return Err(ArchiveError::Layers { found, expected });
    }
    match form {
        Form::Docker => archive.docker_end(&config, &expected, names, Some(written.diff_id))?,
        Form::Oci => {
            archive.oci_end(&config, &expected, names, Some(&written))?;
        }
    }
    Ok((written, config))
}

/// Writes an archive that holds a config and the names of its layers, for a daemon that has all of these.
pub(crate) fn write_config_only(
    config: &ImageConfig,
    form: Form,
    names: &[String],
    out: impl Write,
) -> Result<(), ArchiveError> {
    let ids = diff_ids("", config)?;
    let mut archive = Archive::new(out, form);
    match form {
        Form::Docker => archive.docker_end(config, &ids, names, None),
        Form::Oci => archive.oci_end(config, &ids, names, None),
    }
}

/// Writes an archive of `config` whose layers are all in `files`.
pub(crate) fn write_from_files(
    config: &ImageConfig,
    files: &[LayerFile],
    names: &[String],
    out: impl Write,
) -> Result<(), ArchiveError> {
    let ids = diff_ids("", config)?;
    let mut archive = Archive::new(out, Form::Docker);
    archive.files("", &ids, files)?;
    archive.docker_end(config, &ids, names, None)
}

/// Writes an image as it is somewhere else; its config keeps every byte, and so the image its ID.
///
/// `unpacked` is what [`unpack_for_archive`] had to unpack. Blocks, as [`write_archive`].
///
/// # Errors
/// As [`write_archive`].
pub fn write_resolved(
    image: &ResolvedImage,
    unpacked: &[LayerFile],
    names: &[String],
    out: impl Write,
) -> Result<(), ArchiveError> {
    let ids = diff_ids(&image.name, &image.config)?;
    let mut archive = Archive::new(out, Form::Docker);
    write_described(&mut archive, &image.name, &ids, &image.layers(), unpacked)?;
    archive.docker_end_with(&image.config_bytes, &ids, names, None)
}

/// Writes an archive whose new layer is an excerpt of a daemon's, on the layers `base_ids`; these are in `base_files`, or
/// the daemon has them.
pub(crate) fn write_excerpt(
    base_ids: &[Digest],
    base_files: Option<&[LayerFile]>,
    excerpt: &Excerpt,
    config: impl FnOnce(&WrittenLayer) -> ImageConfig,
    form: Form,
    names: &[String],
    out: impl Write,
) -> Result<ImageConfig, ArchiveError> {
    let mut archive = Archive::new(out, form);
    if let Some(files) = base_files {
        archive.files("", base_ids, files)?;
    }
    let written = archive.layer(NEW_LAYER, excerpt.size(), |out| excerpt.write_to(out))?;
    let config = config(&written);
    let ids: Vec<Digest> = base_ids.iter().copied().chain([written.diff_id]).collect();
    match form {
        Form::Docker => archive.docker_end(&config, &ids, names, Some(written.diff_id))?,
        Form::Oci => archive.oci_end(&config, &ids, names, Some(&written))?,
    }
    Ok(config)
}

fn write_base<W: Write>(
    archive: &mut Archive<W>,
    image: &UnfinishedImage,
    base_ids: &[Digest],
    base: BaseFiles<'_>,
) -> Result<(), ArchiveError> {
    match (&image.base.layers, base) {
        (BaseLayers::BuiltIn(layer), _) => {
            let expected = base_ids.to_vec();
            let [diff_id] = base_ids else {
                return Err(ArchiveError::BuiltInLayer { found: Digest::of(b""), expected });
            };
            let path = archive.layer_path(diff_id);
            let written = archive.layer(&path, layer.size(), |out| layer.write_to(out))?;
            if written.diff_id != *diff_id {
                return Err(ArchiveError::BuiltInLayer { found: written.diff_id, expected });
            }
            Ok(())
        }
        (BaseLayers::Daemon { .. }, BaseFiles::All(files)) => {
            archive.files(&image.base.name, base_ids, files)
        }
        (BaseLayers::Described(layers), BaseFiles::All(files)) => {
            write_described(archive, &image.base.name, base_ids, layers, files)
        }
        (BaseLayers::Daemon { .. } | BaseLayers::Described(_), BaseFiles::Absent)
        | (BaseLayers::Scratch, _) => Ok(()),
    }
}

/// Writes the layers of a base whose manifest is known, each once: unpacked ones from `files`, others from where they are.
fn write_described<W: Write>(
    archive: &mut Archive<W>,
    name: &str,
    ids: &[Digest],
    layers: &DescribedLayers,
    files: &[LayerFile],
) -> Result<(), ArchiveError> {
    let blobs = BlockingBlobs::new(layers.blobs.clone())?;
    let mut written = BTreeSet::new();
    for (diff_id, layer) in ids.iter().zip(&layers.descriptors) {
        if !written.insert(diff_id) {
            continue;
        }
        if files.iter().any(|file| file.diff_id == *diff_id) {
            archive.files(name, std::slice::from_ref(diff_id), files)?;
            continue;
        }
        let reader = blobs.open(layer)?;
        let read = |source| ArchiveError::ReadBlob { name: name.to_owned(), digest: layer.digest, source };
        archive.blob(diff_id, layer.size, reader).map_err(read)?;
    }
    Ok(())
}

/// Unpacks those layers that Docker 20.10 does not read in an archive (zstd) into `directory`.
///
/// Blocks, on a blocking thread of the runtime that reads the blobs.
///
/// # Errors
/// [`ArchiveError`] if a layer cannot be read, or is another than the base's config says.
pub fn unpack_for_archive(base: &BaseImage, directory: &Path) -> Result<Vec<LayerFile>, ArchiveError> {
    let BaseLayers::Described(layers) = &base.layers else { return Ok(Vec::new()) };
    unpack_layers(&base.name, &base.config, layers, directory)
}

/// As [`unpack_for_archive`], of an image that [`write_resolved`] writes.
///
/// # Errors
/// As [`unpack_for_archive`].
pub fn unpack_resolved(image: &ResolvedImage, directory: &Path) -> Result<Vec<LayerFile>, ArchiveError> {
    unpack_layers(&image.name, &image.config, &image.layers(), directory)
}

fn unpack_layers(
    name: &str,
    config: &ImageConfig,
    layers: &DescribedLayers,
    directory: &Path,
) -> Result<Vec<LayerFile>, ArchiveError> {
    let ids = diff_ids(name, config)?;
    let blobs = BlockingBlobs::new(layers.blobs.clone())?;
    let mut files: Vec<LayerFile> = Vec::new();
    for (diff_id, layer) in ids.iter().zip(&layers.descriptors) {
        let compression = LayerCompression::of_media_type(&layer.media_type);
        if compression != Some(LayerCompression::Zstd) || files.iter().any(|file| file.diff_id == *diff_id) {
            continue;
        }
        let failed = |source| ArchiveError::ReadBlob { name: name.to_owned(), digest: layer.digest, source };
        let path = directory.join(format!("{}.tar", diff_id.hex()));
        let file = File::create(&path)?;
        let tar = decompress(LayerCompression::Zstd, blobs.open(layer)?, DecompressionLimit::default());
        let mut tar = DigestReader::new(tar.map_err(failed)?);
        io::copy(&mut tar, &mut &file).map_err(failed)?;
        let (found, size) = tar.finish();
        if found != *diff_id {
            let text = format!("it holds a layer with the digest {found}, but the config says {diff_id}");
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, text)));
        }
        files.push(LayerFile { diff_id: found, path, size });
    }
    Ok(files)
}

fn diff_ids(name: &str, config: &ImageConfig) -> Result<Vec<Digest>, ArchiveError> {
    config.diff_ids().map_err(|source| ArchiveError::Config { name: name.to_owned(), source })
}
