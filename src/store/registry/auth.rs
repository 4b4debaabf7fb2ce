//! Owns the authentication at a registry: its challenge, the valid tokens, the credentials.
//!
//! Must not send a secret to any other server. Credentials go to the registry, and to the token service that it names,
//! if that uses TLS or is as unprotected as the registry itself.
//!
//! Source: the distribution project's "Token Authentication Specification" and "OAuth2 Token Authentication".

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded;

use super::challenge::Challenge;
use super::error::{Identity, RequestError};
use super::host::{ExchangeError, Host, Payload};
use super::response::{BodyError, message, read_body};
use crate::network::{Retries, is_loopback, may_pass, retry_after, same_origin, shown_url};
use crate::store::credentials::{Credentials, CredentialsError, find_credentials};

/// Largest answer of a token service, in bytes.
const MAXIMUM_TOKEN: u64 = 1 << 20;

/// Life of a token if its service does not say, in seconds ("Token Authentication Specification").
const DEFAULT_LIFE: u64 = 60;

const MAXIMUM_TOKENS: usize = 256;

/// The `client_id` of b2i at token services.
const CLIENT: &str = "b2i";

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope {
    repository: String,
    push: bool,
}

impl Scope {
    pub(super) fn pull(repository: &str) -> Self {
        Self { repository: repository.to_owned(), push: false }
    }

    pub(super) fn push(repository: &str) -> Self {
        Self { repository: repository.to_owned(), push: true }
    }

    fn covers(&self, other: &Self) -> bool {
        self.repository == other.repository && (self.push || !other.push)
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let actions = if self.push { "pull,push" } else { "pull" };
        write!(formatter, "repository:{}:{actions}", self.repository)
    }
}

/// A header value, and the owner of the credentials in it.
#[derive(Clone)]
pub(super) struct Authorization {
    pub(super) value: HeaderValue,
    pub(super) identity: Identity,
}

pub(super) struct Authority {
    files: Vec<PathBuf>,
    challenge: Option<Challenge>,
    /// By repository; the empty name stands for the registry.
    credentials: HashMap<String, Option<Login>>,
    tokens: Vec<Token>,
}

#[derive(Clone)]
struct Login {
    credentials: Credentials,
    identity: Identity,
}

struct Token {
    scopes: BTreeSet<Scope>,
    authorization: Authorization,
    until: Instant,
}

impl Authority {
    pub(super) fn new(files: Vec<PathBuf>) -> Self {
        Self { files, challenge: None, credentials: HashMap::new(), tokens: Vec::new() }
    }

    /// Uses these credentials for requests to the registry itself, even if the credential files contain others.
    pub(super) fn log_in(&mut self, credentials: &Credentials) {
        let found = Login { credentials: credentials.clone(), identity: Identity::New };
        self.credentials.insert(String::new(), Some(found));
    }

    pub(super) fn was_challenged(&self) -> bool {
        self.challenge.is_some()
    }

    async fn find(&mut self, registry: &str, repository: &str) -> Result<Option<Login>, CredentialsError> {
        if let Some(known) = self.credentials.get(repository) {
            return Ok(known.clone());
        }
        let mut found = None;
        for file in &self.files {
            if let Some(credentials) =
                find_credentials(registry, Some(repository), std::slice::from_ref(file)).await?
            {
                found = Some(Login { credentials, identity: Identity::File(file.display().to_string()) });
                break;
            }
        }
        self.credentials.insert(repository.to_owned(), found.clone());
        Ok(found)
    }
}

impl Host {
    pub(super) async fn challenged(&self, challenge: Challenge) {
        self.authority.lock().await.challenge = Some(challenge);
    }

