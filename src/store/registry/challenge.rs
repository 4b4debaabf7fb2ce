//! Owns reading `WWW-Authenticate`: the authentication that a registry requires. Must not send requests.
//!
//! Source: RFC 9110, section 11.6.1; the distribution project's "Token Authentication Specification". `http-auth` 0.1 was
//! weighed: it stops at the first syntax error, such as a value without quotes that contains `/`.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

const MAXIMUM: usize = 8 << 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    /// A token of the service at the URL `realm`, which knows the registry as `service`.
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

/// Finds a challenge that b2i supports, first one for a token. The error lists the other schemes.
pub(super) fn parse(headers: &HeaderMap) -> Result<Challenge, String> {
    let mut schemes = Vec::new();
    let mut found = None;
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let Ok(text) = value.to_str() else { continue };
        for (scheme, parameters) in split(&text[..text.len().min(MAXIMUM)]) {
            let parameter = |name: &str| {
                parameters
                    .iter()
                    .find(|(known, _)| known.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = parameter("realm").filter(|realm| !realm.is_empty())
            {
                return Ok(Challenge::Bearer { realm, service: parameter("service") });
            }
            if scheme.eq_ignore_ascii_case("basic") {
                found = Some(Challenge::Basic);
            }
            schemes.push(super::response::shown(&scheme));
        }
    }
    found.ok_or_else(|| match schemes.as_slice() {
        [] => "it names no scheme".to_owned(),
        schemes => format!("`{}`", schemes.join("`, `")),
    })
}

type Parameters = Vec<(String, String)>;

/// Splits `scheme name="value", name=value, scheme …`.
fn split(text: &str) -> Vec<(String, Parameters)> {
    let mut challenges: Vec<(String, Parameters)> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            return challenges;
        }
        let value = after.trim_start_matches([' ', '\t']).strip_prefix('=');
        match (value, challenges.last_mut()) {
            (Some(value), Some((_, parameters))) => {
                let (value, after) = take_value(value.trim_start_matches([' ', '\t']));
                parameters.push((word.to_owned(), value));
                rest = after;
            }
            // A parameter without a scheme.
            (Some(_), None) => return challenges,
            (None, _) => {
                challenges.push((word.to_owned(), Vec::new()));
                rest = after;
            }
        }
    }
}

fn take_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn challenge(values: &[&'static str]) -> Result<Challenge, String> {
        let pairs = values.iter().map(|value| (WWW_AUTHENTICATE, HeaderValue::from_static(value)));
        parse(&pairs.collect())
    }

    fn bearer(realm: &str, service: Option<&str>) -> Result<Challenge, String> {
        Ok(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
    }

    #[test]
    fn challenges_are_read_as_the_servers_write_them() {
        assert_eq!(challenge(&[r#"Basic realm="Registry Realm""#]), Ok(Challenge::Basic));
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull""#;
        assert_eq!(challenge(&[hub]), bearer("https://auth.docker.io/token", Some("registry.docker.io")));
        let odd = r#"bearer  service = "a \"b, c" , realm=https://h/t"#;
        assert_eq!(challenge(&[odd]), bearer("https://h/t", Some(r#"a "b, c"#)));
        assert_eq!(challenge(&["Basic realm=x", r#"Bearer realm="https://h""#]), bearer("https://h", None));
        assert_eq!(
            challenge(&[r#"Negotiate, Basic realm="x", Bearer realm="https://h""#]),
            bearer("https://h", None)
        );
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        assert_eq!(challenge(&["Negotiate"]), Err("`Negotiate`".to_owned()));
        assert_eq!(challenge(&[]), Err("it names no scheme".to_owned()));
        for odd in ["Bearer", "Bearer realm=\"\"", "=", ",,", "realm=\"x\"", "Bearer realm=\"", "\"\"\""] {
            assert!(challenge(&[odd]).is_err(), "{odd}");
        }
    }
}
