//! Owns one download from the first request to the last byte: retries, resuming, limits.
//! Must not use the cache: it gets the entry of an earlier download, and returns a complete file.

use std::path::Path;
use std::time::Instant;

use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use reqwest::Response;
use url::Url;

use super::super::error::InputError;
use super::super::spool::Progress;
use super::HttpOptions;
use super::cache::DownloadEntry;
use super::credentials::Credentials;
use super::encoding::{Body, file_of};
use super::error::HttpError;
use super::name::name;
use super::request::{Answer, Failed, Reason, get};
use super::resume::Partial;
use crate::blocking::blocking;
use crate::events::Events;
use crate::image::Digest;
use crate::network::{HttpClient, Pace, Retries, describe, shown_url};

/// If this number of bytes arrives between two failures, retries are counted from zero again.
const PROGRESS_BYTES: u64 = 1024 * 1024;

pub(super) struct Download<'a> {
    pub(super) client: &'a HttpClient,
    pub(super) url: &'a Url,
    pub(super) credentials: &'a Credentials,
    pub(super) options: &'a HttpOptions,
    pub(super) max_size: u64,
    /// The expected digest, which detects a truncated file even if the server sends no length.
    pub(super) expected: Option<Digest>,
    pub(super) events: &'a Events,
}

pub(super) enum Outcome {
    /// The file of the earlier download is still valid.
    Unchanged,
    Complete(Box<Complete>),
}

pub(super) struct Complete {
    pub(super) file: tempfile::NamedTempFile,
    pub(super) entry: DownloadEntry,
    /// Whether the server allows caching it.
    pub(super) cacheable: bool,
}

/// The headers of the first complete response.
#[derive(Default)]
struct Description {
    name: String,
    etag: Option<String>,
    last_modified: Option<String>,
    cacheable: bool,
    /// Whether a truncated body is detected.
    framed: bool,
    is_gzip: bool,
}