    /// The header for `scopes`, if the registry has sent a challenge. A `rejected` value is not sent again.
    pub(super) async fn authorization(
        &self,
        scopes: &[Scope],
        rejected: Option<&HeaderValue>,
    ) -> Result<Option<Authorization>, RequestError> {
        // Locked while a token is fetched: parallel requests fetch one token.
        let mut authority = self.authority.lock().await;
        let Some(challenge) = authority.challenge.clone() else { return Ok(None) };
        let repository = scopes.first().map_or("", |scope| &scope.repository);
        match challenge {
            Challenge::Basic => {
                let Some(found) = authority.find(&self.name, repository).await? else { return Ok(None) };
                let value = basic(&found.credentials, &self.name)?;
                Ok((rejected != Some(&value)).then_some(Authorization { value, identity: found.identity }))
            }
            Challenge::Bearer { realm, service } => {
                authority.tokens.retain(|token| {
                    token.until > Instant::now() && rejected != Some(&token.authorization.value)
                });
                let covered = |token: &&Token| {
                    scopes.iter().all(|scope| token.scopes.iter().any(|known| known.covers(scope)))
                };
                if let Some(token) = authority.tokens.iter().find(covered) {
                    return Ok(Some(token.authorization.clone()));
                }
                let found = authority.find(&self.name, repository).await?;
                let token = self.fetch_token(&realm, service.as_deref(), scopes, found).await?;
                let authorization = token.authorization.clone();
                if authority.tokens.len() >= MAXIMUM_TOKENS {
                    authority.tokens.clear();
                }
                authority.tokens.push(token);
                Ok(Some(authorization))
            }
        }
    }

    async fn fetch_token(
        &self,
        realm: &str,
        service: Option<&str>,
        scopes: &[Scope],
        found: Option<Login>,
    ) -> Result<Token, RequestError> {
        let realm = self.realm(realm)?;
        let identity = found.as_ref().map_or(Identity::Anonymous, |found| found.identity.clone());
        let failed = |refused: bool, reason: String| RequestError::Token {
            registry: self.name.clone(),
            realm: shown_url(&realm),
            reason,
            refused,
            identity: identity.clone(),
        };
        let request = token_request(&realm, service, scopes, found.as_ref(), &self.name)?;
        let (method, url, headers, form) = request;
        let mut retries = Retries::new(self.network.retries, self.network.retry_pause);
        loop {
            let payload = form.clone().map_or(Payload::Nothing, Payload::Bytes);
            let sent = self.exchange(&url, &method, headers.clone(), payload).await;
            let (reason, after) = match sent {
                Ok(response) if response.status().is_success() => {
                    let body = read_body(response, MAXIMUM_TOKEN, self.silence()).await;
                    let body = body.map_err(|error| match error {
                        BodyError::TooLong => failed(false, "sent a response that is too long".into()),
                        BodyError::Transfer(reason) => failed(false, format!("cannot be read: {reason}")),
                    })?;
                    let token = token(&body, &identity, scopes);
                    return token.ok_or_else(|| failed(false, "sent a response without a token".into()));
                }
                Ok(response) => {
                    let status = response.status();
                    let after = retry_after(response.headers(), jiff::Timestamp::now());
                    let said = message(response, self.silence()).await;
                    let said = said.map(|text| format!(": {text}")).unwrap_or_default();
                    let reason = format!("answered {status}{said}");
                    if !may_pass(status) {
                        return Err(failed(status.is_client_error(), reason));
                    }
                    (reason, after)
                }
                Err(ExchangeError::Transient { reason, .. }) => {
                    (format!("cannot be reached: {reason}"), None)
                }
                Err(ExchangeError::Final(error)) => return Err(error),
                Err(ExchangeError::Moved(_) | ExchangeError::Challenged) => {
                    return Err(failed(false, "redirects to another server".into()));
                }
            };
            let Some(pause) = retries.next(after) else { return Err(failed(false, reason)) };
            tokio::time::sleep(pause).await;
        }
    }

    /// Checks that credentials may go to the registry's token service.
    fn realm(&self, realm: &str) -> Result<Url, RequestError> {
        let refused = |reason: String| RequestError::Challenge { registry: self.name.clone(), reason };
        let url =
            Url::parse(realm).map_err(|error| refused(format!("its token service is not a URL: {error}")))?;
        let home = self.home();
        let as_open =
            home.scheme() == "http" && (same_origin(home, &url) || is_loopback(home) && is_loopback(&url));
        let has_user = !url.username().is_empty() || url.password().is_some();
        match url.scheme() {
            "https" | "http" if has_user || !url.has_host() => {
                Err(refused("its token service's URL has a user name or no host".into()))
            }
            "https" => Ok(url),
            "http" if as_open => Ok(url),
            _ => Err(refused(format!("its token service `{}` does not use TLS", shown_url(&url)))),
        }
    }
}

