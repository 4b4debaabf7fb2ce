//! Owns one registry as it is reached: its addresses, its clients, and one request to it.
//!
//! One HTTP exchange at a time is made here; `request.rs` repeats it. Credentials go along only to the very scheme,
//! host and port they are for. Must not know what is asked for.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use reqwest::{Client, Response};
use tokio::sync::{Mutex, OnceCell};
use url::Url;

use super::auth::Authority;
use super::error::RequestError;
use super::response::silent;
use super::settings::{HostSettings, RegistrySettings};
use crate::events::Events;
use crate::image::BlobStream;
use crate::network::{
    ClientSetup, MAX_REDIRECTS, NetworkOptions, RefusedRedirect, SendError, client, is_loopback, same_origin,
    shown_url, target,
};

/// How many times longer than usual a registry may think over a finished upload: some copy or verify it then.
const PATIENCE_AFTER_UPLOAD: u32 = 10;

/// A registry.
pub(super) struct Host {
    /// `host[:port]`, as image names have it.
    pub(super) name: String,
    pub(super) settings: HostSettings,
    pub(super) network: NetworkOptions,
    /// As [`RegistrySettings::read_ahead_after`].
    pub(super) read_ahead_after: Duration,
    pub(super) authority: Mutex<Authority>,
    pub(super) events: Events,
    /// Where it may be, in the order in which that is tried.
    candidates: Vec<Url>,
    /// Which of them it is.
    settled: OnceLock<usize>,
    clients: Clients,
}

/// The pool for all hosts that have no certificates of their own; made when it is needed.
pub(super) type SharedClient = Arc<OnceCell<Client>>;

struct Clients {
    /// For plain HTTP on this machine: reads no certificates and knows no proxy.
    loopback: SharedClient,
    verified: SharedClient,
    /// For this host alone.
    unverified: OnceCell<Client>,
}

/// What a request carries.
pub(super) enum Payload {
    /// Nothing.
    Nothing,
    /// These bytes, which can be sent again.
    Bytes(Bytes),
    /// What comes, once.
    Stream {
        /// The bytes.
        stream: BlobStream,
        /// How many there are, if that is known.
        length: Option<u64>,
        /// How far it is.
        taken: Arc<Taken>,
    },
}

/// How far a stream is.
#[derive(Default)]
pub(super) struct Taken {
    /// How many bytes were taken from it.
    pub(super) bytes: AtomicU64,
    /// Whether these were all.
    pub(super) ended: AtomicBool,
}

/// One request.
pub(super) struct Message<'a> {
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    pub(super) authorization: Option<&'a HeaderValue>,
}

/// An answer and where it came from.
pub(super) struct Delivered {
    pub(super) response: Response,
    pub(super) url: Url,
    /// Whether the registry itself answered, and not another host it led to.
    pub(super) at_home: bool,
}

/// Why an exchange failed.
pub(super) enum Failed {
    /// Trying again may help.
    Passing {
        url: String,
        /// What happened.
        reason: String,
    },
    /// What was streamed has to go elsewhere.
    Moved(Url),
    /// What was streamed was not taken without a new proof, which there is now.
    Challenged,
    /// Trying again will not help.
    Final(RequestError),
}

impl<E: Into<RequestError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Final(error.into())
    }
}

impl Host {
    /// Prepares to reach `name`; contacts nobody.
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
                reason: format!("this is no address of a registry: {error}"),
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

    /// Its root, as far as it is known by now.
    pub(super) fn home(&self) -> &Url {
        &self.candidates[self.settled.get().copied().unwrap_or_default()]
    }

    /// How long it may be silent.
    pub(super) fn silence(&self) -> Duration {
        self.network.read_timeout
    }

