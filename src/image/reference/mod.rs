//! Owns image names: parsing them like Docker, and writing them in full.
//! Must not contact a registry. `oci-spec` was weighed: compiling its regular expression takes longer than most builds, and
//! more memory than all of b2i.

mod grammar;
mod prefix;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::digest::Digest;
use crate::text::as_text;
use grammar::{is_component, is_registry, is_tag, names_registry};
pub use prefix::RepositoryPrefix;

/// The limit of a name without tag and digest, in bytes.
const MAXIMUM_NAME: usize = 255;

const DOCKER_HUB: &str = "docker.io";

/// The name of an image: registry, repository, and a tag or a digest or both.
///
/// `app` is `docker.io/library/app:latest`, as Docker reads it.
#[derive(Clone, Debug)]
pub struct ImageReference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
    /// Whether it was written without a registry. It does not count in comparisons.
    short: bool,
}

/// The error for a text that is not an image name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not an image name: {reason}")]
pub struct InvalidReference {
    text: String,
    reason: String,
}

impl ImageReference {
    /// The registry's host and port, such as `docker.io` or `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository within the registry, such as `library/app`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag. Without tag and digest it is `latest`.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if the name has one.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The image with this digest in the same repository.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// The name without `docker.io/library/`, as daemons list it.
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        let prefix = match self.repository.split_once('/') {
            _ if self.registry != DOCKER_HUB => "",
            Some(("library", name)) if !name.contains('/') => "docker.io/library/",
            // Without `docker.io`, the first component would be the registry.
            Some((first, _)) if names_registry(first) => "",
            _ => "docker.io/",
        };
        full.strip_prefix(prefix).unwrap_or(&full).to_owned()
    }

    /// The image ID that the name may stand for: `647ee435af48` and `sha256:…` are valid names, too.
    pub fn as_image_id(&self) -> Option<String> {
        let hexadecimal = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let name = self.repository().strip_prefix("library/").filter(|_| self.registry() == DOCKER_HUB)?;
        match (name, self.tag()) {
            ("sha256", Some(tag)) if tag.len() == 64 && hexadecimal(tag) => Some(format!("sha256:{tag}")),
            (name, Some("latest")) if (12..=64).contains(&name.len()) && hexadecimal(name) => {
                Some(name.to_owned())
            }
            _ => None,
        }
    }

    /// The name in labels: the full name, or the image ID that it may stand for.
    pub fn recorded(&self) -> String {
        self.as_image_id().unwrap_or_else(|| self.to_string())
    }

    /// Whether it was written without a registry. It equals the full name, but Podman may have an image of the short name
    /// in another registry.
    pub fn is_short(&self) -> bool {
        self.short
    }

    /// Whether it is one of Docker Hub's official images.
    pub fn is_official(&self) -> bool {
        self.registry == DOCKER_HUB && self.repository.starts_with("library/")
    }

    /// The name as it was written: without a registry if [`Self::is_short`].
    pub fn as_written(&self) -> String {
        if self.short { self.familiar() } else { self.to_string() }
    }

    fn identity(&self) -> (&str, &str, Option<&str>, Option<Digest>) {
        (&self.registry, &self.repository, self.tag(), self.digest)
    }

    /// The registry and repository without tag and digest, in full.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

impl PartialEq for ImageReference {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for ImageReference {}

impl Hash for ImageReference {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(formatter, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for ImageReference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|reason| InvalidReference { text: text.to_owned(), reason })
    }
}

fn parse(text: &str) -> Result<ImageReference, String> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if text.contains("://") {
        return Err("it begins with `scheme://`".into());
    }
    let (text, digest) = match text.split_once('@') {
        Some((name, digest)) if digest.contains(':') => {
            (name, Some(digest.parse::<Digest>().map_err(|error| error.to_string())?))
        }
        Some((_, digest)) => return Err(format!("`{digest}` is not a digest (expected `sha256:…`)")),
        None => (text, None),
    };
    // A colon before the last slash belongs to a port.
    let colon = text.rfind(':').filter(|colon| !text[*colon..].contains('/'));
    let (name, tag) = match colon {
        Some(colon) => (&text[..colon], Some(&text[colon + 1..])),
        None => (text, None),
    };
    if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
        return Err(format!("`{tag}` is not a tag"));
    }
    let with_registry = name.split_once('/').filter(|(first, _)| names_registry(first));
    let (registry, repository) = with_registry.unwrap_or((DOCKER_HUB, name));
    if !is_registry(registry) {
        return Err(format!("`{registry}` is not a registry (expected `host[:port]`)"));
    }
    let registry = if registry == "index.docker.io" { DOCKER_HUB } else { registry };
    let official = registry == DOCKER_HUB && !repository.contains('/');
    let repository = if official { format!("library/{repository}") } else { repository.to_owned() };
    if let Some(component) = repository.split('/').find(|component| !is_component(component)) {
        return Err(if component.chars().any(char::is_uppercase) {
            "a repository must be lower case".into()
        } else {
            format!("`{component}` is not a valid component of a repository")
        });
    }
    let length = registry.len() + 1 + repository.len();
    if length > MAXIMUM_NAME {
        return Err(format!(
            "it has {length} bytes without tag and digest; at most {MAXIMUM_NAME} are allowed"
        ));
    }
    let tag = tag.map(str::to_owned).or_else(|| digest.is_none().then(|| "latest".to_owned()));
    Ok(ImageReference {
        registry: registry.to_owned(),
        repository,
        tag,
        digest,
        short: with_registry.is_none(),
    })
}

