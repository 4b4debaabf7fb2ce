//! Owns the point where a new layer becomes a blob: sinks take whatever writes one, compressed or not.
//!
//! Must not know where the bytes go.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use crate::image::compression::{Compression, Method, write_layer};
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

/// A layer that is compressed on the way. The method is decided once, by the layer's bytes.
pub struct CompressedLayer {
    layer: Layer,
    compression: Compression,
    format: ManifestFormat,
    threads: NonZeroUsize,
    method: OnceLock<Method>,
}

impl CompressedLayer {
    /// Compresses every layer as `compression` says, on `threads` threads.
    pub fn encode(compression: Compression, threads: NonZeroUsize) -> EncodeLayer {
        Arc::new(move |layer, format| {
            let (layer, method) = (layer.clone(), OnceLock::new());
            Arc::new(Self { layer, compression, format, threads, method })
        })
    }

    fn method(&self) -> io::Result<Method> {
        if let Some(method) = self.method.get() {
            return Ok(*method);
        }
        let method = self.compression.method_for(&self.layer)?;
        Ok(*self.method.get_or_init(|| method))
    }
}

impl LayerBlob for CompressedLayer {
    fn write(&self, out: &mut dyn Write) -> io::Result<(WrittenLayer, Descriptor)> {
        let written = write_layer(&self.layer, self.method()?, self.format, self.threads, out)?;
        Ok((written.layer, written.descriptor))
    }

    /// Known for a plain tar; a layer that cannot be read says so when it is written.
    fn size(&self) -> Option<u64> {
        self.method().ok().filter(|method| *method == Method::NONE).map(|_| self.layer.size())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;
    use crate::image::compression::all_cores;
    use crate::image::layer::{Entry, EntryKind, Owner};

    #[test]
    fn the_blob_is_what_is_written_and_its_size_is_known_if_it_is_plain() {
        let bytes: Vec<u8> = (0..70_000_u32).flat_map(|number| (number / 9).to_le_bytes()).collect();
        let kind = EntryKind::File { size: bytes.len() as u64, content: Arc::new(bytes) };
        let path = crate::image::ImagePath::new("/a").expect("valid");
        let layer =
            Layer::new(vec![Entry { path, kind, mode: 0o755, owner: Owner::ROOT }], 0).expect("one file");
        for (text, is_known) in [("auto", false), ("none", true), ("zstd", false)] {
            let encode = CompressedLayer::encode(text.parse().expect("valid"), all_cores());
            let blob = encode(&layer, ManifestFormat::Docker);
            let mut out = Vec::new();
            let (written, descriptor) = blob.write(&mut out).expect("writes");
            assert_eq!((descriptor.digest, descriptor.size), (Digest::of(&out), out.len() as u64));
            assert_eq!(written.size, layer.size());
            assert_eq!(blob.size(), is_known.then_some(descriptor.size), "{text}");
        }
    }
}
