//! Owns every request that bollard has no form for, and what is wrong with those it has.
//!
//! All workarounds for bollard 0.21 are here and nowhere else:
//! it sends no API version in the path; it encodes `X-Registry-Auth` with the wrong alphabet (the daemon then drops
//! the credentials silently); its time limit covers the upload of a body; its typed answers drop unknown fields.
//! Traces requests by method and path: headers, queries and bodies may hold secrets.

use std::sync::Mutex;
use std::time::Instant;

use bollard::errors::Error as BollardError;
use bollard::{BollardRequest, Docker};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Uri};
use serde_json::Value;

use super::connection::Daemon;
use super::info::DaemonFlavour;
use crate::stream::TarStream;

/// How long one request may take, its body included, in seconds: uploads and commits of large images are slow.
pub(super) const REQUEST_TIMEOUT: u64 = 6 * 3600;

/// Largest JSON answer that is read, in bytes.
const MAXIMUM_ANSWER: usize = 16 << 20;

/// How often Podman is asked that failed because of an image that is no business of the question.
pub(super) const ATTEMPTS: u32 = 5;

/// A request that is sent as it stands, and whose answer's bytes are wanted as they are.
#[derive(Default)]
pub(crate) struct RawRequest {
    pub(crate) method: Method,
    /// Path with query; the version is put in front unless it has one.
    pub(crate) path: String,
    /// Value of `X-Registry-Auth`, if there is one.
    pub(crate) registry_auth: Option<HeaderValue>,
    /// A tar to upload.
    pub(crate) body: Option<TarStream>,
}

impl RawRequest {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }
}

impl Daemon {
    /// Sends a request and gives the bytes of the answer; an answer with an error status is an error.
    pub(crate) fn raw(&self, request: RawRequest) -> BoxStream<'static, Result<Bytes, BollardError>> {
        raw(self.client(), &self.info().prefix(), request)
    }

    /// Gets a JSON document, with every field that the daemon sends.
    pub(crate) async fn get_json(&self, path: String) -> Result<Value, BollardError> {
        for _ in 1..ATTEMPTS {
            match read_json(self.raw(RawRequest::get(path.clone()))).await {
                Err(error) if self.info().flavour == DaemonFlavour::Podman && is_of_another_image(&error) => {
                    tracing::debug!(%error, path, "an image was removed meanwhile; asking again");
                }
                answer => return answer,
            }
        }
        read_json(self.raw(RawRequest::get(path))).await
    }
}

/// Says whether Podman did not answer because somebody removed an image: to answer about one it looks at all of them. An
/// image that was asked for and is not there is a 404.
fn is_of_another_image(error: &BollardError) -> bool {
    matches!(describe(error), (Some(500), reason) if reason.contains("image not known"))
}

/// Puts the version in front of the path and repairs the header that carries credentials.
pub(super) fn versioned(mut request: BollardRequest, prefix: &str) -> BollardRequest {
    let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    if !has_version(path) {
        let path = format!("{prefix}{path}");
        set_path(&mut request, &path);
    }
    for name in ["X-Registry-Auth", "X-Registry-Config"] {
        if let Some(value) = request.headers().get(name).and_then(|value| value.to_str().ok()) {
            let safe = value.replace('+', "-").replace('/', "_");
            if let Ok(mut safe) = HeaderValue::from_str(&safe) {
                safe.set_sensitive(true);
                request.headers_mut().insert(name, safe);
            }
        }
    }
    request
}

/// Says whether a path begins with `/v` and a digit.
fn has_version(path: &str) -> bool {
    path.strip_prefix("/v").is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
}

fn set_path(request: &mut BollardRequest, path: &str) {
    let mut parts = request.uri().clone().into_parts();
    // Paths are made here, of image names and IDs that were parsed before; one that does not parse stays as it was.
    if let Ok(path) = path.parse() {
        parts.path_and_query = Some(path);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}

/// Sends `request` over bollard's transport.
///
/// `export_image` is the one call of bollard that gives the bytes of the answer untouched; everything about its
/// request is replaced before it goes out.
pub(super) fn raw(
    client: &Docker,
    prefix: &str,
    request: RawRequest,
) -> BoxStream<'static, Result<Bytes, BollardError>> {
    let path = if has_version(&request.path) { request.path } else { format!("{prefix}{}", request.path) };
    let (method, auth) = (request.method, request.registry_auth);
    let (traced_method, traced_path) = (method.clone(), path.clone());
    let body = Mutex::new(request.body);
    let client = client.clone().with_request_modifier(move |mut raw| {
        *raw.method_mut() = method.clone();
        set_path(&mut raw, &path);
        if let Some(auth) = &auth {
            raw.headers_mut().insert("X-Registry-Auth", auth.clone());
        }
        if let Ok(Some(body)) = body.lock().map(|mut body| body.take()) {
            raw.headers_mut()
                .insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
            *raw.body_mut() = bollard::body_try_stream(body);
        }
        raw
    });
    let mut trace = RequestTrace::new(&traced_method, &traced_path);
    client.export_image("raw").inspect(move |piece| trace.add(piece)).boxed()
}

