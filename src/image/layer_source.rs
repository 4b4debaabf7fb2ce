//! Owns the sources of a layer's bytes: entries, a blob, a file, or a daemon.
//! Must not write layers.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::blobs::BlobSource;
use super::descriptor::Descriptor;
use super::digest::Digest;
use super::layer::{Layer, WrittenLayer};

#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly all layers are blobs")]
pub enum LayerSource {
    New(NewLayer),
    /// A blob in a registry, a layout, an archive or the cache.
    Blob(Descriptor, Arc<dyn BlobSource>),
    File(LayerFile),
    /// A layer in the daemon that has the image, by the diff ID in the config.
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

/// An uncompressed tar in a file, whose writer compared it with `diff_id`.
#[derive(Clone, Debug)]
pub struct LayerFile {
    pub diff_id: Digest,
    pub path: PathBuf,
    pub size: u64,
}

/// A layer that sinks make from its entries. The result of the first write is shared by all clones.
#[derive(Clone, Debug)]
pub struct NewLayer {
    layer: Layer,
    written: Arc<Mutex<Option<WrittenLayer>>>,
}

impl NewLayer {
    /// `written` comes from the layer memo.
    pub fn new(layer: Layer, written: Option<WrittenLayer>) -> Self {
        Self { layer, written: Arc::new(Mutex::new(written)) }
    }

    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// The result of writing it; `None` if it is not known yet.
    pub fn written(&self) -> Option<WrittenLayer> {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn remember(&self, written: WrittenLayer) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(written);
    }
}

impl From<Layer> for NewLayer {
    fn from(layer: Layer) -> Self {
        Self::new(layer, None)
    }
}
