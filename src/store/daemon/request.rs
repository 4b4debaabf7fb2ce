//! Owns requests that bollard has no form for, and all workarounds for bollard 0.21. Must not trace secrets.
//!
//! bollard sends no API version in the path. It encodes `X-Registry-Auth` with the wrong alphabet, and the daemon then
//! drops the credentials silently. Its time limit includes the upload of a body. Its typed answers drop unknown fields.
//! Traces have method and path only: headers, queries and bodies may contain secrets.

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use bollard::errors::Error as BollardError;
use bollard::{BollardRequest, Docker};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::connection::Daemon;
use super::error::DaemonError;
use super::info::DaemonFlavour;
use crate::blocking::blocking;
use crate::network;
use crate::stream::{StreamReader, TarStream, pump, stream_to_reader};

/// Podman's own API, in the oldest version that b2i supports.
pub(super) const PODMAN_API: &str = "/v4.0.0/libpod";

/// Time limit of one request with its body, in seconds. Uploads and commits of large images are slow.
pub(super) const REQUEST_TIMEOUT: u64 = 6 * 3600;

/// Largest JSON answer, in bytes.
const MAXIMUM_ANSWER: usize = 16 << 20;

/// The attempts of a request that Podman fails because of an unrelated image.
pub(super) const ATTEMPTS: u32 = 5;

/// A request that bollard sends unchanged, and whose answer it returns unchanged.
#[derive(Default)]
pub(crate) struct RawRequest {
    pub(crate) method: Method,
    /// The path with the query. The API version is added if it is missing.
    pub(crate) path: String,
    pub(crate) registry_auth: Option<HeaderValue>,
    pub(crate) body: Option<TarStream>,
}

impl RawRequest {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }
}

impl Daemon {
    /// Sends a request and returns the bytes of the answer. An error status is an error.
    pub(crate) fn raw(&self, request: RawRequest) -> BoxStream<'static, Result<Bytes, BollardError>> {
        raw(self.client(), &self.info().prefix(), request)
    }

    /// Reads the answer to a GET of `path` on a blocking thread. Errors of the daemon come as the causes of [`io::Error`]s.
    pub(super) async fn read_raw<T: Send + 'static>(
        &self,
        path: String,
        read: impl FnOnce(StreamReader) -> T + Send + 'static,
    ) -> T {
        let (sender, reader) = stream_to_reader();
        let reading = blocking(move || read(reader));
        tokio::join!(reading, pump(self.raw(RawRequest::get(path)), sender)).0
    }

    /// The daemon's error in an error of [`Daemon::read_raw`], else one of the file at `path`.
    pub(super) fn read_error(
        &self,
        action: String,
        source: io::Error,
        file_action: &'static str,
        path: &Path,
    ) -> DaemonError {
        match source.get_ref().and_then(|cause| cause.downcast_ref::<BollardError>()) {
            Some(error) => self.request_error(action, error),
            None => DaemonError::File { action: file_action, path: path.to_owned(), source },
        }
    }

    pub(super) async fn list(&self, path: &str, filters: Value, what: &str) -> Result<Value, DaemonError> {
        let filters = filters.to_string();
        let filters = utf8_percent_encode(&filters, NON_ALPHANUMERIC);
        let listed = self.get_json(format!("{path}filters={filters}")).await;
        listed.map_err(|error| self.request_error(format!("list {what}"), &error))
    }

    pub(crate) async fn get_json(&self, path: String) -> Result<Value, BollardError> {
        for _ in 1..ATTEMPTS {
            match read_json(self.raw(RawRequest::get(path.clone()))).await {
                Err(error) if self.info().flavour == DaemonFlavour::Podman && is_of_another_image(&error) => {
                    tracing::debug!(%error, path, "an image was removed meanwhile; retrying");
                }
                answer => return answer,
            }
        }
        read_json(self.raw(RawRequest::get(path))).await
    }
}

/// Whether Podman failed because another program removed an image: it reads all images to answer about one. A missing
/// image itself is a 404.
fn is_of_another_image(error: &BollardError) -> bool {
    matches!(describe(error), (Some(500), reason) if reason.contains("image not known"))
}

/// Adds the version to the path and repairs the header with the credentials.
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

fn has_version(path: &str) -> bool {
    path.strip_prefix("/v").is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
}

fn set_path(request: &mut BollardRequest, path: &str) {
    let mut parts = request.uri().clone().into_parts();
    // Paths consist of valid image names and IDs. One that does not parse stays unchanged.
    if let Ok(path) = path.parse() {
        parts.path_and_query = Some(path);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}

/// Sends `request` over bollard's transport.
///
/// `export_image` is the one call of bollard that returns the answer's bytes unchanged. Everything in its request is
/// replaced.
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

/// Traces a request when its answer is read, or dropped.
struct RequestTrace {
    method: Method,
    path: String,
    started: Instant,
    bytes: usize,
    failed: Option<String>,
}

impl RequestTrace {
    fn new(method: &Method, path: &str) -> Self {
        // The query may contain a secret.
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

/// The status and the reason of an error with its causes, which bollard's own messages leave out.
pub(super) fn describe(error: &BollardError) -> (Option<u16>, String) {
    match error {
        BollardError::DockerResponseServerError { status_code, message } => {
            (Some(*status_code), message.trim().to_owned())
        }
        BollardError::DockerStreamError { error } => (None, error.trim().to_owned()),
        error => (None, network::describe(error)),
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
