//! Owns the connection to a daemon: choosing it, asking what it is, and every request that bollard has no form for.
//!
//! All workarounds for bollard 0.21 are here and nowhere else:
//! it sends no API version in the path; it encodes `X-Registry-Auth` with the wrong alphabet (the daemon then drops
//! the credentials silently); its time limit covers the upload of a body; its typed answers drop unknown fields.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::errors::Error as BollardError;
use bollard::{API_DEFAULT_VERSION, BollardRequest, ClientVersion, Docker};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Uri};
use serde_json::Value;
use tokio::sync::RwLock;
use tokio::task::JoinError;

use super::discover::{Candidates, DaemonSettings, Endpoint, TlsFiles};
use super::error::{DaemonError, is_disk_full};
use crate::engine::TarStream;
use crate::image::Platform;

/// How long one request may take, its body included, in seconds: uploads and commits of large images are slow.
const REQUEST_TIMEOUT: u64 = 6 * 3600;

/// How long a daemon that nobody named may take to say what it is.
const DEFAULT_ANSWER: Duration = Duration::from_secs(2);

/// How long a configured daemon may take to say what it is.
const CONFIGURED_ANSWER: Duration = Duration::from_secs(10);

/// Largest JSON answer that is read, in bytes.
const MAXIMUM_ANSWER: usize = 16 << 20;

/// Which program answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DaemonFlavour {
    /// Docker, or what calls itself that.
    Docker,
    /// Podman's Docker-compatible service.
    Podman,
}

