//! Owns opening a layer as the tar in it. Must not verify the digest of the tar.

use std::fs::File;
use std::io::{self, Read};

use tokio::runtime::Handle;

use super::blobs::BlockingBlobs;
use super::compression::{DecompressionLimit, decompress};
use super::layer::Layer;
use super::layer_source::LayerSource;
use super::manifest::LayerCompression;
use crate::stream::{pump, stream_to_reader, writer_to_stream};

/// Opens the uncompressed tar of a layer, on a thread that may wait.
pub(crate) fn open_tar(layer: &LayerSource) -> io::Result<Box<dyn Read + Send>> {
    match layer {
        LayerSource::New(layer) => write_tar(layer.layer().clone()),
        LayerSource::Blob(blob, blobs) => {
            let compression = LayerCompression::of_media_type(&blob.media_type).ok_or_else(|| {
                let text = format!("media type `{}` is not supported", blob.media_type);
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?;
            let blob = BlockingBlobs::new().open(blobs, blob).map_err(io::Error::other)?;
            decompress(compression, blob, DecompressionLimit::default())
        }
        LayerSource::File(file) => Ok(Box::new(File::open(&file.path)?)),
        LayerSource::Daemon => Err(io::Error::other("the layer is in a daemon")),
    }
}

/// Writes the tar of a new layer while it is read.
fn write_tar(layer: Layer) -> io::Result<Box<dyn Read + Send>> {
    let (mut writer, stream) = writer_to_stream();
    let (sender, reader) = stream_to_reader();
    let handle = Handle::try_current().map_err(io::Error::other)?;
    // The thread ends when the reader is dropped.
    handle.spawn_blocking(move || {
        layer.write_undigested(&mut writer)?;
        writer.finish()
    });
    handle.spawn(pump(stream, sender));
    Ok(Box::new(reader))
}
