//! Owns prefixes of image names, as mirrors have them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::InvalidReference;
use super::grammar::{is_component, is_registry};

/// Where repositories of one registry are found in another: `host[:port][/path]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryPrefix {
    registry: String,
    path: String,
}

impl RepositoryPrefix {
    /// The registry's host and port.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository that stands there for `repository`.
    pub fn within(&self, repository: &str) -> String {
        if self.path.is_empty() { repository.to_owned() } else { format!("{}/{repository}", self.path) }
    }
}

impl Serialize for RepositoryPrefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RepositoryPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for RepositoryPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.registry)?;
        if self.path.is_empty() { Ok(()) } else { write!(formatter, "/{}", self.path) }
    }
}

impl FromStr for RepositoryPrefix {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (registry, path) = text.split_once('/').unwrap_or((text, ""));
        let valid = is_registry(registry) && (path.is_empty() || path.split('/').all(is_component));
        if valid && !text.ends_with('/') {
            return Ok(Self { registry: registry.to_owned(), path: path.to_owned() });
        }
        let reason = "expected `host[:port]` or `host[:port]/path`".to_owned();
        Err(InvalidReference { text: text.to_owned(), reason })
    }
}
