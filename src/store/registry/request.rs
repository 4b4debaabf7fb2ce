//! Owns requests to a registry: retries, and the answer to a challenge. Must not repeat a stream; `upload.rs` does that.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::Response;
use url::Url;

use super::auth::{Authorization, Scope};
use super::challenge;
use super::error::{Identity, RequestError};
use super::host::{Delivery, ExchangeError, Host, Message, Payload};
use super::response::{BodyError, message, read_body};
use crate::network::{Retries, may_pass, retry_after, shown_url};

/// The challenges of one request: one before it had credentials, one because a token expired. The next one is final.
const MAXIMUM_CHALLENGES: u32 = 2;

#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Relative to the registry's root.
    pub(super) path: String,
    pub(super) scopes: Vec<Scope>,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

pub(super) struct Answer {
    pub(super) response: Response,
    pub(super) url: Url,
    method: Method,
    identity: Identity,
    attempts: u32,
    host: Arc<Host>,
}

impl Call {
    pub(super) fn new(method: Method, path: impl Into<String>, scopes: Vec<Scope>) -> Self {
        Self { method, path: path.into(), scopes, headers: HeaderMap::new(), body: None }
    }

    pub(super) fn header(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    async fn deliver(&self, host: &Host, shown: Option<&Authorization>) -> Result<Delivery, ExchangeError> {
        let authorization = shown.map(|shown| &shown.value);
        let message = Message { method: &self.method, headers: &self.headers, authorization };
        host.deliver(&self.path, &message, self.body.as_ref()).await
    }
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Returns the response if it has one of these statuses, else the registry's error.
    pub(super) async fn expect(self, statuses: &[StatusCode]) -> Result<Self, RequestError> {
        if statuses.contains(&self.status()) { Ok(self) } else { Err(self.into_error().await) }
    }

    pub(super) async fn into_error(self) -> RequestError {
        let (method, url, status) = (self.method.clone(), shown_url(&self.url), self.status());
        let (identity, attempts) = (self.identity.clone(), self.attempts);
        let said = message(self.response, self.host.silence()).await;
        RequestError::Status { method, url, status, said, identity, attempts }
    }
}

/// Sends `call`, and retries it after temporary failures.
pub(super) async fn send(host: &Arc<Host>, call: &Call) -> Result<Answer, RequestError> {
    let mut retries = host.retries();
    send_with(host, call, &mut retries).await
}

/// Sends `call` once, for a request that is not necessary. Returns a success only; fetches no further token.
pub(super) async fn send_once(host: &Arc<Host>, call: &Call) -> Option<Answer> {
    let authorization = Proof::default().next(host, &call.scopes).await.ok()?;
    let delivered = call.deliver(host, authorization.as_ref()).await.ok()?;
    let is_success = delivered.response.status().is_success();
    is_success.then(|| answer(host, &call.method, delivered, authorization, 1))
}

/// Sends `call` and reads the body of its response, and retries both. Another status than `expected` is an error.
pub(super) async fn send_and_read(
    host: &Arc<Host>,
    call: &Call,
    expected: StatusCode,
    maximum: u64,
) -> Result<(HeaderMap, Vec<u8>), RequestError> {
    let mut retries = host.retries();
    loop {
        let answer = send_with(host, call, &mut retries).await?.expect(&[expected]).await?;
        let headers = answer.response.headers().clone();
        let url = shown_url(&answer.url);
        match read_body(answer.response, maximum, host.silence()).await {
            Ok(bytes) => return Ok((headers, bytes)),
            Err(BodyError::TooLong) => {
                let reason = format!("it has more than {maximum} bytes");
                return Err(RequestError::Answer { url, reason });
            }
            Err(BodyError::Transfer(reason)) => host.pause(&mut retries, &url, reason, None).await?,
        }
    }
}

async fn send_with(host: &Arc<Host>, call: &Call, retries: &mut Retries) -> Result<Answer, RequestError> {
    let mut proof = Proof::default();
    loop {
        let authorization = proof.next(host, &call.scopes).await?;
        let delivered = call.deliver(host, authorization.as_ref()).await;
        match delivered {
            Ok(delivered) if proof.is_challenge(&delivered) => {
                proof.challenged(host, delivered, authorization).await?;
            }
            Ok(delivered) if may_pass(delivered.response.status()) => {
                let after = retry_after(delivered.response.headers(), jiff::Timestamp::now());
                let (url, status) = (shown_url(&delivered.url), delivered.response.status());
                let answer = answer(host, &call.method, delivered, authorization, retries.attempts);
                let Some(pause) = retries.next(after) else { return Err(answer.into_error().await) };
                host.wait(&url, &format!("the registry answered {status}"), pause).await;
            }
            Ok(delivered) => return Ok(answer(host, &call.method, delivered, authorization, 1)),
            Err(ExchangeError::Final(error)) => return Err(error),
            Err(ExchangeError::Transient { url, reason }) => host.pause(retries, &url, reason, None).await?,
            // Only a stream ends like this.
            Err(ExchangeError::Moved(_) | ExchangeError::Challenged) => {
                let (url, reason) = (host.name.clone(), "it redirects again".to_owned());
                return Err(RequestError::Answer { url, reason });
            }
        }
    }
}

pub(super) async fn send_stream(
    host: &Arc<Host>,
    method: Method,
    url: Url,
    scopes: &[Scope],
    headers: &HeaderMap,
    payload: Payload,
    proof: &mut Proof,
) -> Result<Answer, ExchangeError> {
    let authorization = proof.next(host, scopes).await?;
    let value = authorization.as_ref().map(|shown| &shown.value);
    let message = Message { method: &method, headers, authorization: value };
    let delivered = host.deliver_to(url, &message, payload).await?;
    if proof.is_challenge(&delivered) {
        proof.challenged(host, delivered, authorization).await?;
        return Err(ExchangeError::Challenged);
    }
    Ok(answer(host, &method, delivered, authorization, 1))
}

fn answer(
    host: &Arc<Host>,
    method: &Method,
    delivered: Delivery,
    authorization: Option<Authorization>,
    attempts: u32,
) -> Answer {
    let identity = match authorization {
        Some(shown) if delivered.at_home => shown.identity,
        _ => Identity::Anonymous,
    };
    let Delivery { response, url, .. } = delivered;
    Answer { response, url, method: method.clone(), identity, attempts, host: host.clone() }
}

/// The credentials that one request and its repetitions have sent.
#[derive(Default)]
pub(super) struct Proof {
    challenges: u32,
    rejected: Option<HeaderValue>,
}

impl Proof {
    async fn next(&self, host: &Host, scopes: &[Scope]) -> Result<Option<Authorization>, RequestError> {
        host.authorization(scopes, self.rejected.as_ref()).await
    }

