//! Owns the decision whether a redirect is followed. Must not send a request.

use http::HeaderMap;
use http::header::LOCATION;
use url::Url;

use super::shown_url;

pub(crate) const MAX_REDIRECTS: usize = 10;

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the redirect of `{url}` is not followed: {reason}")]
pub struct RefusedRedirect {
    pub(crate) url: String,
    pub(crate) reason: String,
}

/// The target in the headers of the response from `current`.
pub(crate) fn target(current: &Url, headers: &HeaderMap) -> Result<Url, RefusedRedirect> {
    let refuse = |reason: String| RefusedRedirect { url: shown_url(current), reason };
    let location = headers.get(LOCATION).ok_or_else(|| refuse("it has no target".to_owned()))?;
    let location =
        std::str::from_utf8(location.as_bytes()).map_err(|_| refuse("its target is not UTF-8".to_owned()))?;
    let mut next =
        current.join(location).map_err(|error| refuse(format!("its target is not a URL: {error}")))?;
    match (current.scheme(), next.scheme()) {
        ("https", "http") => {
            return Err(refuse(format!("it leads from https to unencrypted http (`{}`)", shown_url(&next))));
        }
        (_, "http" | "https") if next.has_host() => {}
        (_, other) => return Err(refuse(format!("its target has the scheme `{other}`"))),
    }
    // Credentials in a redirect come from the server, not from the user.
    if next.set_username("").and_then(|()| next.set_password(None)).is_err() {
        return Err(refuse("its target has no host".to_owned()));
    }
    next.set_fragment(None);
    Ok(next)
}

pub(crate) fn same_origin(one: &Url, two: &Url) -> bool {
    one.scheme() == two.scheme()
        && one.host() == two.host()
        && one.port_or_known_default() == two.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn follow(from: &str, location: &str) -> Result<String, String> {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_bytes(location.as_bytes()).expect("valid"));
        let target = target(&Url::parse(from).expect("valid"), &headers);
        target.map(|url| url.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn follows_relative_and_absolute_targets() {
        assert_eq!(follow("https://h/a/b", "../c?d#e"), Ok("https://h/c?d".to_owned()));
        assert_eq!(follow("http://h/a", "https://other/"), Ok("https://other/".to_owned()));
        assert_eq!(follow("https://h/a", "//other/x"), Ok("https://other/x".to_owned()));
        assert_eq!(follow("https://h/a", "https://u:p@other/x"), Ok("https://other/x".to_owned()));
    }

    #[test]
    fn refuses_to_lose_protection_or_to_leave_http() {
        for location in ["http://h/a", "file:///etc/passwd", "ftp://h/", "data:,x", "https://["] {
            let error = follow("https://user:secret@h/a?secret", location).expect_err(location);
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same = |one: &str, two: &str| {
            same_origin(&Url::parse(one).expect("valid"), &Url::parse(two).expect("valid"))
        };
        assert!(same("https://h/a", "https://H:443/b"));
        assert!(!same("https://h/", "https://h:8443/"));
        assert!(!same("http://h/", "https://h/"));
        assert!(!same("https://h/", "https://h.evil/"));
    }
}