/// What is told of a request when its answer was read, or when nobody reads it any more.
struct RequestTrace {
    method: Method,
    path: String,
    started: Instant,
    bytes: usize,
    failed: Option<String>,
}

impl RequestTrace {
    fn new(method: &Method, path: &str) -> Self {
        // What stands in the query is the caller's, and may be a secret.
        let path = path.split('?').next().unwrap_or_default().to_owned();
        Self { method: method.clone(), path, started: Instant::now(), bytes: 0, failed: None }
    }

    fn add(&mut self, piece: &Result<Bytes, BollardError>) {
        match piece {
            Ok(bytes) => self.bytes += bytes.len(),
            Err(error) => self.failed = Some(describe(error).1),
        }
    }
}

impl Drop for RequestTrace {
    fn drop(&mut self) {
        let (path, bytes, milliseconds) = (&self.path, self.bytes, self.started.elapsed().as_millis());
        match &self.failed {
            None => {
                tracing::trace!(method = %self.method, path, bytes, milliseconds, "request to the daemon")
            }
            Some(reason) => {
                tracing::debug!(method = %self.method, path, milliseconds, reason, "request to the daemon failed");
            }
        }
    }
}

/// Makes a call of bollard's own and tells how long it took.
pub(crate) async fn traced<T>(
    action: &str,
    call: impl Future<Output = Result<T, BollardError>>,
) -> Result<T, BollardError> {
    let started = Instant::now();
    let result = call.await;
    let milliseconds = started.elapsed().as_millis();
    match &result {
        Ok(_) => tracing::trace!(action, milliseconds, "request to the daemon"),
        Err(error) => {
            tracing::debug!(action, milliseconds, reason = describe(error).1, "request to the daemon failed");
        }
    }
    result
}

pub(super) async fn read_json(
    mut answer: BoxStream<'static, Result<Bytes, BollardError>>,
) -> Result<Value, BollardError> {
    let mut bytes = Vec::new();
    while let Some(piece) = answer.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() > MAXIMUM_ANSWER {
            let reason = format!("the answer has more than {MAXIMUM_ANSWER} bytes");
            return Err(BollardError::DockerStreamError { error: reason });
        }
    }
    Ok(serde_json::from_slice(&bytes)?)
}

/// The status and the reason of an error, with the reasons behind it: bollard's own texts leave those out.
pub(super) fn describe(error: &BollardError) -> (Option<u16>, String) {
    match error {
        BollardError::DockerResponseServerError { status_code, message } => {
            (Some(*status_code), message.trim().to_owned())
        }
        BollardError::DockerStreamError { error } => (None, error.trim().to_owned()),
        error => {
            let mut reason = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(cause) = source {
                let text = cause.to_string();
                if !reason.contains(&text) {
                    reason = format!("{reason}: {text}");
                }
                source = cause.source();
            }
            (None, reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn request(uri: &str, auth: &str) -> BollardRequest {
        let builder = http::Request::builder().uri(uri).header("X-Registry-Auth", auth);
        builder.body(bollard::body_full(Bytes::new())).expect("valid")
    }

    #[test]
    fn the_version_goes_in_front_of_the_path_once() {
        let sent = versioned(request("unix://2f61/images/vim:1/json?x=1", ""), "/v1.41");
        assert_eq!(sent.uri().path_and_query().expect("path").as_str(), "/v1.41/images/vim:1/json?x=1");
        let again = versioned(sent, "/v1.41");
        assert_eq!(again.uri().path(), "/v1.41/images/vim:1/json");
        assert_eq!(versioned(request("http://h/version", ""), "/v1.41").uri().path(), "/v1.41/version");
    }

    #[test]
    fn credentials_are_encoded_as_the_daemon_reads_them() {
        let sent = versioned(request("http://h/x", "ab+/cd=="), "/v1.41");
        let value = &sent.headers()["X-Registry-Auth"];
        assert_eq!(value, "ab-_cd==");
        assert!(value.is_sensitive());
    }
}
