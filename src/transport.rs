//! Owns transports and locations of images: one grammar for `--output`, `copy`, plans and results. Must not open any.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::image::reference::InvalidReference;
use crate::image::{Digest, ImageReference};
use crate::store::layout::LayoutReference;
use crate::text::as_text;

/// The place from which an image is read, or to which it is written, without the names of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "to", rename_all = "kebab-case")]
pub enum Transport {
    /// The daemon's image store.
    Docker,
    /// A file that `docker load` and `podman load` read.
    DockerArchive {
        /// The file.
        path: PathBuf,
    },
    /// The registries in the image's names.
    Registry,
    /// A directory with an OCI layout, which may hold other images.
    OciDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// A tar with an OCI layout.
    OciArchive {
        /// The file.
        path: PathBuf,
    },
}

/// A text that is not a transport.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidTransport {
    message: String,
    /// The right text, as advice.
    pub hint: &'static str,
}

/// Transports of skopeo that b2i does not have, with what to write instead.
const OTHER_TRANSPORTS: [(&str, &str); 6] = [
    ("containers-storage", "write docker-daemon:NAME, and set DOCKER_HOST to Podman's socket"),
    ("dir", "convert it with `skopeo copy dir:DIR oci:DIR`, and write oci:DIR"),
    (
        "ostree",
        "write NAME, docker-daemon:NAME, docker-archive:FILE, oci:DIR[:TAG] or oci-archive:FILE[:TAG]",
    ),
    ("sif", "write NAME, docker-daemon:NAME, docker-archive:FILE, oci:DIR[:TAG] or oci-archive:FILE[:TAG]"),
    ("tarball", "write docker-archive:FILE or oci-archive:FILE[:TAG] for an archive with an image"),
    (
        "atomic",
        "write NAME, docker-daemon:NAME, docker-archive:FILE, oci:DIR[:TAG] or oci-archive:FILE[:TAG]",
    ),
];

impl InvalidTransport {
    fn place(message: String) -> Self {
        let hint =
            "write NAME, docker-daemon:NAME, docker-archive:FILE, oci:DIR[:TAG] or oci-archive:FILE[:TAG]";
        Self { message, hint }
    }
}

impl Transport {
    /// Whether it stores manifests, and with them annotations, compressed layers and an index of several images.
    pub fn accepts_index(&self) -> bool {
        matches!(self, Self::Registry | Self::OciDirectory { .. } | Self::OciArchive { .. })
    }

    /// Whether it is a daemon's image store, which runs what it gets.
    pub fn is_daemon(&self) -> bool {
        matches!(self, Self::Docker)
    }

    /// Whether it is a registry: it needs a name and the network.
    pub fn is_registry(&self) -> bool {
        matches!(self, Self::Registry)
    }

    /// The archive that `docker load` reads.
    pub fn docker_archive(&self) -> Option<&Path> {
        match self {
            Self::DockerArchive { path } => Some(path),
            Self::Docker | Self::Registry | Self::OciDirectory { .. } | Self::OciArchive { .. } => None,
        }
    }

    /// Its path in the file system.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Docker | Self::Registry => None,
            Self::DockerArchive { path } | Self::OciDirectory { path } | Self::OciArchive { path } => {
                Some(path)
            }
        }
    }

    /// The file that writing replaces. A layout's directory is extended instead.
    pub fn replaced_file(&self) -> Option<&Path> {
        self.path().filter(|_| !matches!(self, Self::OciDirectory { .. }))
    }

    /// The transport of `scheme` at `path`.
    fn at(scheme: &str, path: PathBuf) -> Option<Self> {
        match scheme {
            "docker-archive" => Some(Self::DockerArchive { path }),
            "oci" => Some(Self::OciDirectory { path }),
            "oci-archive" => Some(Self::OciArchive { path }),
            _ => None,
        }
    }
}

impl FromStr for Transport {
    type Err = InvalidTransport;

