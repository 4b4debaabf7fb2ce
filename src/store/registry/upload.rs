//! Owns uploading one blob: in one piece or in several, resumed or restarted after a failure. Must not read layers.
//!
//! Known digest, also if it became known while the upload began: POST, PUT. Unknown digest: POST, PATCH, PUT. In pieces:
//! POST, PATCH …, PUT. A single POST with the digest is not used: common registries answer it and store nothing.
//!
//! Source: OCI distribution spec v1.1 "Pushing blobs".

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use url::Url;

use super::content::{Content, OpenContent, Progress, UploadError};
use super::error::RequestError;
use super::host::{ExchangeError, Payload};
use super::repository::{Repository, stated_digest};
use super::request::{Answer, Proof, send_stream};
use super::speculative::Session;
use crate::image::Digest;
use crate::network::{MAX_REDIRECTS, RefusedRedirect, Retries, may_pass, retry_after, shown_url, target};
use crate::store::StoredBlob;

/// Size of the pieces after a registry or a proxy rejected the whole as too large, in bytes.
const FALLBACK_PIECE: u64 = 16 << 20;

/// Smallest size of a piece, in bytes.
pub(super) const SMALLEST_PIECE: u64 = 1 << 20;

/// The responses to PATCH and to the request for the state of an upload. Older registries answer PATCH with 204.
const RECEIVED: &[StatusCode] =
    &[StatusCode::ACCEPTED, StatusCode::NO_CONTENT, StatusCode::CREATED, StatusCode::OK];

/// The responses to the closing PUT. 202 would mean that the upload goes on.
const STORED: &[StatusCode] = &[StatusCode::CREATED, StatusCode::NO_CONTENT];

/// The restarts of an upload that a registry rejects half-way. It may have lost the first bytes.
const MAXIMUM_RESTARTS: u32 = 2;

enum AttemptError {
    Transient {
        url: String,
        reason: String,
        after: Option<Duration>,
        error: Option<RequestError>,
    },
    Moved(Url),
    /// The next attempt sends new credentials.
    Challenged,
    TooLarge(RequestError),
    /// The registry does not continue this upload; a new one may work.
    Broken(RequestError),
    Final(UploadError),
}

impl<E: Into<UploadError>> From<E> for AttemptError {
    fn from(error: E) -> Self {
        Self::Final(error.into())
    }
}

impl Repository {
    /// Uploads `content`, in the session `begun` if there is one. `piece` is the size of the pieces, if it has several.
    pub(super) async fn upload(
        &self,
        content: &Content,
        begun: Option<Session>,
        piece: Option<u64>,
        progress: &Progress,
    ) -> Result<StoredBlob, UploadError> {
        let mut upload = Upload {
            repository: self,
            content,
            progress,
            known: content.known(),
            session: begun,
            offset: 0,
            piece,
            proof: Proof::default(),
            retries: self.host.retries(),
            is_hurried: false,
            restarts: 0,
            moves: 0,
        };
        loop {
            let attempt = match upload.attempt().await {
                Ok(uploaded) => return Ok(uploaded),
                Err(attempt) => attempt,
            };
            if let Some(uploaded) = upload.recover(attempt).await? {
                return Ok(uploaded);
            }
        }
    }
}

struct Upload<'a> {
    repository: &'a Repository,
    content: &'a Content,
    progress: &'a Progress,
    known: Option<StoredBlob>,
    session: Option<Session>,
    offset: u64,
    piece: Option<u64>,
    proof: Proof,
    retries: Retries,
    is_hurried: bool,
    restarts: u32,
    moves: usize,
}

