//! Owns the blobs of new layers, and remembers them: a blob that a sink has is not made again.
//!
//! Must not know where the bytes go.

use std::collections::HashMap;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::cache::Memo;
use crate::image::compression::{Compression, Method, WrittenBlob, all_cores, compress_tar, write_layer};
use crate::image::layer::{Layer, WrittenLayer};
use crate::image::{Descriptor, ManifestFormat, NewLayer};

/// Writes the blob of one layer, each time with equal bytes.
pub trait LayerBlob: Send + Sync {
    fn write(&self, out: &mut dyn Write) -> io::Result<WrittenBlob>;

    /// The blob's size in bytes, if it is known before it is written.
    fn size(&self) -> Option<u64> {
        None
    }
}

/// A blob of a sink, and the layer in it, if b2i made that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredBlob {
    pub(crate) descriptor: Descriptor,
    pub(crate) layer: Option<WrittenLayer>,
}

impl StoredBlob {
    pub(crate) fn written(&self) -> Option<WrittenBlob> {
        Some(WrittenBlob { layer: self.layer?, descriptor: self.descriptor.clone() })
    }
}

impl From<WrittenBlob> for StoredBlob {
    fn from(WrittenBlob { layer, descriptor }: WrittenBlob) -> Self {
        Self { descriptor, layer: Some(layer) }
    }
}

impl From<Descriptor> for StoredBlob {
    fn from(descriptor: Descriptor) -> Self {
        Self { descriptor, layer: None }
    }
}

/// Replaces a blob, so that tests can watch it.
type WrapBlob = Arc<dyn Fn(&Layer, Arc<dyn LayerBlob>) -> Arc<dyn LayerBlob> + Send + Sync>;

/// The compression of layers, and their blobs as far as they are known. Clones share what they learn.
#[derive(Clone)]
pub struct LayerBlobs {
    compression: Compression,
    threads: NonZeroUsize,
    wrap: Option<WrapBlob>,
    /// Written blobs and those from the memo, by key.
    seen: Arc<Mutex<HashMap<String, Descriptor>>>,
    /// The memo, and a directory on its file system.
    memo: Option<(Memo, PathBuf)>,
}

impl Default for LayerBlobs {
    fn default() -> Self {
        Self::new(Compression::Auto)
    }
}

impl LayerBlobs {
    /// Compresses on all cores.
    pub fn new(compression: Compression) -> Self {
        Self { compression, threads: all_cores(), wrap: None, seen: Arc::default(), memo: None }
    }

    #[cfg(feature = "internals")]
    #[must_use]
    pub fn on_threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// Adds the memo of earlier runs. `temporary` is a directory on the file system of the memo.
    #[must_use]
    pub fn with_memo(self, memo: Memo, temporary: PathBuf) -> Self {
        Self { memo: Some((memo, temporary)), ..self }
    }

    #[cfg(feature = "internals")]
    #[must_use]
    pub fn wrapped(
        self,
        wrap: impl Fn(&Layer, Arc<dyn LayerBlob>) -> Arc<dyn LayerBlob> + Send + Sync + 'static,
    ) -> Self {
        Self { wrap: Some(Arc::new(wrap)), ..self }
    }

    pub fn blob(&self, layer: &NewLayer, format: ManifestFormat) -> Arc<dyn LayerBlob> {
        let layer = layer.layer();
        let (compression, threads, method) = (self.compression, self.threads, OnceLock::new());
        let blob = Arc::new(CompressedLayer { layer: layer.clone(), compression, format, threads, method });
        match &self.wrap {
            Some(wrap) => wrap(layer, blob),
            None => blob,
        }
    }