    /// Sends to `path` on the registry, following redirects. Finds out where the registry is, if that is not known.
    pub(super) async fn deliver(
        &self,
        path: &str,
        message: &Message<'_>,
        body: Option<&Bytes>,
    ) -> Result<Delivered, Failed> {
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
                // What servers that speak TLS say to those who don't.
                Ok(delivered) if !is_last && wants_tls(&delivered) => odd = Some(delivered),
                Ok(delivered) => {
                    // If a parallel request was faster, it found the same.
                    let _ = self.settled.set(index);
                    return Ok(delivered);
                }
                // That a certificate is not trusted says more than that there was no plain HTTP.
                Err(failed @ Failed::Final(RequestError::Untrusted(_))) => first = Some(failed),
                Err(failed) => {
                    first.get_or_insert(failed);
                }
            }
        }
        let silent = || Failed::Passing { url: self.name.clone(), reason: "it does not answer".into() };
        match (odd, first) {
            (_, Some(untrusted @ Failed::Final(RequestError::Untrusted(_)))) => Err(untrusted),
            // There was no TLS either, so this was its answer.
            (Some(delivered), _) => Ok(delivered),
            (None, failed) => Err(failed.unwrap_or_else(silent)),
        }
    }

    /// Sends to `url`, which the registry may have named; following redirects.
    pub(super) async fn deliver_to(
        &self,
        url: Url,
        message: &Message<'_>,
        payload: Payload,
    ) -> Result<Delivered, Failed> {
        self.deliver_from(self.home(), url, message, payload).await
    }

    async fn deliver_from(
        &self,
        home: &Url,
        mut url: Url,
        message: &Message<'_>,
        mut payload: Payload,
    ) -> Result<Delivered, Failed> {
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
                _ => return Ok(Delivered { response, url, at_home }),
            }
            url = target(&url, response.headers())?;
            payload = again.ok_or_else(|| Failed::Moved(url.clone()))?;
        }
        let reason = format!("there are more than {MAX_REDIRECTS} of them");
        Err(RefusedRedirect { url: first, reason }.into())
    }

    /// One request, one answer.
    pub(super) async fn exchange(
        &self,
        url: &Url,
        method: &Method,
        mut headers: HeaderMap,
        payload: Payload,
    ) -> Result<Response, Failed> {
        let client = self.client(url).await?;
        let mut request = client.request(method.clone(), url.clone());
        let mut taken = None;
        match payload {
            Payload::Nothing if matches!(*method, Method::GET | Method::HEAD) => {}
            // Some servers want to be told that there is nothing.
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
        let failed = |reason: String| Failed::Passing { url: shown_url(url), reason };
        match answer {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(match SendError::new(url, error) {
                SendError::Untrusted(untrusted) => RequestError::from(untrusted).into(),
                SendError::Unsendable(reason) => RequestError::Answer { url: shown_url(url), reason }.into(),
                SendError::Cut(reason) => failed(reason),
            }),
            Err(silence) => Err(failed(silent(silence))),
        }
    }

    /// Waits for the answer as long as the upload moves, and longer once all of it is sent.
    async fn watch<T>(
        &self,
        answer: impl Future<Output = T>,
        taken: Option<Arc<Taken>>,
    ) -> Result<T, Duration> {
        let limit = match &taken {
            None => self.network.connect_timeout + self.network.read_timeout,
            Some(_) => self.network.read_timeout,
        };
        let count = || taken.as_ref().map_or(0, |taken| taken.bytes.load(Ordering::Relaxed));
        let ended = || taken.as_ref().is_some_and(|taken| taken.ended.load(Ordering::Relaxed));
        let (mut seen, mut silent) = (count(), 0);
        tokio::pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => return Ok(answer),
                () = tokio::time::sleep(limit) => {
                    silent = if count() == seen { silent + 1 } else { 0 };
                    seen = count();
                    if silent >= if ended() { PATIENCE_AFTER_UPLOAD } else { 1 } {
                        return Err(limit * silent);
                    }
                }
            }
        }
    }

    /// The client for `url`. Only this host may go unverified, not one that it leads to.
    async fn client(&self, url: &Url) -> Result<&Client, RequestError> {
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

/// Whether this is what a server answers that was spoken to without TLS and speaks nothing else.
fn wants_tls(delivered: &Delivered) -> bool {
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
