//! Owns what goes into an image archive and in which order. Must not know how its tar is written.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use super::ArchiveError;
use super::filter::Excerpt;
use super::format::{Archive, Form, new_layer};
use crate::image::compression::{DecompressionLimit, decompress};
use crate::image::layer::WrittenLayer;
use crate::image::{
    BlobSource, BlockingBlobs, Descriptor, Digest, DigestReader, FinishedConfig, Image, ImageConfig,
    LayerCompression, LayerFile, LayerSource,
};

/// Which layers of the base go into an archive.
#[derive(Clone, Copy)]
pub(crate) enum BaseLayers<'a> {
    /// None that the reader has; a built-in base always goes along.
    Absent,
    /// All of them. Layers in zstd, which Docker 20.10 does not read in an archive, are unpacked into this directory.
    All(&'a Path),
}

/// Writes an image, its base with it or without; the bytes depend on the image and the names alone. Layers that a
/// manifest describes go in as they are, compressed.
///
/// Blocks, on a blocking thread of the runtime that reads the blobs.
///
/// # Errors
/// [`ArchiveError`]; after one, what was written so far is no archive.
pub(crate) fn write_image(
    image: &Image,
    base: BaseLayers<'_>,
    form: Form,
    names: &[String],
    out: impl Write,
) -> Result<(Vec<WrittenLayer>, FinishedConfig), ArchiveError> {
    let mut archive = Archive::new(out, form);
    write_base(&mut archive, image, base)?;
    let mut written = Vec::new();
    for (index, new) in image.new.iter().enumerate() {
        let layer = new.layer();
        let one = archive.layer(&new_layer(index), layer.size(), |out| layer.write_to(out));
        written.push(one.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => ArchiveError::Content(error),
            _ => error.into(),
        })?);
    }
    let config = image.finish(&written)?;
    archive.end(&config.bytes, &config.diff_ids, &written, names)?;
    Ok((written, config))
}

/// Writes an archive whose new layer is an excerpt of a daemon's, on the layers `below`; these are in `files`, or the
/// daemon has them.
pub(crate) fn write_excerpt(
    below: &[Digest],
    files: Option<&[LayerFile]>,
    excerpt: &Excerpt,
    config: impl FnOnce(&WrittenLayer) -> ImageConfig,
    form: Form,
    names: &[String],
    out: impl Write,
) -> Result<FinishedConfig, ArchiveError> {
    let mut archive = Archive::new(out, form);
    for file in files.into_iter().flatten().filter(|file| below.contains(&file.diff_id)) {
        archive.file(file)?;
    }
    let written = archive.layer(&new_layer(0), excerpt.size(), |out| excerpt.write_to(out))?;
    let config = config(&written);
    let config = FinishedConfig::new("the excerpt", config.to_bytes(), config)?;
    archive.end(&config.bytes, &config.diff_ids, &[written], names)?;
    Ok(config)
}

/// Writes the layers of the base, each once.
fn write_base<W: Write>(
    archive: &mut Archive<W>,
    image: &Image,
    base: BaseLayers<'_>,
) -> Result<(), ArchiveError> {
    let mut layers = image.base.layers()?;
    // A daemon gives its layers in any order.
    if layers.iter().all(|(_, layer)| matches!(layer, LayerSource::File(_))) {
        layers.sort_by_key(|(diff_id, _)| *diff_id);
    }
    let name = || image.base.name.clone();
    let (mut seen, reader) = (BTreeSet::new(), BlockingBlobs::new());
    for (diff_id, layer) in layers {
        if !seen.insert(diff_id) {
            continue;
        }
        match (layer, base) {
            (LayerSource::New(new), _) => {
                let (path, layer) = (archive.layer_path(&diff_id), new.layer());
                let written = archive.layer(&path, layer.size(), |out| layer.write_to(out))?;
                image.base.check(&diff_id, &written)?;
            }
            (_, BaseLayers::Absent) => {}
            (LayerSource::File(file), BaseLayers::All(_)) => archive.file(file)?,
            (LayerSource::Daemon, BaseLayers::All(_)) => {
                return Err(ArchiveError::MissingLayer { name: name(), diff_id });
            }
            (LayerSource::Blob(blob, source), BaseLayers::All(directory)) => {
                let failed =
                    |error| ArchiveError::ReadBlob { name: name(), digest: blob.digest, source: error };
                if LayerCompression::of_media_type(&blob.media_type) == Some(LayerCompression::Zstd) {
                    let path = directory.join(format!("{}.tar", diff_id.hex()));
                    let file = unpack(&reader, source, blob, diff_id, path.clone(), failed)?;
                    archive.file(&file)?;
                    std::fs::remove_file(path)?;
                } else {
                    let opened = reader.open(source, blob)?;
                    archive.blob(&diff_id, blob.size, opened).map_err(failed)?;
                }
            }
        }
    }
    Ok(())
}

/// Unpacks a layer into the file `path`.
fn unpack(
    reader: &BlockingBlobs,
    source: &Arc<dyn BlobSource>,
    blob: &Descriptor,
    diff_id: Digest,
    path: std::path::PathBuf,
    failed: impl Fn(io::Error) -> ArchiveError,
) -> Result<LayerFile, ArchiveError> {
    let file = File::create(&path)?;
    let tar = decompress(LayerCompression::Zstd, reader.open(source, blob)?, DecompressionLimit::default());
    let mut tar = DigestReader::new(tar.map_err(&failed)?);
    io::copy(&mut tar, &mut &file).map_err(&failed)?;
    let (found, size) = tar.finish();
    if found != diff_id {
        let text = format!("it holds a layer with the digest {found}, but the config says {diff_id}");
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, text)));
    }
    Ok(LayerFile { diff_id, path, size })
}