    /// The blob of `layer`; `None` if it is not computed yet.
    pub fn known(&self, layer: &NewLayer, format: ManifestFormat) -> Option<WrittenBlob> {
        let layer = layer.written()?;
        let key = self.key(&layer, format);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(descriptor) = seen.get(&key) {
            return Some(WrittenBlob { layer, descriptor: descriptor.clone() });
        }
        let descriptor: Descriptor = self.memo.as_ref()?.0.get(&key)?;
        seen.insert(key, descriptor.clone());
        Some(WrittenBlob { layer, descriptor })
    }

    pub fn remember(&self, layer: &NewLayer, format: ManifestFormat, written: &WrittenBlob) {
        layer.remember(written.layer);
        let key = self.key(&written.layer, format);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(&key) == Some(&written.descriptor) {
            return;
        }
        if let Some((memo, temporary)) = &self.memo {
            memo.put(&key, &written.descriptor, temporary);
        }
        seen.insert(key, written.descriptor.clone());
    }

    pub fn write_tar(
        &self,
        tar: impl io::Read,
        size: u64,
        format: ManifestFormat,
        out: impl Write,
    ) -> io::Result<Descriptor> {
        compress_tar(tar, size, self.compression.method_for_base(), format, self.threads, out)
    }

    // The media type depends on the format.
    fn key(&self, layer: &WrittenLayer, format: ManifestFormat) -> String {
        format!("blob\n{}\n{}\n{format:?}", layer.diff_id, self.compression.memo_key())
    }
}

/// A layer that is compressed while it is written. The method is chosen once, from the layer's bytes.
struct CompressedLayer {
    layer: Layer,
    compression: Compression,
    format: ManifestFormat,
    threads: NonZeroUsize,
    method: OnceLock<Method>,
}

impl CompressedLayer {
    fn method(&self) -> io::Result<Method> {
        if let Some(method) = self.method.get() {
            return Ok(*method);
        }
        let method = self.compression.method_for(&self.layer)?;
        Ok(*self.method.get_or_init(|| method))
    }
}

impl LayerBlob for CompressedLayer {
    fn write(&self, out: &mut dyn Write) -> io::Result<WrittenBlob> {
        write_layer(&self.layer, self.method()?, self.format, self.threads, out)
    }

    /// Known for a plain tar. A layer that cannot be read fails when it is written.
    fn size(&self) -> Option<u64> {
        self.method().ok().filter(|method| *method == Method::NONE).map(|_| self.layer.size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;
    use crate::image::layer::{Entry, EntryKind, Owner};

    #[test]
    fn the_blob_is_what_is_written_and_its_size_is_known_if_it_is_plain() {
        let bytes: Vec<u8> = (0..70_000_u32).flat_map(|number| (number / 9).to_le_bytes()).collect();
        let kind = EntryKind::File { size: bytes.len() as u64, content: Arc::new(bytes) };
        let path = crate::image::ImagePath::new("/a").expect("valid");
        let layer =
            Layer::new(vec![Entry { path, kind, mode: 0o755, owner: Owner::ROOT }], 0).expect("one file");
        let layer = NewLayer::from(layer);
        for (text, is_known) in [("auto", false), ("none", true), ("zstd", false)] {
            let blobs = LayerBlobs::new(text.parse().expect("valid"));
            assert_eq!(blobs.known(&layer, ManifestFormat::Docker), None, "not computed yet");
            let blob = blobs.blob(&layer, ManifestFormat::Docker);
            let mut out = Vec::new();
            let written = blob.write(&mut out).expect("writes");
            let descriptor = &written.descriptor;
            assert_eq!((descriptor.digest, descriptor.size), (Digest::of(&out), out.len() as u64));
            assert_eq!(written.layer.size, layer.layer().size());
            assert_eq!(blob.size(), is_known.then_some(descriptor.size), "{text}");
            blobs.remember(&layer, ManifestFormat::Docker, &written);
            assert_eq!(blobs.known(&layer.clone(), ManifestFormat::Docker), Some(written));
            assert_eq!(blobs.known(&layer, ManifestFormat::Oci), None, "another media type");
        }
    }
}
