//! Owns prefixes of image names, as of mirrors.
//! Must not know registries.

use std::fmt;
use std::str::FromStr;

use super::InvalidReference;
use super::grammar::{is_component, is_registry};
use crate::text::as_text;

/// The registry and path of a mirror's repositories: `host[:port][/path]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryPrefix {
    registry: String,
    path: String,
}

impl RepositoryPrefix {
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The mirror of `repository`.
    pub fn within(&self, repository: &str) -> String {
        if self.path.is_empty() { repository.to_owned() } else { format!("{}/{repository}", self.path) }
    }
}

as_text!(RepositoryPrefix);

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
