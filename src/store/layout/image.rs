//! Owns the blobs of an image in a layout: the bytes of each layer, then config and manifest. Must not know whether the
//! layout is a directory or a tar.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use crate::image::compression::WrittenBlob;
use crate::image::{
    BlobSource, BlockingBlobs, Descriptor, Digest, Image, LayerCompression, LayerFile, LayerSource,
    ManifestFormat, NewLayer,
};
use crate::store::archive::ArchiveError;
use crate::store::documents::ImageDocuments;
use crate::store::{LayerBlobs, StoredBlob};

pub(super) const FORMAT: ManifestFormat = ManifestFormat::Oci;

pub(super) struct Pieces<'a> {
    image: &'a Image,
    blobs: &'a LayerBlobs,
    reader: BlockingBlobs,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(image: &'a Image, blobs: &'a LayerBlobs) -> Self {
        Self { image, blobs, reader: BlockingBlobs::new() }
    }

    /// The base's layers, lowest first.
    pub(super) fn base(&self) -> Result<Vec<&'a LayerSource>, ArchiveError> {
        Ok(self.image.base.layers()?.into_iter().map(|(_, layer)| layer).collect())
    }

    /// The new layers, lowest first.
    pub(super) fn new_layers(&self) -> Vec<LayerSource> {
        self.image.new.iter().cloned().map(LayerSource::New).collect()
    }

    /// The blob of a layer, if it is known before it is written.
    pub(super) fn known(&self, layer: &LayerSource) -> Option<StoredBlob> {
        match layer {
            LayerSource::New(new) => self.blobs.known(new, FORMAT).map(StoredBlob::from),
            LayerSource::Blob(blob, _) => Some(in_layout(blob).into()),
            LayerSource::File(_) | LayerSource::Daemon => None,
        }
    }

    /// Writes the bytes of a layer. `out` must be new: several threads may write layers.
    pub(super) fn write(&self, layer: &LayerSource, out: impl Write) -> Result<StoredBlob, ArchiveError> {
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

    fn write_new(&self, new: &NewLayer, out: impl Write) -> Result<StoredBlob, ArchiveError> {
        let mut out = Watched { out, failed: false };
        match self.blobs.blob(new, FORMAT).write(&mut out) {
            Ok(written) => Ok(written.into()),
            Err(error) if out.failed => Err(error.into()),
            Err(error) => Err(ArchiveError::Content(error)),
        }
    }

    fn write_file(&self, file: &LayerFile, out: impl Write) -> Result<StoredBlob, ArchiveError> {
        let failed = |source| {
            let (diff_id, path) = (file.diff_id, file.path.clone());
            ArchiveError::BaseLayer { diff_id, path, source }
        };
        let tar = File::open(&file.path).map_err(failed)?;
        Ok(self.blobs.write_tar(tar, file.size, FORMAT, out)?.into())
    }

    /// Copies a blob of the base. Its source verifies the digest; the length is compared here.
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
                    // Errors of writing differ from those of reading.
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
            let text = format!("it has at least {copied} bytes, but its manifest says {}", blob.size);
            Err(io::Error::new(io::ErrorKind::InvalidData, text))
        });
        complete.map_err(failed)
    }

    pub(super) fn finish(
        &self,
        base: Vec<StoredBlob>,
        new: Vec<StoredBlob>,
    ) -> Result<ImageDocuments, ArchiveError> {
        for ((diff_id, source), blob) in self.image.base.layers()?.iter().zip(&base) {
            if let (LayerSource::New(layer), Some(written)) = (source, blob.written()) {
                self.image.base.check(diff_id, &written.layer)?;
                self.blobs.remember(layer, FORMAT, &written);
            }
        }
        let base = base.into_iter().map(|blob| blob.descriptor).collect();
        let new: Vec<WrittenBlob> = new.iter().filter_map(StoredBlob::written).collect();
        Ok(ImageDocuments::new(self.image, FORMAT, base, &new, self.blobs)?)
    }
}

/// The descriptor in a layout: with OCI's media type.
fn in_layout(blob: &Descriptor) -> Descriptor {
    let compression = LayerCompression::of_media_type(&blob.media_type);
    let media_type = compression.map_or(blob.media_type.as_str(), |found| FORMAT.layer(found));
    Descriptor::new(media_type, blob.digest, blob.size)
}

/// Distinguishes errors of `out` from those of the layer.
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
