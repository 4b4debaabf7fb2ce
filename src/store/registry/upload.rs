//! Owns uploading one blob: in one piece where the registry takes it, in several where it has to be, continued or
//! begun again after a failure that may pass.
//!
//! Known digest, also if it became known while the upload began: POST, PUT. Unknown: POST, PATCH, PUT. In pieces: POST, PATCH …, PUT. A registry's single POST with
//! the digest is not used: the usual ones answer it and keep nothing.
//!
//! Source: OCI distribution spec v1.1 "Pushing blobs".

use std::time::Duration;

use http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use url::Url;

use super::content::{Content, ContentError, OpenContent, Progress, Uploaded};
use super::error::RequestError;
use super::host::{Failed, Payload};
use super::repository::{Repository, stated_digest};
use super::request::{Answer, Proof, send_stream};
use super::speculative::Session;
use crate::image::Digest;
use crate::network::{MAX_REDIRECTS, RefusedRedirect, Retries, may_pass, retry_after, shown_url, target};

/// Size of the pieces after a registry (or a proxy before it) said that the whole is too large, in bytes.
const FALLBACK_PIECE: u64 = 16 << 20;

/// Smallest pieces that are tried, in bytes.
pub(super) const SMALLEST_PIECE: u64 = 1 << 20;

/// How often an upload that a registry refuses half-way is begun anew: it may have forgotten what it had.
const MAXIMUM_RESTARTS: u32 = 2;

/// A blob that was not uploaded.
#[derive(Debug)]
pub(super) enum UploadError {
    Request(RequestError),
    Content(ContentError),
}

impl From<RequestError> for UploadError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<ContentError> for UploadError {
    fn from(error: ContentError) -> Self {
        Self::Content(error)
    }
}

/// Why a try failed.
enum Attempt {
    /// It may pass.
    Passing { url: String, reason: String, after: Option<Duration>, error: Option<RequestError> },
    /// The bytes have to go elsewhere.
    Moved(Url),
    /// The next try shows another proof.
    Challenged,
    /// Too much at once.
    TooLarge(RequestError),
    /// The registry does not go on with this upload; perhaps with another.
    Broken(RequestError),
    /// It will not pass.
    Final(UploadError),
}

impl<E: Into<UploadError>> From<E> for Attempt {
    fn from(error: E) -> Self {
        Self::Final(error.into())
    }
}

impl Repository {
    /// Uploads `content`, in the upload that was `begun` if there is one, in pieces of `piece` bytes if that is asked
    /// for.
    pub(super) async fn upload(
        &self,
        content: &Content,
        begun: Option<Session>,
        piece: Option<u64>,
        progress: &Progress,
    ) -> Result<Uploaded, UploadError> {
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

/// One upload on its way.
struct Upload<'a> {
    repository: &'a Repository,
    content: &'a Content,
    progress: &'a Progress,
    /// What is known of the blob by now.
    known: Option<Uploaded>,
    session: Option<Session>,
    /// How many bytes the registry has in this session.
    offset: u64,
    piece: Option<u64>,
    proof: Proof,
    retries: Retries,
    restarts: u32,
    moves: usize,
}

impl Upload<'_> {
    async fn attempt(&mut self) -> Result<Uploaded, Attempt> {
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

    /// POST was before; PUT with all bytes.
    async fn whole(&mut self, known: Uploaded) -> Result<Uploaded, Attempt> {
        let open = self.content.open(0, self.progress).await.map_err(UploadError::from)?;
        let location = with_digest(self.location()?, &known.descriptor.digest);
        let sent = self.send(Method::PUT, location, &open, known.descriptor.size.into(), None).await;
        let (answer, open) = settle(open, sent).await?;
        check_digest(&answer, &known.descriptor.digest)?;
        Ok(open.finish().await.map_err(UploadError::from)?)
    }

    /// POST was before; PATCH with all bytes, PUT with the digest that they turned out to have.
    async fn stream(&mut self) -> Result<Uploaded, Attempt> {
        let open = self.content.open(0, self.progress).await.map_err(UploadError::from)?;
        let sent = self.send(Method::PATCH, self.location()?, &open, self.content.size(), None).await;
        let (answer, open) = settle(open, sent).await?;
        self.advance(&answer)?;
        let uploaded = open.finish().await.map_err(UploadError::from)?;
        self.offset = uploaded.descriptor.size;
        self.known = Some(uploaded.clone());
        self.complete(&uploaded.descriptor.digest).await?;
        Ok(uploaded)
    }

    /// PATCH by PATCH from where the registry is, and PUT.
    async fn pieces(&mut self, minimum: u64) -> Result<Uploaded, Attempt> {
        let known = match self.known.clone() {
            Some(known) => known,
            // The registry wants to know how long a piece is, and so do we for the last one.
            None => self.content.measure().await.map_err(UploadError::from)?,
        };
        self.known = Some(known.clone());
        let size = known.descriptor.size;
        let mut open = self.content.open(self.offset, self.progress).await.map_err(UploadError::from)?;
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
        let uploaded = open.finish().await.map_err(UploadError::from)?;
        self.complete(&known.descriptor.digest).await?;
        Ok(uploaded)
    }

    /// PUT without a body.
    async fn complete(&mut self, digest: &Digest) -> Result<(), Attempt> {
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
    ) -> Result<Answer, Attempt> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        if let Some(range) = range {
            headers.insert(CONTENT_RANGE, HeaderValue::from_str(&range).expect("digits are ASCII"));
        }
        let (stream, taken) = open.next(length.unwrap_or(u64::MAX));
        self.exchange(method, location, &headers, Payload::Stream { stream, length, taken }).await
    }