impl Download<'_> {
    /// Downloads into a file in `directory`, unless the file is the same as in the download of `entry`.
    pub(super) async fn run(
        &self,
        entry: Option<&DownloadEntry>,
        directory: &Path,
        progress: &mut Progress,
    ) -> Result<Outcome, InputError> {
        let mut partial = Partial::new(directory)?;
        let mut description = Description::default();
        let mut retries = Retries::new(self.options.network.retries, self.options.network.retry_pause);
        let mut most = 0;
        loop {
            let (reason, after) = match self.attempt(entry, &mut partial, &mut description, progress).await {
                Ok(true) => return Ok(Outcome::Unchanged),
                Ok(false) => break,
                Err(Failed::Final(error)) => return Err(error),
                Err(Failed::Passing { reason, after }) => (reason, after),
            };
            // Progress is measured against the largest number of bytes so far: a server that makes b2i start again and
            // again makes no progress.
            if partial.received() >= PROGRESS_BYTES.saturating_add(most) {
                most = partial.received();
                retries.made_progress();
            }
            let Some(pause) = retries.next(after) else {
                return Err(self.give_up(reason, &partial, &retries));
            };
            let what = match &reason {
                Reason::Status { status, .. } => format!("the server answered {status}"),
                Reason::Transfer(reason) => reason.clone(),
            };
            self.events.note(format!("{what}; retrying in {:.1} s", pause.as_secs_f64()));
            tokio::time::sleep(pause).await;
        }
        let (file, digest, size) = partial.finish();
        let mut body = Body { file, digest, size };
        if description.is_gzip {
            body = self.decoded(body, &description.name, directory).await?;
        }
        let Body { file, digest, size } = body;
        let Description { name, etag, last_modified, cacheable, .. } = description;
        let entry = DownloadEntry { digest, size, name, etag, last_modified };
        Ok(Outcome::Complete(Box::new(Complete { file, entry, cacheable })))
    }

    /// The file of a body with `Content-Encoding: gzip`.
    async fn decoded(&self, body: Body, name: &str, directory: &Path) -> Result<Body, InputError> {
        let (name, directory) = (name.to_owned(), directory.to_owned());
        let (expected, limit) = (self.expected, self.max_size);
        let decode = move || Ok::<_, InputError>(file_of(body, &name, expected, limit, &directory));
        match blocking(decode).await? {
            Ok(Some(body)) => Ok(body),
            Ok(None) => Err(InputError::TooLarge { shown: shown_url(self.url), size: None, limit }),
            Err(error) => {
                let reason = format!("it cannot be unpacked (`Content-Encoding: gzip`): {error}");
                Err(HttpError::Answer { url: shown_url(self.url), reason, hint: None }.into())
            }
        }
    }

    /// Sends one request. Returns whether the file is unchanged; if not, the download is complete.
    async fn attempt(
        &self,
        entry: Option<&DownloadEntry>,
        partial: &mut Partial,
        description: &mut Description,
        progress: &mut Progress,
    ) -> Result<bool, Failed> {
        let mut headers = partial.range();
        let conditional = entry.filter(|_| partial.received() == 0);
        if let Some(entry) = conditional {
            add_conditions(&mut headers, entry);
        }
        let Answer { response, url, is_gzip } =
            get(self.client, self.url, &headers, self.credentials).await?;
        let length = content_length(response.headers());
        match response.status() {
            StatusCode::NOT_MODIFIED if conditional.is_some() => return Ok(true),
            StatusCode::PARTIAL_CONTENT if headers.contains_key(http::header::RANGE) => {
                if let Err(reason) = partial.continues(response.headers(), length) {
                    partial.restart()?;
                    return Err(Failed::passing(reason));
                }
            }
            StatusCode::OK => {
                // A range request may get a full response too: the server does not support ranges, or has another
                // version.
                partial.restart()?;
                partial.begin(response.headers(), length);
                *description = Description { is_gzip, ..self.describe(&response, &url, length) };
            }
            StatusCode::RANGE_NOT_SATISFIABLE if headers.contains_key(http::header::RANGE) => {
                partial.restart()?;
                return Err(Failed::passing("the server has fewer bytes than before"));
            }
            status => {
                let reason = format!("status {status} does not match the request");
                return Err(HttpError::Answer { url: shown_url(&url), reason, hint: None }.into());
            }
        }
        self.check_limit(partial.total)?;
        self.read_body(response, partial, progress).await?;
        self.check_complete(partial, description)?;
        Ok(false)
    }

    fn describe(&self, response: &Response, url: &Url, length: Option<u64>) -> Description {
        let headers = response.headers();
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let no_store = headers
            .get_all(CACHE_CONTROL)
            .iter()
            .any(|value| value.to_str().is_ok_and(|text| text.to_ascii_lowercase().contains("no-store")));
        let framed_by_protocol =
            headers.contains_key(TRANSFER_ENCODING) || response.version() >= Version::HTTP_2;
        Description {
            name: name(headers, self.url, url),
            etag: text(ETAG),
            last_modified: text(LAST_MODIFIED),
            cacheable: !no_store,
            framed: length.is_some() || framed_by_protocol,
            is_gzip: false,
        }
    }

    async fn read_body(
        &self,
        mut response: Response,
        partial: &mut Partial,
        progress: &mut Progress,
    ) -> Result<(), Failed> {
        let network = &self.options.network;
        let mut pace = Pace::new(network.minimum_rate, network.read_timeout);
        loop {
            let from = Instant::now();
            match response.chunk().await {
                Ok(None) => return Ok(()),
                Ok(Some(bytes)) => {
                    let paced = pace.received(from.elapsed(), bytes.len());
                    partial.append(&bytes)?;
                    self.check_limit(Some(partial.received()))?;
                    progress.report(partial.received(), partial.total);
                    paced.map_err(Failed::passing)?;
                }
                Err(error) => {
                    let of = partial.total.map(|total| format!(" of {total}")).unwrap_or_default();
                    let reason = describe(&error.without_url());
                    let received = partial.received();
                    return Err(Failed::passing(format!("it stopped after {received}{of} bytes: {reason}")));
                }
            }
        }
    }

    fn check_limit(&self, size: Option<u64>) -> Result<(), InputError> {
        match size {
            Some(size) if size > self.max_size => {
                Err(InputError::TooLarge { shown: shown_url(self.url), size: None, limit: self.max_size })
            }
            _ => Ok(()),
        }
    }

    fn check_complete(&self, partial: &mut Partial, description: &Description) -> Result<(), Failed> {
        match partial.total {
            Some(total) if partial.received() < total => Err(Failed::passing("the connection ended early")),
            Some(total) if partial.received() > total => {
                partial.restart()?;
                Err(Failed::passing(format!("the server sent more than the announced {total} bytes")))
            }
            None if !description.framed && self.expected.is_none() => Err(HttpError::Answer {
                url: shown_url(self.url),
                reason: "the server sends no length, so a truncated file would not be detected".to_owned(),
                hint: Some("pass its digest with `--sha256`"),
            }
            .into()),
            _ => Ok(()),
        }
    }

    fn give_up(&self, reason: Reason, partial: &Partial, retries: &Retries) -> InputError {
        let attempts = retries.attempts;
        InputError::Http(match reason {
            Reason::Status { url, status, authenticated } => {
                HttpError::Status { url, status, attempts, authenticated }
            }
            Reason::Transfer(reason) => HttpError::Transfer {
                url: shown_url(self.url),
                reason,
                received: partial.received(),
                total: partial.total,
                attempts,
            },
        })
    }
}

fn add_conditions(headers: &mut HeaderMap, entry: &DownloadEntry) {
    let mut add = |name: HeaderName, value: &Option<String>| {
        if let Some(Ok(value)) = value.as_deref().map(HeaderValue::from_str) {
            headers.insert(name, value);
        }
    };
    add(IF_NONE_MATCH, &entry.etag);
    add(IF_MODIFIED_SINCE, &entry.last_modified);
}

/// The value of `Content-Length`. Anything but digits is ignored.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
