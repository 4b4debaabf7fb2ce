//! Owns one registry: its addresses, its clients, and one HTTP exchange with it (`request.rs` repeats it).
//!
//! Must not send credentials to another scheme, host or port than they are for.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use reqwest::Response;
use tokio::sync::{Mutex, OnceCell};
use url::Url;

use super::auth::Authority;
use super::error::RequestError;
use super::response;
use super::settings::{HostSettings, RegistrySettings};
use crate::events::Events;
use crate::image::BlobStream;
use crate::network::{
    ClientSetup, HttpClient, MAX_REDIRECTS, NetworkOptions, Pace, RefusedRedirect, SendError, client,
    is_loopback, is_slow, same_origin, shown_url, target, too_slow,
};

/// Factor on the time limit after an upload is sent: some registries copy or verify it before they answer.
const PATIENCE_AFTER_UPLOAD: u32 = 10;

pub(super) struct Host {
    /// `host[:port]`, as in image names.
    pub(super) name: String,
    pub(super) settings: HostSettings,
    pub(super) network: NetworkOptions,
    pub(super) read_ahead_after: Duration,
    pub(super) authority: Mutex<Authority>,
    pub(super) events: Events,
    /// The possible addresses, in the order in which they are tried.
    candidates: Vec<Url>,
    /// The index of the address that answered.
    settled: OnceLock<usize>,
    clients: Clients,
}

/// The pool for all hosts without certificates of their own, made at the first use.
pub(super) type SharedClient = Arc<OnceCell<HttpClient>>;

struct Clients {
    /// For plain HTTP on this machine: without certificates and proxies.
    loopback: SharedClient,
    verified: SharedClient,
    /// For this host only.
    unverified: OnceCell<HttpClient>,
}

pub(super) enum Payload {
    Nothing,
    /// Can be sent again.
    Bytes(Bytes),
    /// Can be sent once.
    Stream {
        stream: BlobStream,
        /// In bytes, if known.
        length: Option<u64>,
        /// Counts the bytes that are sent.
        taken: Arc<StreamPosition>,
    },
}

#[derive(Default)]
pub(super) struct StreamPosition {
    pub(super) bytes: AtomicU64,
    /// Whether the last byte was read.
    pub(super) ended: AtomicBool,
    /// Whether the registry has had the long time after an upload already.
    pub(super) is_hurried: AtomicBool,
}

pub(super) struct Message<'a> {
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    pub(super) authorization: Option<&'a HeaderValue>,
}

pub(super) struct Delivery {
    pub(super) response: Response,
    pub(super) url: Url,
    /// Whether the response is the registry's own, not that of a redirect's target.
    pub(super) at_home: bool,
}

pub(super) enum ExchangeError {
    Transient {
        url: String,
        reason: String,
    },
    /// The target of a redirect, to which the stream has to be sent again.
    Moved(Url),
    /// The registry rejected the stream because it requires new credentials. They are ready now.
    Challenged,
    Final(RequestError),
}

impl<E: Into<RequestError>> From<E> for ExchangeError {
    fn from(error: E) -> Self {
        Self::Final(error.into())
    }
}

impl Host {
    pub(super) fn new(
        name: &str,
        settings: &RegistrySettings,
        loopback: &SharedClient,
        verified: &SharedClient,
        events: &Events,
    ) -> Result<Self, RequestError> {
        let own = settings.host(name);
        let mut network = settings.network.clone();
        network.extra_ca.extend(own.extra_ca.iter().cloned());
        let address = if name == "docker.io" { "registry-1.docker.io" } else { name };
        let at = |scheme: &str| {
            Url::parse(&format!("{scheme}://{address}/")).map_err(|error| RequestError::Answer {
                url: name.to_owned(),
                reason: format!("this is not the address of a registry: {error}"),
            })
        };
        let (plain, protected) = (at("http")?, at("https")?);
        let candidates = match (is_loopback(&plain), own.insecure) {
            (true, _) => vec![plain, protected],
            (false, true) => vec![protected, plain],
            (false, false) => vec![protected],
        };
        let shared = own.extra_ca.is_empty();
        Ok(Self {
            name: name.to_owned(),
            authority: Mutex::new(Authority::new(settings.credential_files.clone())),
            events: events.clone(),
            candidates,
            settled: OnceLock::new(),
            clients: Clients {
                loopback: loopback.clone(),
                verified: if shared { verified.clone() } else { SharedClient::default() },
                unverified: OnceCell::new(),
            },
            settings: own,
            read_ahead_after: settings.read_ahead_after,
            network,
        })
    }