    /// One request of the upload; anything but a success is told apart.
    async fn exchange(
        &mut self,
        method: Method,
        url: Url,
        headers: &HeaderMap,
        payload: Payload,
    ) -> Result<Answer, Attempt> {
        let (host, scopes) = (&self.repository.host, &self.repository.scopes);
        let sent = send_stream(host, method, url, scopes, headers, payload, &mut self.proof).await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(Failed::Moved(url)) => return Err(Attempt::Moved(url)),
            Err(Failed::Challenged) => return Err(Attempt::Challenged),
            Err(Failed::Final(error)) => return Err(error.into()),
            Err(Failed::Passing { url, reason }) => {
                return Err(Attempt::Passing { url, reason, after: None, error: None });
            }
        };
        self.proof = Proof::default();
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let (url, after) = (shown_url(&answer.url), retry_after(answer.response.headers(), Timestamp::now()));
        let error = answer.into_error().await;
        Err(match status.as_u16() {
            413 => Attempt::TooLarge(error),
            400 | 404 | 409 | 416 => Attempt::Broken(error),
            _ if may_pass(status) => Attempt::Passing {
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

    /// Goes on where the registry says.
    fn advance(&mut self, answer: &Answer) -> Result<(), RequestError> {
        if let (Some(session), true) = (&mut self.session, answer.response.headers().contains_key(LOCATION)) {
            session.location = target(&answer.url, answer.response.headers())?;
        }
        Ok(())
    }

    /// Prepares the next try; or finds that the blob is there after all.
    async fn recover(&mut self, attempt: Attempt) -> Result<Option<Uploaded>, UploadError> {
        let host = &self.repository.host;
        match attempt {
            Attempt::Final(error) => Err(error),
            // `Proof` sees to it that this ends.
            Attempt::Challenged => Ok(None),
            Attempt::Moved(url) => {
                self.moves += 1;
                if self.moves > MAX_REDIRECTS {
                    let reason = format!("there are more than {MAX_REDIRECTS} of them");
                    let refused = RefusedRedirect { url: shown_url(&url), reason };
                    return Err(RequestError::from(refused).into());
                }
                if let Some(session) = &mut self.session {
                    session.location = url;
                }
                Ok(None)
            }
            Attempt::TooLarge(error) => {
                let smaller = match self.piece {
                    None => FALLBACK_PIECE,
                    Some(piece) => piece / 4,
                };
                let useless = self.content.size().is_some_and(|size| size <= SMALLEST_PIECE);
                if smaller < SMALLEST_PIECE || useless {
                    return Err(error.into());
                }
                host.events
                    .note(format!("`{}` takes no such large upload; trying smaller pieces", host.name));
                self.piece = Some(smaller);
                self.session = None;
                Ok(None)
            }
            Attempt::Broken(error) => {
                self.restarts += 1;
                if self.restarts > MAXIMUM_RESTARTS {
                    return Err(error.into());
                }
                self.session = None;
                Ok(None)
            }
            Attempt::Passing { url, reason, after, error } => {
                let paused = host.pause(&mut self.retries, &url, reason, after).await;
                paused.map_err(|exhausted| error.unwrap_or(exhausted))?;
                if let Some(known) = self.known.clone()
                    && matches!(self.repository.has_blob(&known.descriptor.digest).await, Ok(true))
                {
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

    /// Asks the registry how many bytes it has; nothing if it does not know this upload any more.
    async fn received(&mut self) -> Option<u64> {
        let location = self.session.as_ref()?.location.clone();
        let answer = self.exchange(Method::GET, location, &HeaderMap::new(), Payload::Nothing).await.ok()?;
        self.advance(&answer).ok()?;
        let range = answer.header(RANGE).unwrap_or("0-0");
        let end: u64 = range.trim_start_matches("bytes=").strip_prefix("0-")?.parse().ok()?;
        // `0-0` is also what an empty upload is said to have.
        let received = if end == 0 { 0 } else { end.checked_add(1)? };
        let size = self.known.as_ref().map(|known| known.descriptor.size).or(self.content.size());
        (size.is_none_or(|size| received <= size)).then_some(received)
    }
}

/// Goes on with `open` if it was sent. If it was not, and its content is the reason, that is the error.
async fn settle(open: OpenContent, sent: Result<Answer, Attempt>) -> Result<(Answer, OpenContent), Attempt> {
    match sent {
        Ok(answer) => Ok((answer, open)),
        Err(attempt) => match open.abandon().await {
            Some(error) => Err(UploadError::from(error).into()),
            None => Err(attempt),
        },
    }
}

fn check_digest(answer: &Answer, digest: &Digest) -> Result<(), Attempt> {
    match stated_digest(answer.response.headers()) {
        Some(stated) if stated != *digest => {
            let reason = format!("the registry took the blob {digest} as {stated}");
            Err(RequestError::Answer { url: shown_url(&answer.url), reason }.into())
        }
        _ => Ok(()),
    }
}

/// Names the blob, unless the registry has written it there itself.
fn with_digest(mut location: Url, digest: &Digest) -> Url {
    if !location.query_pairs().any(|(name, _)| name == "digest") {
        location.query_pairs_mut().append_pair("digest", &digest.to_string());
    }
    location
}
