//! Owns where the bytes of a layer come from: made when they are written, a blob elsewhere, a file, or a daemon.
//!
//! Must not write them anywhere.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::blobs::BlobSource;
use super::descriptor::Descriptor;
use super::digest::Digest;
use super::layer::{Layer, WrittenLayer};

/// One layer of an image.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly all layers are blobs")]
pub enum LayerSource {
    /// Made when it is written.
    New(NewLayer),
    /// A blob that a manifest describes: in a registry, a layout, an archive or the cache.
    Blob(Descriptor, Arc<dyn BlobSource>),
    /// An uncompressed tar in a file.
    File(LayerFile),
    /// In the daemon that has the image; the config names it.
    Daemon,
}

impl fmt::Debug for LayerSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New(layer) => layer.fmt(formatter),
            Self::Blob(descriptor, _) => descriptor.digest.fmt(formatter),
            Self::File(file) => file.path.fmt(formatter),
            Self::Daemon => formatter.write_str("in the daemon"),
        }
    }
}

/// An uncompressed layer in a file, verified against its diff ID by whoever wrote the file.
#[derive(Clone, Debug)]
pub struct LayerFile {
    /// Digest of the file's bytes.
    pub diff_id: Digest,
    pub path: PathBuf,
    pub size: u64,
}

/// A layer that is made when it is written, and what writing it yielded, once that is known. Clones are the same layer:
/// what one sink learns of it, all images that have it know.
#[derive(Clone, Debug)]
pub struct NewLayer {
    layer: Layer,
    written: Arc<Mutex<Option<WrittenLayer>>>,
}

impl NewLayer {
    /// A layer that was never written; `written` is what writing it is known to yield, from a memo.
    pub fn new(layer: Layer, written: Option<WrittenLayer>) -> Self {
        Self { layer, written: Arc::new(Mutex::new(written)) }
    }

    /// Its entries, to be written.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// What writing it yields; none if that is not computed yet.
    pub fn written(&self) -> Option<WrittenLayer> {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what writing it yielded.
    pub fn remember(&self, written: WrittenLayer) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(written);
    }
}

impl From<Layer> for NewLayer {
    fn from(layer: Layer) -> Self {
        Self::new(layer, None)
    }
}
