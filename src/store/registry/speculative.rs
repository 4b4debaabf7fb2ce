//! Owns what is done of an upload before it has to be, and what that saves: a way to the registry and back.
//!
//! While a registry begins an upload, a small layer is read, so that its digest is known by then. While a large new layer is
//! on its way, the upload of the config is begun. And on a slow line it is found out whether the registry has the layer
//! already: a second reader makes the same bytes as fast as it can, and with their digest the registry is asked. On a fast
//! line the reader would only take processor time from the upload, so it begins when the rest will take long.
//!
//! Must not know how the bytes get there (`upload`).
//!
//! Source: OCI distribution spec v1.1 "Pushing a blob monolithically".

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderName, Method, StatusCode};
use url::Url;

use super::content::{Content, Uploaded};
use super::error::{RegistryError, RequestError};
use super::push::{Early, Target};
use super::repository::Repository;
use super::request::{Answer, Call, send, send_once};
use crate::network::{RefusedRedirect, target};
use crate::store::LayerBlob;

const MINIMUM_PIECE: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// How often it is looked how fast the upload is.
const LOOK: Duration = Duration::from_secs(1);

/// If the rest takes longer than this, a second reader begins.
const WORTH_IT: Duration = Duration::from_secs(5);

/// An upload that a registry has begun.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) location: Url,
    /// Smallest piece that the registry takes, in bytes.
    pub(super) minimum: u64,
}

impl Session {
    /// Reads it from the answer that began it.
    pub(super) fn of(answer: &Answer) -> Result<Self, RefusedRedirect> {
        let location = target(&answer.url, answer.response.headers())?;
        let minimum = answer.header(MINIMUM_PIECE).and_then(|text| text.parse().ok()).unwrap_or_default();
        Ok(Self { location, minimum })
    }
}

impl Repository {
    /// Begins an upload.
    pub(super) async fn begin(&self) -> Result<Session, RequestError> {
        let answer = send(&self.host, &self.beginning()).await?.expect(&[StatusCode::ACCEPTED]).await?;
        Ok(Session::of(&answer)?)
    }

    /// Begins an upload if that goes at once.
    pub(super) async fn begin_once(&self) -> Option<Session> {
        let answer = send_once(&self.host, &self.beginning()).await?;
        (answer.status() == StatusCode::ACCEPTED).then(|| Session::of(&answer).ok()).flatten()
    }

    fn beginning(&self) -> Call {
        self.call(Method::POST, "blobs/uploads/")
    }

    /// Begins an upload of `content`, and looks at a new layer while the registry lets one wait: how it is compressed,
    /// which the upload would have to find out before its first byte, and then all of it.
    ///
    /// A registry near by answers before the latter is worth its processor time, so it begins when there was no answer
    /// for a while; and what is not read when the answer comes is left to the upload.
    pub(super) async fn begin_with(&self, content: &mut Content) -> Result<Session, RequestError> {
        let Content::Layer(blob, known @ None) = content else { return self.begin().await };
        let decider = blob.clone();
        let mut deciding = tokio::task::spawn_blocking(move || decider.size());
        let beginning = self.begin();
        tokio::pin!(beginning);
        let decided_late = async {
            tokio::time::sleep(self.host.read_ahead_after).await;
            (&mut deciding).await
        };
        tokio::select! {
            biased;
            begun = &mut beginning => {
                // Who uploads asks the same, and has the answer then.
                deciding.await.ok();
                return begun;
            }
            _ = decided_late => {}
        }
        let reader = Reader::start(blob.clone());
        let session = beginning.await?;
        *known = reader.by_now().await;
        tracing::debug!(known = known.is_some(), "read the layer while the upload began");
        Ok(session)
    }
}

impl Target<'_> {
    /// Uploads a new layer whose digest is not known yet, or finds that it is there. What follows from the last layer can
    /// only be sent afterwards, but its upload is begun meanwhile.
    pub(super) async fn upload_new(
        &self,
        blob: Arc<dyn LayerBlob>,
        is_last: bool,
    ) -> Result<(Uploaded, Option<Early>), RegistryError> {
        let mut content = Content::Layer(blob.clone(), None);
        // Who is not let in is told so here, before anything else is asked for.
        let session = self.repository.begin_with(&mut content).await.map_err(|error| self.push(error))?;
        let upload = self.upload_or_find(&content, session, blob);
        let following = async { if is_last { self.begin_early().await } else { None } };
        tokio::pin!(upload, following);
        tokio::select! {
            biased;
            uploaded = &mut upload => Ok((uploaded?, None)),
            early = &mut following => Ok((upload.await?, early)),
        }
    }

    /// Uploads the layer, and looks meanwhile whether it is there if that takes long.
    async fn upload_or_find(
        &self,
        content: &Content,
        session: Session,
        blob: Arc<dyn LayerBlob>,
    ) -> Result<Uploaded, RegistryError> {
        let upload = self.upload(content, Some(session));
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
        let reading = async {
            match content.known() {
                Some(known) => Some(known),
                None => Reader::start(blob).finished().await,
            }
        };
        let known = tokio::select! {
            uploaded = &mut upload => return uploaded,
            known = reading => known,
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
pub(super) struct Reader {
    cancelled: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<io::Result<Uploaded>>,
}

impl Reader {
    pub(super) fn start(blob: Arc<dyn LayerBlob>) -> Self {
        let cancelled = Arc::new(AtomicBool::new(false));
        let mut out = Cancellable(cancelled.clone());
        let task = tokio::task::spawn_blocking(move || blob.write(&mut out).map(Uploaded::from));
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
