//! Owns the source of an input as the user writes it: a path, `-`, or a URL.
//! Must not open it.

use std::fmt;
use std::path::PathBuf;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::artifact::Origin;
use super::error::InputError;
use crate::network::shown_url;

/// The source of an input. Its text has no user name, password and query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputSource {
    /// A file, or a directory.
    File(PathBuf),
    /// Standard input: `-`.
    Stdin,
    /// An http or https URL.
    Url(Url),
}

impl InputSource {
    /// Parses `-`, an `http://`, `https://` or `file://` URL, or a path.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        if text == "-" {
            return Ok(Self::Stdin);
        }
        let invalid =
            |text: &str, reason: String| InputError::InvalidSource { text: text.to_owned(), reason };
        if text.is_empty() {
            return Err(invalid(text, "it is empty".to_owned()));
        }
        let Some((scheme, _)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
            return Ok(Self::File(PathBuf::from(text)));
        };
        // A URL that is not valid may contain credentials anywhere, so only its scheme is shown.
        let hidden = format!("{scheme}://…");
        let url = Url::parse(text).map_err(|error| invalid(&hidden, error.to_string()))?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(Self::Url(url)),
            "file" => url.to_file_path().map(Self::File).map_err(|()| {
                invalid(text, "a file URL cannot have a host; write `file:///path`".to_owned())
            }),
            other => {
                Err(invalid(&shown_url(&url), format!("`{other}` is not one of `http`, `https` and `file`")))
            }
        }
    }

    /// The origin to record.
    /// The last component of its path or URL, by which checksum files name it.
    pub(super) fn file_name(&self) -> Option<String> {
        match self {
            Self::File(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()),
            Self::Stdin => None,
            Self::Url(url) => {
                let last = url.path_segments()?.next_back().filter(|segment| !segment.is_empty())?;
                Some(percent_encoding::percent_decode_str(last).decode_utf8_lossy().into_owned())
            }
        }
    }

    pub(super) fn origin(&self) -> Origin {
        match self {
            Self::File(path) => Origin::File { path: path.clone() },
            Self::Stdin => Origin::Stdin,
            Self::Url(url) => Origin::Url { url: shown_url(url) },
        }
    }
}

impl fmt::Display for InputSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Stdin => formatter.write_str("standard input"),
            Self::Url(url) => formatter.write_str(&shown_url(url)),
        }
    }
}

/// Writes the text that `parse` reads. Unlike the shown text, it keeps the query of a URL.
impl Serialize for InputSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let path = match self {
            Self::Stdin => return serializer.serialize_str("-"),
            Self::Url(url) => return serializer.collect_str(url),
            Self::File(path) => path,
        };
        let text = path.to_str().ok_or_else(|| S::Error::custom("the path is not UTF-8"))?;
        match Self::parse(text) {
            Ok(Self::File(_)) => serializer.serialize_str(text),
            // Without the dot, the text would mean another input.
            _ => serializer.collect_str(&format_args!("./{text}")),
        }
    }
}

impl<'de> Deserialize<'de> for InputSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

crate::text::schema_of_text!(InputSource);

/// RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_paths_from_urls() {
        let path = |text: &str| InputSource::File(PathBuf::from(text));
        assert_eq!(InputSource::parse("-").expect("valid"), InputSource::Stdin);
        assert_eq!(InputSource::parse("target/app.jar").expect("valid"), path("target/app.jar"));
        assert_eq!(InputSource::parse("file:///tmp/a%20b").expect("valid"), path("/tmp/a b"));
        assert_eq!(InputSource::parse("a:b").expect("valid"), path("a:b"));
        assert!(matches!(InputSource::parse("HTTPS://h/x").expect("valid"), InputSource::Url(_)));
    }

    #[test]
    fn refuses_other_schemes_without_showing_secrets() {
        for text in
            ["ftp://user:secret@h/x?secret", "https://user:secret@[::/x", "http://", "", "file://host/x"]
        {
            let error = InputSource::parse(text).expect_err(text);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn is_shown_and_recorded_without_secrets() {
        let source = InputSource::parse("https://user:secret@h:8443/a.jar?token=secret#f").expect("valid");
        assert_eq!(source.to_string(), "https://h:8443/a.jar");
        assert_eq!(source.origin(), Origin::Url { url: "https://h:8443/a.jar".to_owned() });
    }
}