as_text!(ImageReference);

/// Serialises the names of a request as they were written, so that [`ImageReference::is_short`] survives JSON. Plans and
/// results have full names.
pub(crate) mod as_written {
    use super::{ImageReference, Serialize, Serializer};

    pub(crate) fn one<S: Serializer>(name: &ImageReference, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&name.as_written())
    }

    pub(crate) fn option<S: Serializer>(
        name: &Option<ImageReference>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        name.as_ref().map(ImageReference::as_written).serialize(serializer)
    }

    pub(crate) fn list<S: Serializer>(names: &[ImageReference], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(names.iter().map(ImageReference::as_written))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_ids_are_recognised_and_told_as_they_are() {
        let reference = |text: &str| text.parse::<ImageReference>().expect("valid");
        let long = format!("sha256:{}", "a".repeat(64));
        for id in ["647ee435af48", &long] {
            assert_eq!(reference(id).as_image_id(), Some(id.to_owned()));
            assert_eq!(reference(id).recorded(), id);
        }
        for name in ["app", "cafe", "647ee435af48:1", "registry.example/647ee435af48"] {
            assert_eq!(reference(name).as_image_id(), None, "{name}");
        }
        assert_eq!(reference("app").recorded(), "docker.io/library/app:latest");
    }

    #[test]
    fn parses_as_docker_does() {
        for (text, full, familiar) in [
            ("app", "docker.io/library/app:latest", "app:latest"),
            ("team/app:1.0", "docker.io/team/app:1.0", "team/app:1.0"),
            ("localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest"),
            ("localhost/app:1", "localhost/app:1", "localhost/app:1"),
            ("registry.example/a/b/c:x", "registry.example/a/b/c:x", "registry.example/a/b/c:x"),
            ("index.docker.io/app", "docker.io/library/app:latest", "app:latest"),
            ("docker.io/team.io/app", "docker.io/team.io/app:latest", "docker.io/team.io/app:latest"),
            ("docker.io/localhost/app", "docker.io/localhost/app:latest", "docker.io/localhost/app:latest"),
            ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
            ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
            ("Host/app:V1.0_x", "Host/app:V1.0_x", "Host/app:V1.0_x"),
            ("a/b--c__d.e_f/g", "docker.io/a/b--c__d.e_f/g:latest", "a/b--c__d.e_f/g:latest"),
        ] {
            let reference: ImageReference = text.parse().expect(text);
            assert_eq!(reference.to_string(), full);
            assert_eq!(reference.familiar(), familiar);
            assert_eq!(familiar.parse::<ImageReference>().as_ref(), Ok(&reference));
        }
    }

    #[test]
    fn knows_whether_the_registry_was_written() {
        for (text, short) in [
            ("app", true),
            ("team/app:1", true),
            ("docker.io/library/app", false),
            ("index.docker.io/app", false),
            ("localhost/app", false),
            ("localhost:5000/app", false),
        ] {
            let reference: ImageReference = text.parse().expect(text);
            assert_eq!(reference.is_short(), short, "{text}");
        }
        let [short, full] = ["app", "docker.io/library/app:latest"].map(str::parse::<ImageReference>);
        assert_eq!(short, full);
    }

    #[test]
    fn refuses_what_docker_refuses() {
        let long = "a".repeat(250);
        let tag = format!("app:{}", "t".repeat(129));
        for text in [
            "",
            "App",
            "a b",
            "app:",
            ":1",
            "app@sha256:12",
            "app@x",
            "https://registry.example/app",
            "a//b",
            "-x",
            "x-",
            "a___b",
            "a..b",
            "/app",
            "app/",
            "app:-1",
            "reg.example:x/app",
            "-reg.example/app",
            "[::1/app",
            "ä",
            &long,
            &tag,
        ] {
            assert!(text.parse::<ImageReference>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_digest_stands_with_or_without_a_tag() {
        let digest = Digest::of(b"manifest");
        for (text, full, tag) in [
            (format!("app@{digest}"), format!("docker.io/library/app@{digest}"), None),
            (format!("host:1/app:2@{digest}"), format!("host:1/app:2@{digest}"), Some("2")),
        ] {
            let reference: ImageReference = text.parse().expect("valid");
            assert_eq!((reference.to_string(), reference.tag()), (full, tag));
            assert_eq!(reference.digest(), Some(digest));
        }
    }

    #[test]
    fn agrees_with_the_grammar_of_the_usual_library() {
        use proptest::prelude::*;

        proptest!(ProptestConfig::with_cases(400), |(text in "[aA0._:/@-]{1,12}|[a-z0-9._/-]{1,20}(:[a-zA-Z0-9._-]{0,6})?")| {
            let usual = text.parse::<oci_spec::distribution::Reference>();
            let own = text.parse::<ImageReference>();
            // The library takes some registries that it would itself refuse with a port: those with `_` and `--`.
            if let (Err(_), Ok(usual)) = (&own, &usual)
                && !is_registry(usual.registry())
            {
                return Ok(());
            }
            // `A/a` is a registry and a repository to Docker, as a repository is in lower case. The library puts Docker
            // Hub in front of it.
            if usual.as_ref().is_ok_and(|usual| usual.repository().contains(|one: char| one.is_ascii_uppercase())) {
                return Ok(());
            }
            if let (Ok(own), Ok(usual)) = (&own, &usual) {
                prop_assert_eq!(own.to_string(), usual.whole());
            } else {
                prop_assert_eq!(own.is_ok(), usual.is_ok(), "{}: {:?} {:?}", text, own, usual);
            }
        });
    }
}
