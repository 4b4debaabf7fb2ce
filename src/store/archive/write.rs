//! Owns the contents of an image archive and their order. Must not know how its tar is written.

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

#[derive(Clone, Copy)]
pub(crate) enum BaseLayers<'a> {
    /// No base layers: the daemon has them. A built-in base is always included.
    Absent,
    /// All base layers. Layers in zstd, which Docker 20.10 cannot read, are unpacked in this directory.
    All(&'a Path),
}

/// Writes an image. The bytes depend only on the image and the names. Compressed layers stay compressed.
///
/// Blocks, on a blocking thread of the runtime that reads the blobs.
///
/// # Errors
/// [`ArchiveError`]; the archive is then not valid.
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

/// Writes an archive with an excerpt of a daemon's layer as the new layer, on the layers `below`. These are in `files`, or
/// the daemon has them.
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

fn write_base<W: Write>(
    archive: &mut Archive<W>,
    image: &Image,
    base: BaseLayers<'_>,
) -> Result<(), ArchiveError> {
    let mut layers = image.base.layers()?;
    // Sorted: the order of a daemon's layers is random.
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
        let text = format!("its layer has the digest {found}, but the config says {diff_id}");
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, text)));
    }
    Ok(LayerFile { diff_id, path, size })
}
