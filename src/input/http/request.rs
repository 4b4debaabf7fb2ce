//! Owns one request with its redirects, and the difference between temporary and permanent failures. Must not retry.

use std::time::{Duration, Instant};

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use reqwest::Response;
use url::Url;

use super::super::error::InputError;
use super::credentials::Credentials;
use super::encoding::is_gzip;
use super::error::HttpError;
use crate::network::{
    HttpClient, MAX_REDIRECTS, RefusedRedirect, SendError, may_pass, retry_after, same_origin, shown_url,
    target, without_credentials,
};

pub(super) enum Failed {
    /// A retry may help.
    Passing {
        reason: Reason,
        /// The pause that the server demands.
        after: Option<Duration>,
    },
    /// A retry does not help.
    Final(InputError),
}

/// The cause of a temporary failure.
pub(super) enum Reason {
    Status { url: String, status: StatusCode, authenticated: bool },
    Transfer(String),
}

impl Failed {
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self::Passing { reason: Reason::Transfer(reason.into()), after: None }
    }
}

impl<E: Into<InputError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Final(error.into())
    }
}

pub(super) struct Answer {
    pub(super) response: Response,
    pub(super) url: Url,
    /// Whether the bytes are those of a file with `Content-Encoding: gzip`.
    pub(super) is_gzip: bool,
}

/// Requests `url` with `headers` and follows redirects. `credentials` are sent until a redirect leads to another origin.
pub(super) async fn get(
    client: &HttpClient,
    url: &Url,
    headers: &HeaderMap,
    credentials: &Credentials,
) -> Result<Answer, Failed> {
    // Credentials in the URL become a header of `credentials`.
    let mut current = without_credentials(url);
    let first = current.clone();
    let mut trusted = true;
    for _ in 0..=MAX_REDIRECTS {
        let mut all = credentials.headers(trusted);
        for (name, value) in headers {
            all.insert(name.clone(), value.clone());
        }
        // Digest, size and ranges refer to the bytes of the file, not to a compressed form.
        all.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let started = Instant::now();
        let request = client.request(Method::GET, current.clone()).map_err(HttpError::from)?;
        let response = request.headers(all).send().await;
        let response = response.map_err(|error| send_error(&current, error))?;
        tracing::debug!(
            url = shown_url(&current),
            status = response.status().as_u16(),
            milliseconds = started.elapsed().as_millis(),
            // The error says only whether credentials were sent, never which.
            trusted,
            "requested the download"
        );
        match response.status().as_u16() {
            301 | 302 | 303 | 307 | 308 => {
                current = target(&current, response.headers()).map_err(HttpError::from)?;
                trusted &= same_origin(&first, &current);
            }
            200 | 206 | 304 | 416 => {
                let is_gzip = is_gzip_encoded(&current, response.headers())?;
                return Ok(Answer { response, url: current, is_gzip });
            }
            _ => return Err(status_error(&current, &response, trusted && credentials.any())),
        }
    }
    let reason = format!("there are more than {MAX_REDIRECTS} redirects");
    Err(HttpError::from(RefusedRedirect { url: shown_url(&first), reason }).into())
}

fn refused(url: &Url, reason: String) -> HttpError {
    HttpError::Answer { url: shown_url(url), reason, hint: None }
}

/// Whether the response is encoded with gzip. Another encoding is an error, since nobody asked for it.
fn is_gzip_encoded(url: &Url, headers: &HeaderMap) -> Result<bool, HttpError> {
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => Ok(false),
        Some(encoding) if is_gzip(encoding) => Ok(true),
        Some(encoding) => {
            let encoding = String::from_utf8_lossy(encoding);
            let encoding = encoding.escape_debug();
            let reason =
                format!("the server compressed it with `{encoding}`, although b2i accepts no compression");
            let hint = Some("download it with another program that unpacks it, and pass the file");
            Err(HttpError::Answer { url: shown_url(url), reason, hint })
        }
    }
}

fn status_error(url: &Url, response: &Response, authenticated: bool) -> Failed {
    let (status, url) = (response.status(), shown_url(url));
    if may_pass(status) {
        let after = retry_after(response.headers(), Timestamp::now());
        return Failed::Passing { reason: Reason::Status { url, status, authenticated }, after };
    }
    HttpError::Status { url, status, attempts: 1, authenticated }.into()
}

fn send_error(url: &Url, error: reqwest::Error) -> Failed {
    match SendError::new(url, error) {
        SendError::Untrusted(untrusted) => HttpError::from(untrusted).into(),
        SendError::Forbidden(forbidden) => HttpError::from(forbidden).into(),
        SendError::Unsendable(reason) => refused(url, reason).into(),
        SendError::UnknownHost(reason) => {
            let url = shown_url(url);
            HttpError::Transfer { url, reason, received: 0, total: None, attempts: 1 }.into()
        }
        SendError::Cut(reason) => Failed::passing(reason),
    }
}
