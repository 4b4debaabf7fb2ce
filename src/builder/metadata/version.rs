//! Owns `[[versions]]` of `builder.toml`: one version of a template and its base.
//!
//! Must not know the assumptions about the base.

use serde::{Deserialize, Deserializer, Serialize};

use crate::builder::base::{BaseLibc, BaseName};
use crate::builder::version::DottedVersion;
use crate::detect::facts::{GlibcVersion, ServletApi};

/// One version of a template. A field that is not set comes from the assumptions about its base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Version {
    /// The name of the version.
    #[serde(deserialize_with = "name")]
    pub version: String,
    pub base: BaseName,
    /// The Java release it runs.
    pub level: Option<u32>,
    /// The release of Go, Node.js or Python, of a template that builds sources.
    pub release: Option<DottedVersion>,
    /// The servlet API of its Tomcat.
    #[serde(default, deserialize_with = "servlet_api")]
    pub servlet_api: Option<ServletApi>,
    pub tomcat: Option<DottedVersion>,
    /// Its C library.
    pub libc: Option<BaseLibc>,
    /// The version of its GNU C library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub glibc: Option<GlibcVersion>,
}

pub(super) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    let good = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.len() <= 64
        && text.bytes().all(word);
    if good {
        return Ok(text);
    }
    let reason = "expected up to 64 lower-case letters, digits, `-`, `_`, `.`";
    Err(serde::de::Error::custom(format!("`{text}` is not a name ({reason})")))
}

fn servlet_api<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ServletApi>, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "javax" => Ok(Some(ServletApi::Javax)),
        "jakarta" => Ok(Some(ServletApi::Jakarta)),
        other => Err(serde::de::Error::custom(format!(
            "`{other}` is not a servlet API (expected `javax` or `jakarta`)"
        ))),
    }
}
