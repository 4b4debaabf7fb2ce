//! Owns image names: parsing them as Docker does, and writing them back in full.
//!
//! Must not contact a registry.

use std::fmt;
use std::str::FromStr;

use oci_spec::distribution::Reference;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::digest::Digest;

/// The name of an image: registry, repository, and a tag or a digest or both.
///
/// `app` is `docker.io/library/app:latest`, as Docker reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageReference(Reference);

/// A text that is no image name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not an image name: {reason}")]
pub struct InvalidReference {
    text: String,
    reason: String,
}

impl ImageReference {
    /// The registry's host and port, such as `docker.io` or `localhost:5000`.
    pub fn registry(&self) -> &str {
        self.0.registry()
    }

    /// The repository within the registry, such as `library/app`.
    pub fn repository(&self) -> &str {
        self.0.repository()
    }

    /// The tag, if one is named or implied (`latest`).
    pub fn tag(&self) -> Option<&str> {
        self.0.tag()
    }

    /// The digest, if one is named.
    ///
    /// A digest of another algorithm than SHA-256 never gets this far: parsing refuses it.
    pub fn digest(&self) -> Option<Digest> {
        self.0.digest().and_then(|digest| digest.parse().ok())
    }

    /// The name as people write it: without `docker.io/library/`, as daemons list it.
    pub fn familiar(&self) -> String {
        let full = self.0.whole();
        let short = full.strip_prefix("docker.io/library/").or_else(|| full.strip_prefix("docker.io/"));
        short.unwrap_or(&full).to_owned()
    }

    /// The registry and repository without tag and digest, in full.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry(), self.repository())
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.whole())
    }
}

impl FromStr for ImageReference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |reason: String| InvalidReference { text: text.to_owned(), reason };
        if text.contains("://") {
            return Err(invalid("a name has no `scheme://` before it".into()));
        }
        let reference: Reference = text.parse().map_err(|error: oci_spec::distribution::ParseError| {
            if text.chars().any(char::is_uppercase) {
                invalid("a repository must be lower case".into())
            } else {
                invalid(error.to_string())
            }
        })?;
        if let Some(digest) = reference.digest() {
            digest.parse::<Digest>().map_err(|error| invalid(error.to_string()))?;
        }
        Ok(Self(reference))
    }
}

impl Serialize for ImageReference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ImageReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_as_docker_does() {
        for (text, full, familiar) in [
            ("app", "docker.io/library/app:latest", "app:latest"),
            ("team/app:1.0", "docker.io/team/app:1.0", "team/app:1.0"),
            ("localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest"),
            ("localhost/app:1", "localhost/app:1", "localhost/app:1"),
            ("registry.example/a/b/c:x", "registry.example/a/b/c:x", "registry.example/a/b/c:x"),
        ] {
            let reference: ImageReference = text.parse().expect(text);
            assert_eq!(reference.to_string(), full);
            assert_eq!(reference.familiar(), familiar);
        }
    }

    #[test]
    fn refuses_what_docker_refuses() {
        for text in
            ["", "App", "a b", "app:", ":1", "app@sha256:12", "https://registry.example/app", "a//b", "-x"]
        {
            assert!(text.parse::<ImageReference>().is_err(), "{text:?}");
        }
    }
}