impl DaemonFlavour {
    /// The command that people use with it.
    pub fn command(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

/// What a daemon says about itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DaemonInfo {
    /// Which program it is.
    pub flavour: DaemonFlavour,
    /// Its version.
    pub version: String,
    /// The API version that is spoken with it, such as `1.41`.
    pub api_version: String,
    /// The platform of its containers, where nobody asks for another.
    pub platform: Platform,
    /// Its address, as shown to people.
    pub address: String,
    /// Whether images are in containerd's store: their IDs are then not the digests of their configs.
    pub containerd_store: bool,
}

/// A daemon that answers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Daemon {
    client: Docker,
    info: Arc<DaemonInfo>,
    /// Held for reading by each call that is carried to its end.
    calls: Arc<RwLock<()>>,
}

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
    /// Finds the daemon: the configured one, which must answer, or the first default one that does.
    ///
    /// Gives nothing if none is configured and no default socket exists.
    ///
    /// # Errors
    /// [`DaemonError::Unreachable`] and [`DaemonError::PermissionDenied`]; [`DaemonError::InvalidHost`] and
    /// [`DaemonError::Context`] if the configuration cannot be used.
    pub async fn find(settings: &DaemonSettings) -> Result<Option<Self>, DaemonError> {
        let version = settings.api_version.as_deref();
        match settings.candidates()? {
            Candidates::Configured { endpoint, origin } => {
                Self::connect(&endpoint, &origin, version, CONFIGURED_ANSWER).await.map(Some)
            }
            Candidates::Defaults(endpoints) => {
                let mut first_error = None;
                for endpoint in endpoints {
                    if matches!(&endpoint, Endpoint::Unix(path) if is_absent(path)) {
                        continue;
                    }
                    match Self::connect(&endpoint, "a default address", version, DEFAULT_ANSWER).await {
                        Ok(daemon) => return Ok(Some(daemon)),
                        Err(error) => {
                            first_error.get_or_insert(error);
                        }
                    }
                }
                first_error.map_or(Ok(None), Err)
            }
        }
    }

    async fn connect(
        endpoint: &Endpoint,
        origin: &str,
        api_version: Option<&str>,
        limit: Duration,
    ) -> Result<Self, DaemonError> {
        let address = endpoint.to_string();
        let unreachable = |reason: String| DaemonError::Unreachable {
            address: address.clone(),
            origin: origin.to_owned(),
            reason,
        };
        let first_contact = async {
            probe(endpoint).await.map_err(|error| match error.kind() {
                std::io::ErrorKind::PermissionDenied => {
                    DaemonError::PermissionDenied { address: address.clone() }
                }
                std::io::ErrorKind::NotFound => unreachable("the socket does not exist".into()),
                _ => unreachable(error.to_string()),
            })?;
            // Asked without a version, which every daemon answers.
            let client =
                client(endpoint, API_DEFAULT_VERSION).map_err(|error| unreachable(describe(&error).1))?;
            let answer = read_json(raw(&client, "", RawRequest::get("/version"))).await;
            answer.map_err(|error| unreachable(describe(&error).1))
        };
        let answer = tokio::time::timeout(limit, first_contact)
            .await
            .map_err(|_| unreachable(format!("no answer within {} s", limit.as_secs())))??;
        let spoken = spoken_version(api_version, &answer).map_err(&unreachable)?;
        // bollard 0.21 does not send its version, later releases do.
        let client = client(endpoint, &spoken).map_err(|error| unreachable(describe(&error).1))?;
        let mut info = DaemonInfo::read(&answer, spoken.to_string(), address.clone());
        let prefix = format!("/v{}", info.api_version);
        let client = client.with_request_modifier(move |request| versioned(request, &prefix));
        if info.may_use_containerd_store() {
            let answer = read_json(raw(&client, &info.prefix(), RawRequest::get("/info"))).await;
            info.containerd_store = answer
                .is_ok_and(|answer| answer["DriverStatus"].to_string().contains("io.containerd.snapshotter"));
        }
        Ok(Self { client, info: Arc::new(info), calls: Arc::default() })
    }

    /// What it says about itself.
    pub fn info(&self) -> &DaemonInfo {
        &self.info
    }

    /// bollard's client, with the workarounds in it.
    pub(crate) fn client(&self) -> &Docker {
        &self.client
    }

    /// Makes a call that leaves something in the daemon, to its end also if whoever waits for it goes away: a daemon
    /// goes on with what it was asked, and what it makes after a clean-up would stay.
    pub(crate) async fn finish<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let open = Arc::clone(&self.calls).read_owned().await;
        let call = async move {
            let value = call.await;
            drop(open);
            value
        };
        match tokio::spawn(call).await.map_err(JoinError::try_into_panic) {
            Ok(value) => value,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The event loop is shutting down, and with it whoever waits here.
            Err(Err(_)) => std::future::pending().await,
        }
    }

    /// Waits until the daemon has answered the calls of [`Daemon::finish`] that nobody waits for any more.
    pub async fn settle(&self) {
        drop(self.calls.write().await);
    }

    /// Sends a request and gives the bytes of the answer; an answer with an error status is an error.
    pub(crate) fn raw(&self, request: RawRequest) -> BoxStream<'static, Result<Bytes, BollardError>> {
        raw(&self.client, &self.info.prefix(), request)
    }

    /// Gets a JSON document, with every field that the daemon sends.
    pub(crate) async fn get_json(&self, path: String) -> Result<Value, BollardError> {
        read_json(self.raw(RawRequest::get(path))).await
    }

    /// Makes the error for a request that was refused or broke.
    pub(crate) fn request_error(&self, action: impl Into<String>, error: &BollardError) -> DaemonError {
        let (status, reason) = describe(error);
        let (address, action) = (self.info.address.clone(), action.into());
        if is_disk_full(&reason) {
            return DaemonError::DiskFull { address, action, reason };
        }
        DaemonError::Request { address, action, status, reason }
    }
}

impl DaemonInfo {
    fn read(answer: &Value, api_version: String, address: String) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let components = answer["Components"].as_array();
        let names = components.into_iter().flatten().map(|component| text(&component["Name"]));
        let podman = names.into_iter().any(|name| name.contains("Podman"));
        let mut platform = Platform::linux(&text(&answer["Arch"]));
        if let Some(os) = answer["Os"].as_str().filter(|os| !os.is_empty()) {
            platform.os = os.into();
        }
        Self {
            flavour: if podman { DaemonFlavour::Podman } else { DaemonFlavour::Docker },
            version: text(&answer["Version"]),
            api_version,
            platform,
            address,
            containerd_store: false,
        }
    }

    fn prefix(&self) -> String {
        format!("/v{}", self.api_version)
    }

    /// The store came with Docker 23; asking costs up to 50 ms, so older ones are not asked.
    fn may_use_containerd_store(&self) -> bool {
        let major = self.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        self.flavour == DaemonFlavour::Docker && major.is_none_or(|major| major >= 23)
    }
}

