//! Owns what an image in a layout consists of: where the bytes of each layer come from, and the config and manifest
//! that follow from them. Must not know whether the layout is a directory or a tar.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use crate::image::compression::WrittenBlob;
use crate::image::layer::WrittenLayer;
use crate::image::{
    BlobSource, BlockingBlobs, Descriptor, Digest, Image, LayerCompression, LayerFile, LayerSource,
    ManifestFormat, NewLayer,
};
use crate::store::archive::ArchiveError;
use crate::store::{LayerBlobs, WrittenImage};

pub(super) const FORMAT: ManifestFormat = ManifestFormat::Oci;

/// A layer that is in the layout: its blob, and if b2i made it, what that yielded.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) descriptor: Descriptor,
    pub(super) written: Option<WrittenLayer>,
}

impl From<WrittenBlob> for Piece {
    fn from(blob: WrittenBlob) -> Self {
        Self { descriptor: blob.descriptor, written: Some(blob.layer) }
    }
}

impl From<Descriptor> for Piece {
    fn from(descriptor: Descriptor) -> Self {
        Self { descriptor, written: None }
    }
}

/// Makes the blobs of an image.
pub(super) struct Pieces<'a> {
    image: &'a Image,
    blobs: &'a LayerBlobs,
    reader: BlockingBlobs,
}

/// A config and a manifest with all that they name.
pub(super) struct Finished {
    pub(super) config_bytes: Vec<u8>,
    pub(super) config: Descriptor,
    pub(super) manifest_bytes: Vec<u8>,
    pub(super) manifest: Descriptor,
    pub(super) written: WrittenImage,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(image: &'a Image, blobs: &'a LayerBlobs) -> Self {
        Self { image, blobs, reader: BlockingBlobs::new() }
    }

    /// The layers of the base, lowest first.
    pub(super) fn base(&self) -> Result<Vec<&'a LayerSource>, ArchiveError> {
        Ok(self.image.base.layers()?.into_iter().map(|(_, layer)| layer).collect())
    }

    /// The layers that are added, lowest first.
    pub(super) fn new_layers(&self) -> Vec<LayerSource> {
        self.image.new.iter().cloned().map(LayerSource::New).collect()
    }

    /// What a layer becomes, if that is known before its bytes are made.
    pub(super) fn known(&self, layer: &LayerSource) -> Option<Piece> {
        match layer {
            LayerSource::New(new) => self.blobs.known(new, FORMAT).map(Piece::from),
            LayerSource::Blob(blob, _) => Some(in_layout(blob).into()),
            LayerSource::File(_) | LayerSource::Daemon => None,
        }
    }

    /// Writes the bytes of a layer; nothing else may have the same `out`.
    pub(super) fn write(&self, layer: &LayerSource, out: impl Write) -> Result<Piece, ArchiveError> {
        match layer {
            LayerSource::New(new) => self.write_new(new, out),
            LayerSource::File(file) => self.write_file(file, out),
            LayerSource::Blob(blob, source) => {
                self.copy_blob(blob, source, out)?;
                Ok(in_layout(blob).into())
            }
            LayerSource::Daemon => {
                let name = self.image.base.name.clone();
                let layers = self.image.base.layers()?;
                let missing = layers.iter().find(|(_, layer)| matches!(layer, LayerSource::Daemon));
                let diff_id = missing.map_or_else(|| Digest::of(b""), |(diff_id, _)| *diff_id);
                Err(ArchiveError::MissingLayer { name, diff_id })
            }
        }
    }

    fn write_new(&self, new: &NewLayer, out: impl Write) -> Result<Piece, ArchiveError> {
        let mut out = Watched { out, failed: false };
        match self.blobs.blob(new, FORMAT).write(&mut out) {
            Ok(written) => Ok(written.into()),
            Err(error) if out.failed => Err(error.into()),
            Err(error) => Err(ArchiveError::Content(error)),
        }
    }

    fn write_file(&self, file: &LayerFile, out: impl Write) -> Result<Piece, ArchiveError> {
        let failed = |source| {
            let (diff_id, path) = (file.diff_id, file.path.clone());
            ArchiveError::BaseLayer { diff_id, path, source }
        };
        let tar = File::open(&file.path).map_err(failed)?;
        Ok(self.blobs.write_tar(tar, file.size, FORMAT, out)?.into())
    }

    /// Copies a blob of the base. That it is the described one, its source sees to; its length is compared here.
    fn copy_blob(
        &self,
        blob: &Descriptor,
        source: &Arc<dyn BlobSource>,
        mut out: impl Write,
    ) -> Result<(), ArchiveError> {
        let mut reader = self.reader.open(source, blob)?;
        let (name, digest) = (self.image.base.name.clone(), blob.digest);
        let failed = |source| ArchiveError::ReadBlob { name, digest, source };
        let mut copied = 0;
        let mut buffer = vec![0; 64 * 1024];
        let result = loop {
            match io::Read::read(&mut reader, &mut buffer) {
                Ok(0) => break Ok(()),
                Ok(count) => {
                    copied += count as u64;
                    if copied > blob.size {
                        break Ok(());
                    }
                    // Errors of writing stay apart from those of reading.
                    out.write_all(&buffer[..count])?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let complete = result.and_then(|()| {
            if copied == blob.size {
                return Ok(());
            }
            let text = format!("it has {copied} bytes or more, and its manifest says {}", blob.size);
            Err(io::Error::new(io::ErrorKind::InvalidData, text))
        });
        complete.map_err(failed)
    }

    /// Makes config and manifest of what was written.
    pub(super) fn finish(&self, base: Vec<Piece>, new: Vec<Piece>) -> Result<Finished, ArchiveError> {
        let image = self.image;
        for ((diff_id, _), piece) in image.base.layers()?.iter().zip(&base) {
            piece.written.map_or(Ok(()), |written| image.base.check(diff_id, &written))?;
        }
        let sources = image.base.layers.iter().cloned().chain(self.new_layers());
        for (source, piece) in sources.zip(base.iter().chain(&new)) {
            if let (LayerSource::New(layer), Some(written)) = (source, piece.written) {
                let blob = WrittenBlob { layer: written, descriptor: piece.descriptor.clone() };
                self.blobs.remember(&layer, FORMAT, &blob);
            }
        }
        let layers: Vec<WrittenLayer> = new.iter().filter_map(|piece| piece.written).collect();
        let finished = image.finish(&layers)?;
        let blobs: Vec<Descriptor> = base.into_iter().chain(new).map(|piece| piece.descriptor).collect();
        let config = Descriptor::of(FORMAT.config(), &finished.bytes);
        let (manifest, manifest_bytes) = image.manifest(FORMAT, config.clone(), blobs.clone());
        let (image_id, described) = (finished.image_id, Some(manifest.clone()));
        let written = WrittenImage { image_id, layers, manifest: described, blobs };
        Ok(Finished { config_bytes: finished.bytes, config, manifest_bytes, manifest, written })
    }
}

/// A descriptor as a layout has it: with OCI's media type.
fn in_layout(blob: &Descriptor) -> Descriptor {
    let compression = LayerCompression::of_media_type(&blob.media_type);
    let media_type = compression.map_or(blob.media_type.as_str(), |found| FORMAT.layer(found));
    Descriptor::new(media_type, blob.digest, blob.size)
}

/// Tells errors of writing from those of what is written.
struct Watched<W> {
    out: W,
    failed: bool,
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.failed |= written.is_err();
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