    /// The address that answered, or the first candidate.
    pub(super) fn home(&self) -> &Url {
        &self.candidates[self.settled.get().copied().unwrap_or_default()]
    }

    /// The time limit between two pieces of a response.
    pub(super) fn silence(&self) -> Duration {
        self.network.read_timeout
    }

    pub(super) fn pace(&self) -> Pace {
        Pace::new(self.network.minimum_rate, self.network.read_timeout)
    }

    /// Sends to `path` on the registry, and follows redirects. The first request finds the address.
    pub(super) async fn deliver(
        &self,
        path: &str,
        message: &Message<'_>,
        body: Option<&Bytes>,
    ) -> Result<Delivery, ExchangeError> {
        let payload = || body.map_or(Payload::Nothing, |bytes| Payload::Bytes(bytes.clone()));
        let join = |home: &Url| {
            home.join(path)
                .map_err(|error| RequestError::Answer { url: shown_url(home), reason: error.to_string() })
        };
        if let Some(settled) = self.settled.get() {
            return self.deliver_to(join(&self.candidates[*settled])?, message, payload()).await;
        }
        let (mut first, mut odd) = (None, None);
        for (index, home) in self.candidates.iter().enumerate() {
            let is_last = index + 1 == self.candidates.len();
            match self.deliver_from(home, join(home)?, message, payload()).await {
                // The answer of a server that requires TLS.
                Ok(delivered) if !is_last && wants_tls(&delivered) => odd = Some(delivered),
                Ok(delivered) => {
                    // A parallel request that was faster found the same.
                    let _ = self.settled.set(index);
                    return Ok(delivered);
                }
                // An untrusted certificate explains more than a closed port for plain HTTP.
                Err(failed @ ExchangeError::Final(RequestError::Untrusted(_))) => first = Some(failed),
                Err(failed) => {
                    first.get_or_insert(failed);
                }
            }
        }
        let silent =
            || ExchangeError::Transient { url: self.name.clone(), reason: "it does not answer".into() };
        match (odd, first) {
            (_, Some(untrusted @ ExchangeError::Final(RequestError::Untrusted(_)))) => Err(untrusted),
            // Without TLS, this is the registry's own answer.
            (Some(delivered), _) => Ok(delivered),
            (None, failed) => Err(failed.unwrap_or_else(silent)),
        }
    }

    /// Sends to `url`, which the registry may have named, and follows redirects.
    pub(super) async fn deliver_to(
        &self,
        url: Url,
        message: &Message<'_>,
        payload: Payload,
    ) -> Result<Delivery, ExchangeError> {
        self.deliver_from(self.home(), url, message, payload).await
    }

    async fn deliver_from(
        &self,
        home: &Url,
        mut url: Url,
        message: &Message<'_>,
        mut payload: Payload,
    ) -> Result<Delivery, ExchangeError> {
        let first = shown_url(&url);
        let mut at_home = true;
        for _ in 0..=MAX_REDIRECTS {
            at_home &= same_origin(home, &url);
            let mut headers = message.headers.clone();
            if let Some(authorization) = message.authorization.filter(|_| at_home) {
                headers.insert(AUTHORIZATION, authorization.clone());
            }
            let again = match &payload {
                Payload::Nothing => Some(Payload::Nothing),
                Payload::Bytes(bytes) => Some(Payload::Bytes(bytes.clone())),
                Payload::Stream { .. } => None,
            };
            let response = self.exchange(&url, message.method, headers, payload).await?;
            let reads = matches!(*message.method, Method::GET | Method::HEAD);
            match response.status().as_u16() {
                301..=303 if reads => {}
                307 | 308 => {}
                _ => return Ok(Delivery { response, url, at_home }),
            }
            url = target(&url, response.headers())?;
            payload = again.ok_or_else(|| ExchangeError::Moved(url.clone()))?;
        }
        let reason = format!("more than {MAX_REDIRECTS} redirects follow each other");
        Err(RefusedRedirect { url: first, reason }.into())
    }

