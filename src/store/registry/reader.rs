//! Owns reading a new layer without sending it: as fast as it can be made, and no longer than somebody wants to know.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::content::Uploaded;
use crate::store::LayerBlob;

/// A reader that stops when nobody waits for it any more.
pub(super) struct Reader {
    cancelled: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<io::Result<Uploaded>>,
}

impl Reader {
    pub(super) fn start(blob: Arc<dyn LayerBlob>) -> Self {
        let cancelled = Arc::new(AtomicBool::new(false));
        let mut out = Cancellable(cancelled.clone());
        let task = tokio::task::spawn_blocking(move || {
            let (layer, descriptor) = blob.write(&mut out)?;
            Ok(Uploaded { descriptor, layer: Some(layer) })
        });
        Self { cancelled, task }
    }

    /// What the layer is; nothing if it cannot be read, which the upload notices too.
    pub(super) async fn finished(mut self) -> Option<Uploaded> {
        (&mut self.task).await.ok()?.ok()
    }

    /// What the layer is if that is known by now. Nothing reads it any more afterwards, so that an upload has the
    /// processor and the memory for itself.
    pub(super) async fn by_now(self) -> Option<Uploaded> {
        self.cancelled.store(true, Ordering::Relaxed);
        self.finished().await
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// Takes everything until it is cancelled.
struct Cancellable(Arc<AtomicBool>);

impl Write for Cancellable {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "nobody waits for the digest any more"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
