//! Owns references to secrets: a request contains the reference and never the secret.
//! Must not read variables or files; the host does.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::as_text;

/// A reference to a secret: `env:NAME` or `file:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretReference {
    /// The value of a variable.
    Variable(String),
    /// The content of a file, without its last line end.
    File(PathBuf),
}

impl FromStr for SecretReference {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Variable(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            // The message leaves the text out: it may be the secret itself.
            _ => Err("expected a reference to a secret: env:NAME or file:PATH"),
        }
    }
}

impl fmt::Display for SecretReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(formatter, "env:{name}"),
            Self::File(path) => write!(formatter, "file:{}", path.display()),
        }
    }
}

as_text!(SecretReference);

/// Secrets of a download. They are sent to the host of its URL only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DownloadRequest {
    /// Headers with secret values.
    pub headers: Vec<HeaderRequest>,
    /// A file with more headers, one `Name: value` a line.
    pub header_file: Option<PathBuf>,
    /// A bearer token.
    pub bearer: Option<SecretReference>,
    /// The netrc file. Default: the host's.
    pub netrc: Option<PathBuf>,
}

/// A header whose value is a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderRequest {
    /// The header's name.
    pub name: String,
    /// Its value.
    pub value: SecretReference,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_named_and_never_repeated() {
        for text in ["env:TOKEN", "file:/run/token"] {
            assert_eq!(text.parse::<SecretReference>().expect(text).to_string(), text);
        }
        for text in ["hunter2", "env:", "file:", "", "vault:hunter2"] {
            let error = text.parse::<SecretReference>().expect_err(text);
            assert!(!error.contains("hunter2"));
        }
    }
}