fn is_absent(path: &std::path::Path) -> bool {
    matches!(std::fs::metadata(path), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

/// Opens and closes a connection, for an error that says what is wrong: bollard's do not.
async fn probe(endpoint: &Endpoint) -> std::io::Result<()> {
    match endpoint {
        #[cfg(unix)]
        Endpoint::Unix(path) => tokio::net::UnixStream::connect(path).await.map(drop),
        Endpoint::Tcp { authority, .. } => tokio::net::TcpStream::connect(authority.as_str()).await.map(drop),
        _ => Ok(()),
    }
}

/// The highest version that both sides know, or the one that the user asks for.
fn spoken_version(asked: Option<&str>, answer: &Value) -> Result<ClientVersion, String> {
    let parse = |text: &str| {
        let (major, minor) = text.trim_start_matches('v').split_once('.')?;
        Some(ClientVersion { major_version: major.parse().ok()?, minor_version: minor.parse().ok()? })
    };
    if let Some(asked) = asked {
        return parse(asked).ok_or_else(|| format!("`{asked}` (DOCKER_API_VERSION) is no API version"));
    }
    let offered = answer["ApiVersion"].as_str().unwrap_or_default();
    let offered =
        parse(offered).ok_or_else(|| format!("it offers the API version `{offered}`, which is none"))?;
    Ok(if offered < *API_DEFAULT_VERSION { offered } else { *API_DEFAULT_VERSION })
}

fn client(endpoint: &Endpoint, version: &ClientVersion) -> Result<Docker, BollardError> {
    match endpoint {
        #[cfg(unix)]
        Endpoint::Unix(path) => Docker::connect_with_unix(&path.to_string_lossy(), REQUEST_TIMEOUT, version),
        #[cfg(windows)]
        Endpoint::NamedPipe(path) => Docker::connect_with_named_pipe(path, REQUEST_TIMEOUT, version),
        Endpoint::Tcp { authority, tls: None } => {
            Docker::connect_with_http(&format!("http://{authority}"), REQUEST_TIMEOUT, version)
        }
        Endpoint::Tcp { authority, tls: Some(TlsFiles { ca, cert, key }) } => {
            let address = format!("https://{authority}");
            Docker::connect_with_ssl(&address, key, cert, ca, REQUEST_TIMEOUT, version)
        }
        other => Err(BollardError::UnsupportedURISchemeError { uri: other.to_string() }),
    }
}

/// Puts the version in front of the path and repairs the header that carries credentials.
fn versioned(mut request: BollardRequest, prefix: &str) -> BollardRequest {
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
fn raw(
    client: &Docker,
    prefix: &str,
    request: RawRequest,
) -> BoxStream<'static, Result<Bytes, BollardError>> {
    let path = if has_version(&request.path) { request.path } else { format!("{prefix}{}", request.path) };
    let (method, auth) = (request.method, request.registry_auth);
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
    client.export_image("raw").boxed()
}

async fn read_json(
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
    use serde_json::json;

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

    #[test]
    fn docker_and_podman_are_told_apart() {
        let podman = json!({"Components": [{"Name": "Podman Engine"}], "Version": "4.3.1", "Arch": "amd64",
            "Os": "linux"});
        let info = DaemonInfo::read(&podman, "1.41".into(), "x".into());
        assert_eq!((info.flavour, info.may_use_containerd_store()), (DaemonFlavour::Podman, false));
        let docker = json!({"Components": [{"Name": "Engine"}], "Version": "27.1", "Arch": "x86_64"});
        let info = DaemonInfo::read(&docker, "1.44".into(), "x".into());
        assert_eq!((info.flavour, info.may_use_containerd_store()), (DaemonFlavour::Docker, true));
        assert_eq!(info.platform, Platform::linux("amd64"));
    }
}