/// The method, URL, headers and body of a request to a token service.
fn token_request(
    realm: &Url,
    service: Option<&str>,
    scopes: &[Scope],
    found: Option<&Login>,
    registry: &str,
) -> Result<(Method, Url, HeaderMap, Option<Bytes>), RequestError> {
    let mut headers = HeaderMap::new();
    if let Some(identity) = found.and_then(|found| found.credentials.identity_token.as_deref()) {
        let mut form = form_urlencoded::Serializer::new(String::new());
        let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        form.append_pair("grant_type", "refresh_token")
            .append_pair("service", service.unwrap_or_default())
            .append_pair("client_id", CLIENT)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("refresh_token", identity);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        return Ok((Method::POST, realm.clone(), headers, Some(form.finish().into())));
    }
    let mut url = realm.clone();
    {
        let mut query = url.query_pairs_mut();
        query.extend_pairs(service.map(|service| ("service", service)));
        query.extend_pairs(scopes.iter().map(|scope| ("scope", scope.to_string())));
    }
    if let Some(found) = found {
        headers.insert(AUTHORIZATION, basic(&found.credentials, registry)?);
    }
    Ok((Method::GET, url, headers, None))
}

fn token(body: &[u8], identity: &Identity, scopes: &[Scope]) -> Option<Token> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        token: String,
        #[serde(default)]
        access_token: String,
        #[serde(default)]
        expires_in: Option<u64>,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let text = if answer.token.is_empty() { answer.access_token } else { answer.token };
    if text.is_empty() {
        return None;
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {text}")).ok()?;
    value.set_sensitive(true);
    // A token counts as expired a tenth early: clocks differ, and requests take time.
    let life =
        Duration::from_secs(answer.expires_in.filter(|life| *life > 0).unwrap_or(DEFAULT_LIFE).min(86_400));
    Some(Token {
        scopes: scopes.iter().cloned().collect(),
        authorization: Authorization { value, identity: identity.clone() },
        until: Instant::now() + life.mul_f64(0.9),
    })
}

/// RFC 7617, section 2.
fn basic(credentials: &Credentials, registry: &str) -> Result<HeaderValue, RequestError> {
    let Credentials { username, password, .. } = credentials;
    let text = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
    let mut value = HeaderValue::from_str(&text).map_err(|_| RequestError::Challenge {
        registry: registry.to_owned(),
        reason: "the credentials contain characters that a header cannot".into(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_covers_what_it_was_given_for_and_less() {
        let (pull, push, other) = (Scope::pull("a/b"), Scope::push("a/b"), Scope::pull("a"));
        assert_eq!(
            (pull.to_string(), push.to_string()),
            ("repository:a/b:pull".into(), "repository:a/b:pull,push".into())
        );
        assert!(push.covers(&pull) && push.covers(&push) && !pull.covers(&push) && !push.covers(&other));
    }

    #[test]
    fn tokens_are_read_in_both_forms_and_expire() {
        let scopes = [Scope::pull("a")];
        let read = |text: &str| token(text.as_bytes(), &Identity::Anonymous, &scopes);
        let value =
            |text| read(text).map(|token| token.authorization.value.to_str().expect("text").to_owned());
        assert_eq!(value(r#"{"token":"t","access_token":"u"}"#).as_deref(), Some("Bearer t"));
        assert_eq!(value(r#"{"access_token":"u"}"#).as_deref(), Some("Bearer u"));
        for text in ["", "{}", r#"{"token":""}"#, r#"{"token":"a\nb"}"#, r#"{"token":3}"#] {
            assert_eq!(value(text), None, "{text}");
        }
        let token = read(r#"{"token":"secret","expires_in":100}"#).expect("a token");
        assert!(token.until <= Instant::now() + Duration::from_secs(90));
        assert!(!format!("{:?}", token.authorization.value).contains("secret"));
        assert!(read(r#"{"token":"t","expires_in":18446744073709551615}"#).is_some());
    }
}
