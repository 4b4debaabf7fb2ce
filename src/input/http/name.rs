//! Owns the name of a download: from `Content-Disposition` (RFC 6266), else from the path of the URL.
//! Must not return a name that is not safe. `headers` was weighed: its `ContentDisposition` has no file name.

use http::HeaderMap;
use http::header::CONTENT_DISPOSITION;
use percent_encoding::percent_decode_str;
use url::Url;

use super::super::name::{FALLBACK, safe_name};

/// The name of the file at `request`, whose response came from `response` after redirects.
pub(super) fn name(headers: &HeaderMap, request: &Url, response: &Url) -> String {
    let disposition = headers.get(CONTENT_DISPOSITION).and_then(|value| from_disposition(value.as_bytes()));
    disposition
        .or_else(|| from_path(request))
        .or_else(|| from_path(response))
        .unwrap_or_else(|| FALLBACK.to_owned())
}

/// The last part of the path that is not empty.
pub(super) fn from_path(url: &Url) -> Option<String> {
    let last = url.path_segments()?.rfind(|segment| !segment.is_empty())?;
    safe_name(&percent_decode_str(last).decode_utf8_lossy())
}

/// `filename*` has precedence over `filename`.
fn from_disposition(value: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        // Old servers send ISO 8859-1.
        Err(_) => value.iter().map(|byte| char::from(*byte)).collect(),
    };
    let mut plain = None;
    for (name, value) in parameters(&text) {
        if name.eq_ignore_ascii_case("filename*") {
            if let Some(decoded) = extended_value(&value).as_deref().and_then(safe_name) {
                return Some(decoded);
            }
        } else if name.eq_ignore_ascii_case("filename") && plain.is_none() {
            plain = safe_name(&value);
        }
    }
    plain
}

/// The parameters after the disposition type, values unquoted.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut rest = text.split_once(';').map_or("", |(_, rest)| rest);
    let mut parameters = Vec::new();
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches(|character: char| character == ';' || character.is_whitespace());
        let (value, left) = value(after.trim_start());
        parameters.push((name.to_owned(), value));
        rest = left;
    }
    parameters
}

/// Reads a token or a quoted string (RFC 9110, section 5.6.4). Returns it and the rest.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (token, rest) = text.split_once(';').unwrap_or((text, ""));
        return (token.trim().to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[index + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

/// Decodes `charset'language'percent-encoded` (RFC 8187).
fn extended_value(value: &str) -> Option<String> {
    let mut parts = value.splitn(3, '\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes: Vec<u8> = percent_decode_str(encoded).collect();
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" => String::from_utf8(bytes).ok(),
        "iso-8859-1" => Some(bytes.into_iter().map(char::from).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn disposition(text: &str) -> Option<String> {
        from_disposition(text.as_bytes())
    }

    #[test]
    fn reads_content_disposition() {
        for (text, name) in [
            ("attachment; filename=app.jar", Some("app.jar")),
            ("attachment; filename=\"a b; c\\\".jar\"", Some("a b; c\".jar")),
            ("attachment;filename=\"x.jar\"; filename*=UTF-8''%D1%8F.jar", Some("я.jar")),
            ("attachment; filename*=UTF-8''%ff.jar; filename=ok.jar", Some("ok.jar")),
            ("attachment; filename*=iso-8859-1'en'%e4.jar", Some("ä.jar")),
            ("attachment; filename=\"../../etc/cron.d/x\"", Some("x")),
            ("attachment; filename*=UTF-8''..%2F..%2Fx", Some("x")),
            ("attachment; FileName = a.jar ; size=3", Some("a.jar")),
            ("inline", None),
            ("attachment; filename=\"..\"", None),
        ] {
            assert_eq!(disposition(text).as_deref(), name, "{text}");
        }
        assert_eq!(from_disposition(b"attachment; filename=\"\xe4.jar\"").as_deref(), Some("ä.jar"));
    }

    #[test]
    fn falls_back_to_the_path() {
        let name = |asked: &str, delivered: &str| {
            super::name(
                &HeaderMap::new(),
                &Url::parse(asked).expect("valid"),
                &Url::parse(delivered).expect("valid"),
            )
        };
        assert_eq!(name("https://h/rel/%D1%8F%20x.jar?a=b", "https://other/123"), "я x.jar");
        assert_eq!(name("https://h/rel/", "https://h/y"), "rel");
        assert_eq!(name("https://h/", "https://h/y.jar"), "y.jar");
        assert_eq!(name("https://h/a%2F..%2Fb", "https://h/"), "b");
        assert_eq!(name("https://h/", "https://h/"), "artifact");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=z.jar"));
        let url = Url::parse("https://h/a").expect("valid");
        assert_eq!(super::name(&headers, &url, &url), "z.jar");
    }

    proptest! {
        #[test]
        fn any_header_is_read(text in "[a-z;=\"\\\\'*% é]{0,60}") {
            disposition(&text);
            disposition(&format!("attachment; filename*={text}"));
        }
    }
}
