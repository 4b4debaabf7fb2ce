//! Owns beginning an upload at a registry, and using the time that this takes: a registry that is far away answers
//! late, and by then the digest of a small layer can be known, which saves a request.
//!
//! Must not know how the bytes get there (`upload`).
//!
//! Source: OCI distribution spec v1.1 "Pushing a blob monolithically".

use http::{HeaderName, Method, StatusCode};
use url::Url;

use super::content::Content;
use super::error::RequestError;
use super::reader::Reader;
use super::repository::Repository;
use super::request::{Answer, Call, send, send_once};
use crate::network::{RefusedRedirect, target};

const MINIMUM_PIECE: HeaderName = HeaderName::from_static("oci-chunk-min-length");

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
