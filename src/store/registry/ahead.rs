//! Owns finding out, while a large new layer is on its way over a slow line, whether the registry has it already: a
//! second reader makes the same bytes as fast as it can, and with their digest the registry is asked.
//!
//! On a fast line this would only take processor time from the upload, so it begins when the rest will take long.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::content::{Content, Uploaded};
use super::error::RegistryError;
use super::target::Target;
use crate::store::LayerBlob;

/// How often it is looked how fast the upload is.
const LOOK: Duration = Duration::from_secs(1);

/// If the rest takes longer than this, a second reader begins.
const WORTH_IT: Duration = Duration::from_secs(5);

impl Target<'_> {
    /// Uploads a new layer whose digest is not known yet, or finds that it is there.
    pub(super) async fn upload_new(&self, blob: Arc<dyn LayerBlob>) -> Result<Uploaded, RegistryError> {
        let content = Content::Layer(blob.clone(), None);
        let upload = self.upload(&content);
        tokio::pin!(upload);
        let (began, before) = (Instant::now(), self.progress.bytes());
        loop {
            tokio::select! {
                uploaded = &mut upload => return uploaded,
                () = tokio::time::sleep(LOOK) => {}
            }
            let moved = self.progress.bytes().saturating_sub(before);
            if is_slow(content.size(), moved, began.elapsed()) {
                break;
            }
        }
        let reader = Reader::start(blob);
        let known = tokio::select! {
            uploaded = &mut upload => return uploaded,
            known = reader.finished() => known,
        };
        if let Some(known) = known
            && matches!(self.repository.has_blob(&known.descriptor.digest).await, Ok(true))
        {
            return Ok(known);
        }
        upload.await
    }
}

/// Whether an upload that got so far in this time needs much longer.
fn is_slow(size: Option<u64>, moved: u64, elapsed: Duration) -> bool {
    // How much a layer shrinks is known at its end; a long time tells enough.
    let Some(size) = size else { return elapsed > WORTH_IT };
    let rest = size.saturating_sub(moved);
    if rest == 0 {
        return false;
    }
    let speed = moved as f64 / elapsed.as_secs_f64();
    rest as f64 > speed * WORTH_IT.as_secs_f64()
}

/// A reader that stops when nobody waits for it any more.
struct Reader {
    cancelled: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<io::Result<Uploaded>>,
}

impl Reader {
    fn start(blob: Arc<dyn LayerBlob>) -> Self {
        let cancelled = Arc::new(AtomicBool::new(false));
        let mut out = Cancellable(cancelled.clone());
        let task = tokio::task::spawn_blocking(move || {
            let (layer, descriptor) = blob.write(&mut out)?;
            Ok(Uploaded { descriptor, layer: Some(layer) })
        });
        Self { cancelled, task }
    }

    /// What the layer is; nothing if it cannot be read, which the upload notices too.
    async fn finished(mut self) -> Option<Uploaded> {
        (&mut self.task).await.ok()?.ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_takes_long_is_worth_a_second_reader() {
        let second = Duration::from_secs(1);
        for (size, moved, elapsed, slow) in [
            (Some(100), 90, second, false),
            (Some(100), 10, second, true),
            (Some(100), 0, second, true),
            (Some(100), 100, 60 * second, false),
            (None, 100, second, false),
            (None, 100, 6 * second, true),
        ] {
            assert_eq!(is_slow(size, moved, elapsed), slow, "{size:?} {moved} {elapsed:?}");
        }
    }
}
