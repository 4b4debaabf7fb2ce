//! Owns work that is done before it is needed, which saves a round trip to the registry. Must not send bytes (`upload`).
//!
//! While a registry begins an upload, a small layer is read for its digest. While a large new layer is sent, the upload of
//! the config begins. On a slow line a second reader computes the layer's digest, and the registry is asked for that
//! blob. On a fast line the second reader would only take processor time from the upload, so it starts late.
//!
//! Source: OCI distribution spec v1.1 "Pushing a blob monolithically".

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderName, Method, StatusCode};
use url::Url;

use super::content::Content;
use super::error::{RegistryError, RequestError};
use super::push::{Early, Target};
use super::repository::Repository;
use super::request::{Answer, Call, send, send_once};
use crate::blocking::{Stop, run_stoppable};
use crate::network::{RefusedRedirect, target};
use crate::store::{LayerBlob, StoredBlob};

const MINIMUM_PIECE: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// Time between two looks at the speed of an upload.
const LOOK: Duration = Duration::from_secs(1);

/// A second reader starts if the rest takes longer than this.
const WORTH_IT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) location: Url,
    pub(super) minimum: u64,
}

impl Session {
    /// The upload in the response that began it.
    pub(super) fn of(answer: &Answer) -> Result<Self, RefusedRedirect> {
        let location = target(&answer.url, answer.response.headers())?;
        let minimum = answer.header(MINIMUM_PIECE).and_then(|text| text.parse().ok()).unwrap_or_default();
        Ok(Self { location, minimum })
    }
}

impl Repository {
    pub(super) async fn begin(&self) -> Result<Session, RequestError> {
        let answer = send(&self.host, &self.beginning()).await?.expect(&[StatusCode::ACCEPTED]).await?;
        Ok(Session::of(&answer)?)
    }

    /// Begins an upload with one request. `None` if that fails.
    pub(super) async fn begin_once(&self) -> Option<Session> {
        let answer = send_once(&self.host, &self.beginning()).await?;
        (answer.status() == StatusCode::ACCEPTED).then(|| Session::of(&answer).ok()).flatten()
    }

    fn beginning(&self) -> Call {
        self.call(Method::POST, "blobs/uploads/")
    }

    /// Begins an upload of `content`, and reads a new layer meanwhile: first for its compression method, which the
    /// upload needs before its first byte, then for its digest.
    ///
    /// A registry nearby answers before the digest is worth its processor time, so the digest begins later. Reading
    /// stops when the response arrives.
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
                // The upload needs the method too, and then has it.
                deciding.await.ok();
                return begun;
            }
            _ = decided_late => {}
        }
        let stop = Stop::default();
        let begun = async {
            let begun = beginning.await;
            stop.stop();
            begun
        };
        let (session, read) = tokio::join!(begun, read_layer(blob.clone(), stop.clone()));
        *known = read;
        tracing::debug!(known = known.is_some(), "read the layer while the upload began");
        session
    }
}

impl Target<'_> {
    /// Uploads a new layer whose digest is not known yet, or finds it in the registry. Meanwhile the upload of the config
    /// begins, if this is the last layer.
    pub(super) async fn upload_new(
        &self,
        blob: Arc<dyn LayerBlob>,
        is_last: bool,
    ) -> Result<(StoredBlob, Option<Early>), RegistryError> {
        let mut content = Content::Layer(blob.clone(), None);
        // A registry that denies access does so here, before any other request.
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

    /// Uploads the layer. If that takes long, looks for it in the registry meanwhile.
    async fn upload_or_find(
        &self,
        content: &Content,
        session: Session,
        blob: Arc<dyn LayerBlob>,
    ) -> Result<StoredBlob, RegistryError> {
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
                None => read_layer(blob, Stop::default()).await,
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

/// Whether an upload that sent `moved` bytes so far still takes long.
fn is_slow(size: Option<u64>, moved: u64, elapsed: Duration) -> bool {
    // The size of a compressed layer is known at its end; the time alone decides.
    let Some(size) = size else { return elapsed > WORTH_IT };
    let rest = size.saturating_sub(moved);
    if rest == 0 {
        return false;
    }
    let speed = moved as f64 / elapsed.as_secs_f64();
    rest as f64 > speed * WORTH_IT.as_secs_f64()
}

/// Reads a layer until `stop`, or until the future is dropped. `None` if it is not read to its end.
async fn read_layer(blob: Arc<dyn LayerBlob>, stop: Stop) -> Option<StoredBlob> {
    run_stoppable(move |dropped| blob.write(&mut Discard([dropped, &stop]))).await.ok().map(StoredBlob::from)
}

/// Accepts all bytes until it stops.
struct Discard<'a>([&'a Stop; 2]);

impl Write for Discard<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.iter().try_for_each(|stop| stop.check())?;
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