    /// Parses `docker`, `registry`, `docker-archive:FILE`, `oci:DIRECTORY` or `oci-archive:FILE`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.split_once(':')) {
            ("docker", _) => return Ok(Self::Docker),
            ("registry", _) => return Ok(Self::Registry),
            (_, Some(("docker-archive" | "oci-archive", "-"))) => {
                return Err(InvalidTransport {
                    message: format!(
                        "cannot write `{text}`: standard output is for the result's name and digest"
                    ),
                    hint: "to stream the archive, pass `/dev/fd/N` or a named pipe; for a file named `-`, pass `./-`",
                });
            }
            (_, Some((scheme, path))) if !path.is_empty() => Self::at(scheme, path.into()),
            _ => None,
        }
        .ok_or_else(|| InvalidTransport {
            message: format!("`{text}` is not a valid output"),
            hint: "write docker, registry, oci:DIR, oci-archive:FILE or docker-archive:FILE",
        })
    }
}

impl fmt::Display for Transport {
    /// The text that the user writes.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, path) = match self {
            Self::Docker => return formatter.write_str("docker"),
            Self::Registry => return formatter.write_str("registry"),
            Self::DockerArchive { path } => ("docker-archive", path),
            Self::OciDirectory { path } => ("oci", path),
            Self::OciArchive { path } => ("oci-archive", path),
        };
        write!(formatter, "{scheme}:{}", path.display())
    }
}

/// An image and its transport, as `copy` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The transport, with its path.
    pub transport: Transport,
    /// The name; only for a registry or a daemon.
    name: Option<ImageReference>,
    /// Its tag in a layout.
    pub tag: Option<String>,
    /// The digest of its manifest in a layout, or of the index that contains it.
    pub digest: Option<Digest>,
}

as_text!(Location);

impl Location {
    /// Whether it is a layout or an archive in the file system.
    pub fn is_file(&self) -> bool {
        self.transport.path().is_some()
    }

    /// Resolves its path, if it has one, against `directory`.
    pub(crate) fn resolve_against(&mut self, directory: &Path) {
        match &mut self.transport {
            Transport::Docker | Transport::Registry => {}
            Transport::DockerArchive { path }
            | Transport::OciDirectory { path }
            | Transport::OciArchive { path } => *path = directory.join(&*path),
        }
    }

    /// Its name in a registry or a daemon.
    pub fn name(&self) -> Option<&ImageReference> {
        self.name.as_ref()
    }

    /// Its place in a layout.
    pub(crate) fn layout(&self) -> LayoutReference {
        let path = self.transport.path().unwrap_or(Path::new("")).to_owned();
        LayoutReference { path, tag: self.tag.clone(), digest: self.digest }
    }

    fn named(transport: Transport, name: &str) -> Result<Self, InvalidTransport> {
        let name =
            name.parse().map_err(|error: InvalidReference| InvalidTransport::place(error.to_string()))?;
        Ok(Self { transport, name: Some(name), tag: None, digest: None })
    }
}

impl Location {
    /// Parses a location for a copy, where a bare word is refused: it may be a file, or an image of the daemon or of Docker
    /// Hub.
    ///
    /// # Errors
    /// [`InvalidTransport`] if it is not a location.
    pub fn for_copy(text: &str) -> Result<Self, InvalidTransport> {
        let location: Self = text.parse()?;
        match text.contains([':', '/', '@']) {
            true => Ok(location),
            false => Err(InvalidTransport {
                message: format!("`{text}` names neither a transport nor a registry"),
                hint: "write docker.io/NAME for Docker Hub, docker-daemon:NAME, docker-archive:FILE, oci:DIR or oci-archive:FILE",
            }),
        }
    }
}

impl From<ImageReference> for Location {
    /// The image in its registry.
    fn from(name: ImageReference) -> Self {
        Self { transport: Transport::Registry, name: Some(name), tag: None, digest: None }
    }
}

impl FromStr for Location {
    type Err = InvalidTransport;