    pub(super) async fn exchange(
        &self,
        url: &Url,
        method: &Method,
        mut headers: HeaderMap,
        payload: Payload,
    ) -> Result<Response, ExchangeError> {
        let client = self.client(url).await?;
        let mut request = client.request(method.clone(), url.clone()).map_err(RequestError::from)?;
        let mut taken = None;
        match payload {
            Payload::Nothing if matches!(*method, Method::GET | Method::HEAD) => {}
            // Some servers require the length of an empty body.
            Payload::Nothing => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            Payload::Bytes(bytes) => request = request.body(bytes),
            Payload::Stream { stream, length, taken: counter } => {
                if let Some(length) = length {
                    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
                }
                request = request.body(reqwest::Body::wrap_stream(stream));
                taken = Some(counter);
            }
        }
        let answer = self.watch(request.headers(headers).send(), taken).await;
        let failed = |reason: String| ExchangeError::Transient { url: shown_url(url), reason };
        match answer {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(match SendError::new(url, error) {
                SendError::Untrusted(untrusted) => RequestError::from(untrusted).into(),
                SendError::Forbidden(forbidden) => RequestError::from(forbidden).into(),
                SendError::Unsendable(reason) => RequestError::Answer { url: shown_url(url), reason }.into(),
                SendError::UnknownHost(reason) => {
                    RequestError::Transfer { url: shown_url(url), reason, attempts: 1 }.into()
                }
                SendError::Cut(reason) => failed(reason),
            }),
            Err(reason) => Err(failed(reason)),
        }
    }

    /// Waits for the response while the upload moves, and longer after its last byte.
    async fn watch<T>(
        &self,
        answer: impl Future<Output = T>,
        taken: Option<Arc<StreamPosition>>,
    ) -> Result<T, String> {
        let minimum = self.network.minimum_rate;
        let limit = match &taken {
            None => self.network.connect_timeout + self.network.read_timeout,
            Some(_) => self.network.read_timeout,
        };
        let count = || taken.as_ref().map_or(0, |taken| taken.bytes.load(Ordering::Relaxed));
        let ended = || taken.as_ref().is_some_and(|taken| taken.ended.load(Ordering::Relaxed));
        let is_hurried = || taken.as_ref().is_some_and(|taken| taken.is_hurried.load(Ordering::Relaxed));
        let is_patient = || ended() && !is_hurried();
        let (mut seen, mut silent) = (count(), 0);
        tokio::pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => return Ok(answer),
                () = tokio::time::sleep(limit) => {
                    let moved = count() - seen;
                    seen += moved;
                    silent = if moved == 0 { silent + 1 } else { 0 };
                    if silent >= if is_patient() { PATIENCE_AFTER_UPLOAD } else { 1 } {
                        return Err(response::silent(limit * silent));
                    }
                    if moved > 0 && !ended() && is_slow(minimum, moved, limit) {
                        return Err(too_slow(minimum));
                    }
                }
            }
        }
    }

    /// The client for `url`. Only this host may be unverified, not the target of a redirect.
    async fn client(&self, url: &Url) -> Result<&HttpClient, RequestError> {
        let usual = ClientSetup { limits_silence: false, ..ClientSetup::default() };
        let (cell, setup) = if url.scheme() == "http" && is_loopback(url) {
            (&*self.clients.loopback, ClientSetup { verified: false, proxied: false, ..usual })
        } else if self.settings.insecure && self.candidates.iter().any(|home| same_origin(home, url)) {
            (&self.clients.unverified, ClientSetup { verified: false, ..usual })
        } else {
            (&*self.clients.verified, usual)
        };
        Ok(cell.get_or_try_init(|| async { client(&self.network, setup) }).await?)
    }
}

/// Whether this is the answer of a TLS server to a request without TLS.
fn wants_tls(delivered: &Delivery) -> bool {
    let response = &delivered.response;
    let is_registry = response.headers().contains_key("docker-distribution-api-version");
    response.status() == StatusCode::BAD_REQUEST && (response.version() == Version::HTTP_10 || !is_registry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(name: &str, insecure: bool) -> Vec<String> {
        let own = HostSettings { insecure, ..HostSettings::default() };
        let settings =
            RegistrySettings { hosts: [(name.to_owned(), own)].into(), ..RegistrySettings::default() };
        let (one, two) = (SharedClient::default(), SharedClient::default());
        let host =
            Host::new(name, &settings, &one, &two, &Events::silent()).map_err(|error| error.to_string());
        host.expect("an address").candidates.iter().map(Url::to_string).collect()
    }

    #[test]
    fn plain_http_is_for_this_machine_and_for_whom_the_user_names() {
        assert_eq!(candidates("docker.io", false), ["https://registry-1.docker.io/"]);
        assert_eq!(candidates("r.example:5000", false), ["https://r.example:5000/"]);
        assert_eq!(candidates("r.example:5000", true), ["https://r.example:5000/", "http://r.example:5000/"]);
        for local in ["localhost:5000", "127.0.0.1:5000", "[::1]:5000"] {
            assert_eq!(candidates(local, false), [format!("http://{local}/"), format!("https://{local}/")]);
        }
        let settings = RegistrySettings::default();
        let client = SharedClient::default();
        assert!(Host::new("r.example:99999", &settings, &client, &client, &Events::silent()).is_err());
    }
}
