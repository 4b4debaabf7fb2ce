//! Owns the connection to a daemon: its choice, its API version, and calls that are never cut off.
//!
//! Must not know what is requested later; `request` sends what bollard has no form for.

use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error as BollardError;
use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use serde_json::Value;
use tokio::sync::RwLock;
use tokio::task::JoinError;

use super::discover::{Candidates, DaemonSettings, Endpoint};
use super::error::{DaemonError, is_disk_full};
use super::info::DaemonInfo;
use super::request::{REQUEST_TIMEOUT, RawRequest, describe, raw, read_json, versioned};

/// Time limit for the first answer of a daemon at a default address.
const DEFAULT_ANSWER: Duration = Duration::from_secs(2);

/// Time limit for the first answer of a configured daemon.
const CONFIGURED_ANSWER: Duration = Duration::from_secs(10);

/// A daemon that answered. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Daemon {
    client: Docker,
    info: Arc<DaemonInfo>,
    /// Read-locked by each call of [`Daemon::finish`].
    calls: Arc<RwLock<()>>,
}

impl Daemon {
    /// Finds the daemon: the configured one, which must answer, or the first default one that answers. `None` if none is
    /// configured and no default socket exists.
    ///
    /// # Errors
    /// [`DaemonError::Unreachable`], [`DaemonError::PermissionDenied`]; [`DaemonError::InvalidHost`] and
    /// [`DaemonError::Context`] for a configuration that is not valid.
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
                            tracing::debug!(%error, "no daemon at a default address");
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
            // The path has no version, so every daemon answers.
            let client =
                client(endpoint, API_DEFAULT_VERSION).map_err(|error| unreachable(describe(&error).1))?;
            let answer = read_json(raw(&client, "", RawRequest::get("/version"))).await;
            answer.map_err(|error| unreachable(describe(&error).1))
        };
        let answer = tokio::time::timeout(limit, first_contact)
            .await
            .map_err(|_| unreachable(format!("no answer within {} s", limit.as_secs())))??;
        let spoken = spoken_version(api_version, &answer).map_err(&unreachable)?;
        // bollard 0.21 does not send its version; later releases do.
        let client = client(endpoint, &spoken).map_err(|error| unreachable(describe(&error).1))?;
        let mut info = DaemonInfo::read(&answer, spoken.to_string(), address.clone());
        let prefix = format!("/v{}", info.api_version);
        let client = client.with_request_modifier(move |request| versioned(request, &prefix));
        if info.may_use_containerd_store() {
            let answer = read_json(raw(&client, &info.prefix(), RawRequest::get("/info"))).await;
            info.containerd_store = answer
                .is_ok_and(|answer| answer["DriverStatus"].to_string().contains("io.containerd.snapshotter"));
        }
        let DaemonInfo { flavour, version, api_version, platform, address, containerd_store } = &info;
        tracing::debug!(?flavour, version, api_version, %platform, address, containerd_store, "found a daemon");
        Ok(Self { client, info: Arc::new(info), calls: Arc::default() })
    }

    pub fn info(&self) -> &DaemonInfo {
        &self.info
    }

    pub(crate) fn client(&self) -> &Docker {
        &self.client
    }

    /// Awaits a call that leaves something in the daemon, to its end even if this future is dropped: the daemon does not stop,
    /// and its result would stay after a clean-up.
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
            // The runtime is shutting down, and drops this future too.
            Err(Err(_)) => std::future::pending().await,
        }
    }

    /// Waits for the calls of [`Daemon::finish`] whose futures were dropped.
    pub async fn settle(&self) {
        drop(self.calls.write().await);
    }

    pub(crate) fn request_error(&self, action: impl Into<String>, error: &BollardError) -> DaemonError {
        let (status, reason) = describe(error);
        let (address, action) = (self.info.address.clone(), action.into());
        if is_disk_full(&reason) {
            return DaemonError::DiskFull { address, action, reason };
        }
        DaemonError::Request { address, action, status, reason }
    }
}

fn is_absent(path: &std::path::Path) -> bool {
    matches!(std::fs::metadata(path), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

/// Opens and closes a connection. Its errors name the reason, unlike bollard's.
async fn probe(endpoint: &Endpoint) -> std::io::Result<()> {
    match endpoint {
        Endpoint::Unix(path) => tokio::net::UnixStream::connect(path).await.map(drop),
        Endpoint::Tcp { authority, .. } => tokio::net::TcpStream::connect(authority.as_str()).await.map(drop),
        _ => Ok(()),
    }
}

/// The highest version that both sides know, or the user's.
fn spoken_version(configured: Option<&str>, answer: &Value) -> Result<ClientVersion, String> {
    let parse = |text: &str| {
        let (major, minor) = text.trim_start_matches('v').split_once('.')?;
        Some(ClientVersion { major_version: major.parse().ok()?, minor_version: minor.parse().ok()? })
    };
    if let Some(text) = configured {
        return parse(text).ok_or_else(|| format!("`{text}` (DOCKER_API_VERSION) is not an API version"));
    }
    let text = answer["ApiVersion"].as_str().unwrap_or_default();
    let offered = parse(text).ok_or_else(|| format!("its API version `{text}` is not valid"))?;
    Ok(if offered < *API_DEFAULT_VERSION { offered } else { *API_DEFAULT_VERSION })
}

fn client(endpoint: &Endpoint, version: &ClientVersion) -> Result<Docker, BollardError> {
    match endpoint {
        Endpoint::Unix(path) => Docker::connect_with_unix(&path.to_string_lossy(), REQUEST_TIMEOUT, version),
        #[cfg(windows)]
        Endpoint::NamedPipe(path) => Docker::connect_with_named_pipe(path, REQUEST_TIMEOUT, version),
        Endpoint::Tcp { authority, tls: None } => {
            Docker::connect_with_http(&format!("http://{authority}"), REQUEST_TIMEOUT, version)
        }
        Endpoint::Tcp { authority, tls: Some(directory) } => {
            let address = format!("https://{authority}");
            let [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(|name| directory.join(name));
            Docker::connect_with_ssl(&address, &key, &cert, &ca, REQUEST_TIMEOUT, version)
        }
        other => Err(BollardError::UnsupportedURISchemeError { uri: other.to_string() }),
    }
}