    /// Parses a registry's name, plain or behind `docker://`, `docker-daemon:NAME`, `docker-archive:FILE`,
    /// `oci:DIRECTORY[:TAG|@DIGEST]` or `oci-archive:FILE[:TAG|@DIGEST]`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = text.strip_prefix("docker://") {
            return Self::named(Transport::Registry, rest);
        }
        let (reference, scheme) = match text.split_once(':') {
            Some((scheme, rest))
                if rest.starts_with("//") && Transport::at(scheme, rest.into()).is_none() =>
            {
                return Err(InvalidTransport::place(format!("`{scheme}://` is not a transport of images")));
            }
            Some(("docker-daemon", rest)) => return Self::named(Transport::Docker, rest),
            Some(("docker-archive", "")) => {
                return Err(InvalidTransport::place("`docker-archive:` names no file".into()));
            }
            Some((scheme @ "docker-archive", path)) => {
                (LayoutReference { path: path.into(), tag: None, digest: None }, scheme)
            }
            Some((scheme @ ("oci" | "oci-archive"), rest)) => {
                (rest.parse().map_err(InvalidTransport::place)?, scheme)
            }
            Some((scheme, _))
                if let Some((_, hint)) = OTHER_TRANSPORTS.iter().find(|(other, _)| *other == scheme) =>
            {
                return Err(InvalidTransport { message: format!("`{scheme}:` is not supported"), hint });
            }
            _ => return Self::named(Transport::Registry, text),
        };
        let LayoutReference { path, tag, digest } = reference;
        let transport = Transport::at(scheme, path).expect("a scheme with a path");
        Ok(Self { transport, name: None, tag, digest })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.transport, &self.name) {
            (Transport::Docker, Some(name)) => return write!(formatter, "docker-daemon:{}", name.familiar()),
            (_, Some(name)) => return formatter.write_str(&name.familiar()),
            (transport, None) => transport.fmt(formatter)?,
        }
        match (&self.digest, &self.tag) {
            (Some(digest), _) => write!(formatter, "@{digest}"),
            (None, Some(tag)) => write!(formatter, ":{tag}"),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_is_written_as_it_is_read() {
        for text in ["docker", "registry", "docker-archive:./app.tar", "oci:image", "oci-archive:a:1.tar"] {
            assert_eq!(text.parse::<Transport>().expect("valid").to_string(), text);
        }
        for text in ["", "Docker", "docker:x", "oci", "oci:", "docker-archive:-", "oci-archive:-", "app.tar"]
        {
            text.parse::<Transport>().expect_err(text);
        }
    }

    #[test]
    fn locations_are_written_as_they_are_read() {
        for text in [
            "registry.example/team/app:1",
            "docker-daemon:app:1",
            "docker-archive:./app.tar",
            "oci:./image",
            "oci:./image:1.2",
            "oci-archive:app.tar:1",
        ] {
            assert_eq!(text.parse::<Location>().expect("a place").to_string(), text);
        }
        let named: Location = "docker://registry.example/app:1".parse().expect("a place");
        assert_eq!(named, "registry.example/app:1".parse().expect("a place"));
        for text in ["", "oci:", "docker-archive:", "docker-daemon:", "docker://", "UPPER CASE"] {
            text.parse::<Location>().expect_err(text);
        }
    }

    #[test]
    fn other_transports_and_bare_words_are_refused_by_name() {
        for (text, part) in [
            ("containers-storage:x", "`containers-storage:` is not supported"),
            ("containers-storage:[overlay@/var/lib]x:1", "`containers-storage:` is not supported"),
            ("dir:/tmp/x", "`dir:` is not supported"),
            ("https://host.example/x", "`https://` is not a transport of images"),
        ] {
            let error = text.parse::<Location>().expect_err(text);
            assert!(error.to_string().contains(part), "{error}");
        }
        // Images of Docker Hub may have the names of transports that b2i does not know.
        for text in ["registry:2", "docker:dind", "golang:1.24"] {
            assert!(Location::for_copy(text).is_ok(), "{text}");
        }
        for text in ["alpine", "a"] {
            assert!(text.parse::<Location>().is_ok(), "{text}");
            let error = Location::for_copy(text).expect_err(text);
            assert!(error.to_string().contains("neither a transport nor a registry"), "{error}");
        }
    }
}
