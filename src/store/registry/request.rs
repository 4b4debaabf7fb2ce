//! Owns asking a registry until it answers: tries again what may pass, shows what it wants to see.
//!
//! What was streamed cannot be sent again here; `upload.rs` does that. Must not know what is asked for.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::Response;
use url::Url;

use super::auth::{Authorization, Scope};
use super::challenge;
use super::error::{Identity, RequestError};
use super::host::{Delivered, Failed, Host, Message, Payload};
use super::response::{BodyError, message, read_body};
use crate::network::{Retries, may_pass, retry_after, shown_url};

/// How often a registry may say that it does not know who asks, for one request: once before it was shown anything,
/// once because a token had expired, and then it means it.
const MAXIMUM_CHALLENGES: u32 = 2;

/// A request that can be sent again.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Below the registry's root.
    pub(super) path: String,
    pub(super) scopes: Vec<Scope>,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

/// The last answer to a request.
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

    pub(super) fn body(mut self, body: Bytes) -> Self {
        self.body = Some(body);
        self
    }
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The answer if it has one of these statuses, else what the registry says instead.
    pub(super) async fn expect(self, statuses: &[StatusCode]) -> Result<Self, RequestError> {
        if statuses.contains(&self.status()) { Ok(self) } else { Err(self.into_error().await) }
    }

    /// What the registry says is wrong.
    pub(super) async fn into_error(self) -> RequestError {
        let (method, url, status) = (self.method.clone(), shown_url(&self.url), self.status());
        let (identity, attempts) = (self.identity.clone(), self.attempts);
        let said = message(self.response, self.host.silence()).await;
        RequestError::Status { method, url, status, said, identity, attempts }
    }

    /// The body, of at most `maximum` bytes.
    pub(super) async fn bytes(self, maximum: u64) -> Result<Vec<u8>, BodyFailed> {
        let url = shown_url(&self.url);
        read_body(self.response, maximum, self.host.silence()).await.map_err(|error| match error {
            BodyError::TooLong => {
                let reason = format!("it has more than {maximum} bytes");
                BodyFailed::Final(RequestError::Answer { url, reason })
            }
            BodyError::Transfer(reason) => BodyFailed::Cut { url, reason },
        })
    }
}

/// A body that could not be read.
pub(super) enum BodyFailed {
    /// It was cut; the whole request may be sent again.
    Cut {
        url: String,
        /// What happened.
        reason: String,
    },
    /// Trying again will not help.
    Final(RequestError),
}

/// Sends `call` until there is an answer that is no passing failure, or until that was tried often enough.
pub(super) async fn send(host: &Arc<Host>, call: &Call) -> Result<Answer, RequestError> {
    let mut retries = host.retries();
    send_with(host, call, &mut retries).await
}

/// Sends `call` once, for what can be done without: nothing but a success is an answer then. It shows what is known
/// already, repeats nothing, and so takes no token from who needs one more than it does.
pub(super) async fn send_once(host: &Arc<Host>, call: &Call) -> Option<Answer> {
    let authorization = Proof::default().next(host, &call.scopes).await.ok()?;
    let message = Message {
        method: &call.method,
        headers: &call.headers,
        authorization: authorization.as_ref().map(|shown| &shown.value),
    };
    let delivered = host.deliver(&call.path, &message, call.body.as_ref()).await.ok()?;
    let is_success = delivered.response.status().is_success();
    is_success.then(|| answer(host, call.method.clone(), delivered, authorization))
}

/// Sends `call` and reads the body of its answer, all of it again if it is cut. An answer with another status than
/// `expected` is an error.
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
        match answer.bytes(maximum).await {
            Ok(bytes) => return Ok((headers, bytes)),
            Err(BodyFailed::Final(error)) => return Err(error),
            Err(BodyFailed::Cut { url, reason }) => host.pause(&mut retries, &url, reason, None).await?,
        }
    }
}

async fn send_with(host: &Arc<Host>, call: &Call, retries: &mut Retries) -> Result<Answer, RequestError> {
    let mut proof = Proof::default();
    loop {
        let authorization = proof.next(host, &call.scopes).await?;
        let message = Message {
            method: &call.method,
            headers: &call.headers,
            authorization: authorization.as_ref().map(|shown| &shown.value),
        };
        let delivered = host.deliver(&call.path, &message, call.body.as_ref()).await;
        match delivered {
            Ok(delivered) if proof.is_challenge(&delivered) => {
                proof.challenged(host, delivered, authorization).await?;
            }
            Ok(delivered) if may_pass(delivered.response.status()) => {
                let after = retry_after(delivered.response.headers(), jiff::Timestamp::now());
                let (url, status) = (shown_url(&delivered.url), delivered.response.status());
                let mut answer = answer(host, call.method.clone(), delivered, authorization);
                answer.attempts = retries.attempts;
                let Some(pause) = retries.next(after) else { return Err(answer.into_error().await) };
                host.wait(&url, &format!("the registry answered {status}"), pause).await;
            }
            Ok(delivered) => {
                return Ok(answer(host, call.method.clone(), delivered, authorization));
            }
            Err(Failed::Final(error)) => return Err(error),
            Err(Failed::Passing { url, reason }) => host.pause(retries, &url, reason, None).await?,
            // Only what is streamed ends so.
            Err(Failed::Moved(_) | Failed::Challenged) => {
                let (url, reason) = (host.name.clone(), "it leads elsewhere again".to_owned());
                return Err(RequestError::Answer { url, reason });
            }
        }
    }
}

/// Sends a stream to `url`, once.
pub(super) async fn send_stream(
    host: &Arc<Host>,
    method: Method,
    url: Url,
    scopes: &[Scope],
    headers: &HeaderMap,
    payload: Payload,
    proof: &mut Proof,
) -> Result<Answer, Failed> {
    let authorization = proof.next(host, scopes).await?;
    let value = authorization.as_ref().map(|shown| &shown.value);
    let message = Message { method: &method, headers, authorization: value };
    let delivered = host.deliver_to(url, &message, payload).await?;
    if proof.is_challenge(&delivered) {
        proof.challenged(host, delivered, authorization).await?;
        return Err(Failed::Challenged);
    }
    Ok(answer(host, method, delivered, authorization))
}

fn answer(
    host: &Arc<Host>,
    method: Method,
    delivered: Delivered,
    authorization: Option<Authorization>,
) -> Answer {
    let identity = match authorization {
        Some(shown) if delivered.at_home => shown.identity,
        _ => Identity::Anonymous,
    };
    let Delivered { response, url, .. } = delivered;
    Answer { response, url, method, identity, attempts: 1, host: host.clone() }
}

/// What one request (and what follows from it) was shown so far.
#[derive(Default)]
pub(super) struct Proof {
    challenges: u32,
    rejected: Option<HeaderValue>,
}

impl Proof {
    async fn next(&self, host: &Host, scopes: &[Scope]) -> Result<Option<Authorization>, RequestError> {
        host.authorization(scopes, self.rejected.as_ref()).await
    }

    fn is_challenge(&self, delivered: &Delivered) -> bool {
        delivered.at_home && delivered.response.status() == StatusCode::UNAUTHORIZED
    }

    /// Learns from a refusal what the registry wants to see; an error if it has seen all that there is.
    async fn challenged(
        &mut self,
        host: &Host,
        delivered: Delivered,
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

    /// Waits before the next try; an error if there was the last one.
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
        self.events.note(format!("`{url}`: {reason}; trying again in {:.1} s", pause.as_secs_f64()));
        tokio::time::sleep(pause).await;
    }
}
