//! Owns the credentials of a download.
//! Must not send them to another scheme, host or port than those of the user's URL.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;
use url::Url;

use super::HttpOptions;
use super::error::HttpError;
use super::netrc;

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, to be sent and not shown.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// The headers that authenticate to one origin.
pub(super) struct Credentials(HeaderMap);

impl Credentials {
    /// Collects the headers for `url`. Precedence of `Authorization`: a header of the user, the bearer token, the user
    /// name in the URL, netrc.
    pub(super) fn gather(url: &Url, options: &HttpOptions) -> Result<Self, HttpError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &options.headers {
            let mut value = value.clone();
            value.set_sensitive(true);
            headers.append(name.clone(), value);
        }
        if !headers.contains_key(AUTHORIZATION)
            && let Some(authorization) = authorization(url, options)
        {
            let mut value = HeaderValue::from_str(&authorization).map_err(|_| HttpError::Unsendable)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Self(headers))
    }

    /// The headers; empty unless `trusted`.
    pub(super) fn headers(&self, trusted: bool) -> HeaderMap {
        if trusted { self.0.clone() } else { HeaderMap::new() }
    }

    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
    }
}

fn authorization(url: &Url, options: &HttpOptions) -> Option<String> {
    if let Some(token) = &options.bearer {
        return Some(format!("Bearer {}", token.expose()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        return Some(basic(&decode(url.username()), &decode(url.password().unwrap_or_default())));
    }
    let (netrc, host) = (options.netrc.as_ref()?, url.host_str()?);
    netrc::lookup(netrc.expose(), host).map(|(login, password)| basic(&login, &password))
}

/// RFC 7617, section 2.
fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorization_for(url: &str, options: &HttpOptions) -> Option<String> {
        let credentials = Credentials::gather(&Url::parse(url).expect("valid"), options).expect("gathers");
        assert!(!format!("{:?}", credentials.headers(true)).contains("secret"));
        assert!(credentials.headers(false).is_empty());
        let value = credentials.headers(true).get(AUTHORIZATION)?.to_str().expect("text").to_owned();
        Some(value)
    }

    #[test]
    fn the_nearest_source_counts() {
        let netrc = Secret::new("machine h login n password secret");
        let mut options = HttpOptions { netrc: Some(netrc), ..HttpOptions::default() };
        assert_eq!(authorization_for("https://other/", &options), None);
        assert_eq!(authorization_for("https://h/", &options), Some(basic("n", "secret")));
        assert_eq!(authorization_for("https://a%40b:p%3aw@h/", &options), Some(basic("a@b", "p:w")));
        options.bearer = Some(Secret::new("secret"));
        assert_eq!(authorization_for("https://u:p@h/", &options), Some("Bearer secret".to_owned()));
        options.headers.push((AUTHORIZATION, HeaderValue::from_static("token secret")));
        assert_eq!(authorization_for("https://u:p@h/", &options), Some("token secret".to_owned()));
        assert!(!format!("{options:?}").contains("secret"));
    }
}
