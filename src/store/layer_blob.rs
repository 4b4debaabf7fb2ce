//! Owns the point where a new layer becomes a blob: sinks take whatever writes one, compressed or not.
//!
//! Must not know where the bytes go.

use std::io::{self, Write};
use std::sync::Arc;

use crate::image::compression::{Compression, all_cores, write_layer};
use crate::image::layer::{Layer, WrittenLayer};
use crate::image::{Descriptor, LayerCompression, ManifestFormat};

/// Writes the blob of one layer, any number of times, with equal bytes.
pub trait LayerBlob: Send + Sync {
    /// Writes it, and says what was written: the layer, and the blob's media type, digest and size.
    ///
    /// # Errors
    /// Errors of `out` and of the layer's contents.
    fn write(&self, out: &mut dyn Write) -> io::Result<(WrittenLayer, Descriptor)>;

    /// The blob's size in bytes, where it is known before it is written.
    fn size(&self) -> Option<u64> {
        None
    }
}

/// Decides how a layer becomes a blob in a manifest of this format.
pub type EncodeLayer = Arc<dyn Fn(&Layer, ManifestFormat) -> Arc<dyn LayerBlob> + Send + Sync>;

/// A layer as its plain tar.
#[derive(Clone, Debug)]
pub struct UncompressedLayer {
    layer: Layer,
    format: ManifestFormat,
}

impl UncompressedLayer {
    /// Takes `layer` for a manifest of `format`.
    pub fn new(layer: Layer, format: ManifestFormat) -> Self {
        Self { layer, format }
    }

    /// Leaves every layer uncompressed.
    pub fn encode() -> EncodeLayer {
        Arc::new(|layer, format| Arc::new(Self::new(layer.clone(), format)))
    }
}

impl LayerBlob for UncompressedLayer {
    fn write(&self, out: &mut dyn Write) -> io::Result<(WrittenLayer, Descriptor)> {
        let written = self.layer.write_to(out)?;
        // The blob is the tar, so one digest serves both.
        let media_type = self.format.layer(LayerCompression::None);
        Ok((written, Descriptor::new(media_type, written.diff_id, written.size)))
    }

    fn size(&self) -> Option<u64> {
        Some(self.layer.size())
    }
}

/// A layer that is compressed as the user wants it.
#[derive(Clone, Debug)]
pub struct CompressedLayer {
    layer: Layer,
    compression: Compression,
    format: ManifestFormat,
}

impl CompressedLayer {
    /// Compresses every layer by `compression`.
    pub fn encode(compression: Compression) -> EncodeLayer {
        Arc::new(move |layer, format| Arc::new(Self { layer: layer.clone(), compression, format }))
    }
}

impl LayerBlob for CompressedLayer {
    fn write(&self, out: &mut dyn Write) -> io::Result<(WrittenLayer, Descriptor)> {
        let method = self.compression.method_for(&self.layer)?;
        let written = write_layer(&self.layer, method, self.format, all_cores(), out)?;
        Ok((written.layer, written.descriptor))
    }
}