    fn is_challenge(&self, delivered: &Delivery) -> bool {
        delivered.at_home && delivered.response.status() == StatusCode::UNAUTHORIZED
    }

    /// Learns from a challenge which credentials to send. Fails if the registry has rejected them all.
    async fn challenged(
        &mut self,
        host: &Host,
        delivered: Delivery,
        shown: Option<Authorization>,
    ) -> Result<(), RequestError> {
        let challenge = challenge::parse(delivered.response.headers());
        let identity = shown.as_ref().map_or(Identity::Anonymous, |shown| shown.identity.clone());
        let said = message(delivered.response, host.silence()).await;
        let refused = |identity| RequestError::Unauthorized { registry: host.name.clone(), said, identity };
        let challenge = match challenge {
            Ok(challenge) => challenge,
            Err(_) if shown.is_some() => return Err(refused(identity)),
            Err(reason) => return Err(RequestError::Challenge { registry: host.name.clone(), reason }),
        };
        let had_been_asked = shown.is_some() || self.rejected.is_some() || self.challenges > 0;
        let is_basic = challenge == challenge::Challenge::Basic;
        self.challenges += 1;
        self.rejected = shown.map(|shown| shown.value);
        if self.challenges > MAXIMUM_CHALLENGES || is_basic && had_been_asked {
            return Err(refused(identity));
        }
        host.challenged(challenge).await;
        Ok(())
    }
}

impl Host {
    pub(super) fn retries(&self) -> Retries {
        Retries::new(self.network.retries, self.network.retry_pause)
    }

    /// Waits before the next attempt. Fails after the last one.
    pub(super) async fn pause(
        &self,
        retries: &mut Retries,
        url: &str,
        reason: String,
        after: Option<std::time::Duration>,
    ) -> Result<(), RequestError> {
        let attempts = retries.attempts;
        let Some(pause) = retries.next(after) else {
            return Err(RequestError::Transfer { url: url.to_owned(), reason, attempts });
        };
        self.wait(url, &reason, pause).await;
        Ok(())
    }

    async fn wait(&self, url: &str, reason: &str, pause: std::time::Duration) {
        self.events.note(format!("`{url}`: {reason}; retrying in {:.1} s", pause.as_secs_f64()));
        tokio::time::sleep(pause).await;
    }
}