impl Upload<'_> {
    async fn attempt(&mut self) -> Result<StoredBlob, AttemptError> {
        let session = match self.session.clone() {
            Some(session) => session,
            None => {
                let session = self.repository.begin().await?;
                self.offset = 0;
                self.session.insert(session).clone()
            }
        };
        if self.piece.is_some() || self.offset > 0 {
            return self.pieces(session.minimum).await;
        }
        match self.known.clone() {
            Some(known) => self.whole(known).await,
            None => self.stream().await,
        }
    }

    /// After POST: PUT with all bytes.
    async fn whole(&mut self, known: StoredBlob) -> Result<StoredBlob, AttemptError> {
        let open = self.content.open(0, self.progress).await?;
        let location = with_digest(self.location()?, &known.descriptor.digest);
        let sent = self.send(Method::PUT, location, &open, known.descriptor.size.into(), None).await;
        let (answer, open) = settle(open, sent).await?;
        check_digest(&answer, &known.descriptor.digest)?;
        Ok(open.finish().await?)
    }

    /// After POST: PATCH with all bytes, PUT with their digest.
    async fn stream(&mut self) -> Result<StoredBlob, AttemptError> {
        let open = self.content.open(0, self.progress).await?;
        let sent = self.send(Method::PATCH, self.location()?, &open, self.content.size(), None).await;
        let (answer, open) = settle(open, sent).await?;
        self.advance(&answer)?;
        let uploaded = open.finish().await?;
        self.offset = uploaded.descriptor.size;
        self.known = Some(uploaded.clone());
        self.complete(&uploaded.descriptor.digest).await?;
        Ok(uploaded)
    }

    /// PATCH by PATCH from `offset`, and PUT.
    async fn pieces(&mut self, minimum: u64) -> Result<StoredBlob, AttemptError> {
        let known = match self.known.clone() {
            Some(known) => known,
            // The request for a piece has its length, which for the last piece depends on the size of the blob.
            None => self.content.measure().await?,
        };
        self.known = Some(known.clone());
        let size = known.descriptor.size;
        let mut open = self.content.open(self.offset, self.progress).await?;
        while self.offset < size {
            let most = self.piece.unwrap_or(u64::MAX).max(minimum).max(1).min(size - self.offset);
            let range = format!("{}-{}", self.offset, self.offset + most - 1);
            let sent = self.send(Method::PATCH, self.location()?, &open, Some(most), Some(range)).await;
            let (answer, still_open) = settle(open, sent).await?;
            open = still_open;
            self.advance(&answer)?;
            self.offset += most;
            self.retries.made_progress();
        }
        let uploaded = open.finish().await?;
        self.complete(&known.descriptor.digest).await?;
        Ok(uploaded)
    }

    /// PUT without a body.
    async fn complete(&mut self, digest: &Digest) -> Result<(), AttemptError> {
        let location = with_digest(self.location()?, digest);
        let answer = self.exchange(Method::PUT, location, &HeaderMap::new(), Payload::Nothing).await?;
        check_digest(&answer, digest)
    }

    async fn send(
        &mut self,
        method: Method,
        location: Url,
        open: &OpenContent,
        length: Option<u64>,
        range: Option<String>,
    ) -> Result<Answer, AttemptError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        if let Some(range) = range {
            headers.insert(CONTENT_RANGE, HeaderValue::from_str(&range).expect("digits are ASCII"));
        }
        let (stream, taken) = open.next(length.unwrap_or(u64::MAX));
        taken.is_hurried.store(self.is_hurried, Ordering::Relaxed);
        let payload = Payload::Stream { stream, length, taken: taken.clone() };
        let sent = self.exchange(method, location, &headers, payload).await;
        // A registry that was silent for long after all bytes does not get that time with every retry.
        let is_transient = matches!(sent, Err(AttemptError::Transient { error: None, .. }));
        self.is_hurried |= is_transient && taken.ended.load(Ordering::Relaxed);
        sent
    }

    /// One request of the upload. A response without an expected status is an error.
    async fn exchange(
        &mut self,
        method: Method,
        url: Url,
        headers: &HeaderMap,
        payload: Payload,
    ) -> Result<Answer, AttemptError> {
        let (host, scopes) = (&self.repository.host, &self.repository.scopes);
        let expected = if method == Method::PUT { STORED } else { RECEIVED };
        let sent = send_stream(host, method, url, scopes, headers, payload, &mut self.proof).await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(ExchangeError::Moved(url)) => return Err(AttemptError::Moved(url)),
            Err(ExchangeError::Challenged) => return Err(AttemptError::Challenged),
            Err(ExchangeError::Final(error)) => return Err(error.into()),
            Err(ExchangeError::Transient { url, reason }) => {
                return Err(AttemptError::Transient { url, reason, after: None, error: None });
            }
        };
        self.proof = Proof::default();
        let status = answer.status();
        if expected.contains(&status) {
            return Ok(answer);
        }
        let (url, after) = (shown_url(&answer.url), retry_after(answer.response.headers(), Timestamp::now()));
        let error = answer.into_error().await;
        Err(match status.as_u16() {
            413 => AttemptError::TooLarge(error),
            400 | 404 | 409 | 416 => AttemptError::Broken(error),
            _ if may_pass(status) => AttemptError::Transient {
                url,
                reason: format!("the registry answered {status}"),
                after,
                error: Some(error),
            },
            _ => error.into(),
        })
    }

    fn location(&self) -> Result<Url, RequestError> {
        let nowhere = || RequestError::Answer {
            url: self.repository.name.clone(),
            reason: "no upload was begun".into(),
        };
        self.session.as_ref().map(|session| session.location.clone()).ok_or_else(nowhere)
    }

    /// Continues at the location that the registry sent.
    fn advance(&mut self, answer: &Answer) -> Result<(), RequestError> {
        if let (Some(session), true) = (&mut self.session, answer.response.headers().contains_key(LOCATION)) {
            session.location = target(&answer.url, answer.response.headers())?;
        }
        Ok(())
    }

    /// Prepares the next attempt, or finds the blob in the registry.
    async fn recover(&mut self, attempt: AttemptError) -> Result<Option<StoredBlob>, UploadError> {
        let host = &self.repository.host;
        match attempt {
            AttemptError::Final(error) => Err(error),
            // `Proof` limits their number.
            AttemptError::Challenged => Ok(None),
            AttemptError::Moved(url) => {
                self.moves += 1;
                if self.moves > MAX_REDIRECTS {
                    let reason = format!("more than {MAX_REDIRECTS} redirects follow each other");
                    let refused = RefusedRedirect { url: shown_url(&url), reason };
                    return Err(RequestError::from(refused).into());
                }
                if let Some(session) = &mut self.session {
                    session.location = url;
                }
                Ok(None)
            }
            AttemptError::TooLarge(error) => {
                let smaller = match self.piece {
                    None => FALLBACK_PIECE,
                    Some(piece) => piece / 4,
                };
                let useless = self.content.size().is_some_and(|size| size <= SMALLEST_PIECE);
                if smaller < SMALLEST_PIECE || useless {
                    return Err(error.into());
                }
                host.events.note(format!("`{}` rejects large uploads; trying smaller pieces", host.name));
                self.piece = Some(smaller);
                self.session = None;
                Ok(None)
            }
            AttemptError::Broken(error) => {
                self.restarts += 1;
                if self.restarts > MAXIMUM_RESTARTS {
                    return Err(error.into());
                }
                self.session = None;
                // A parallel upload of the same blob may have been faster, and a registry may mix the two up.
                self.find_known().await
            }
            AttemptError::Transient { url, reason, after, error } => {
                let paused = host.pause(&mut self.retries, &url, reason, after).await;
                paused.map_err(|exhausted| error.unwrap_or(exhausted))?;
                if let Some(known) = self.find_known().await? {
                    return Ok(Some(known));
                }
                match self.received().await {
                    Some(offset) => self.offset = offset,
                    None => self.session = None,
                }
                Ok(None)
            }
        }
    }

    /// The blob, if its digest is known and the registry has it.
    async fn find_known(&self) -> Result<Option<StoredBlob>, UploadError> {
        let Some(known) = &self.known else { return Ok(None) };
        let found = self.repository.has_blob(&known.descriptor.digest).await;
        Ok(matches!(found, Ok(true)).then(|| known.clone()))
    }

    /// The bytes that the registry has; `None` if it does not know this upload any more.
    async fn received(&mut self) -> Option<u64> {
        let location = self.session.as_ref()?.location.clone();
        let answer = self.exchange(Method::GET, location, &HeaderMap::new(), Payload::Nothing).await.ok()?;
        self.advance(&answer).ok()?;
        let range = answer.header(RANGE).unwrap_or("0-0");
        let end: u64 = range.trim_start_matches("bytes=").strip_prefix("0-")?.parse().ok()?;
        // An empty upload also has `0-0`.
        let received = if end == 0 { 0 } else { end.checked_add(1)? };
        let size = self.known.as_ref().map(|known| known.descriptor.size).or(self.content.size());
        (size.is_none_or(|size| received <= size)).then_some(received)
    }
}

/// Returns `open` if it was sent. Otherwise returns the content's own error first.
async fn settle(
    open: OpenContent,
    sent: Result<Answer, AttemptError>,
) -> Result<(Answer, OpenContent), AttemptError> {
    match sent {
        Ok(answer) => Ok((answer, open)),
        Err(attempt) => match open.abandon().await {
            Some(error) => Err(error.into()),
            None => Err(attempt),
        },
    }
}

fn check_digest(answer: &Answer, digest: &Digest) -> Result<(), AttemptError> {
    match stated_digest(answer.response.headers()) {
        Some(stated) if stated != *digest => {
            let reason = format!("the registry stored the blob {digest} as {stated}");
            Err(RequestError::Answer { url: shown_url(&answer.url), reason }.into())
        }
        _ => Ok(()),
    }
}

/// Adds the digest, unless the registry's location has one.
fn with_digest(mut location: Url, digest: &Digest) -> Url {
    if !location.query_pairs().any(|(name, _)| name == "digest") {
        location.query_pairs_mut().append_pair("digest", &digest.to_string());
    }
    location
}
