//! Owns transports and locations of images: one grammar for `--output`, `copy`, plans and results. Must not open any.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::image::reference::InvalidReference;
use crate::image::{Digest, ImageReference};
use crate::store::layout::LayoutReference;

/// Where an image is read from or written to, without the image's names.
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
    /// What to write instead.
    pub hint: &'static str,
}

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
    /// Only in a registry or a daemon.
    name: Option<ImageReference>,
    /// Its tag in a layout.
    pub tag: Option<String>,
    /// The digest of its manifest in a layout, or of the index it is in.
    pub digest: Option<Digest>,
}

impl Location {
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

impl FromStr for Location {
    type Err = InvalidTransport;

    /// Parses a registry's name, plain or behind `docker://`, `docker-daemon:NAME`, `docker-archive:FILE`,
    /// `oci:DIRECTORY[:TAG|@DIGEST]` or `oci-archive:FILE[:TAG|@DIGEST]`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = text.strip_prefix("docker://") {
            return Self::named(Transport::Registry, rest);
        }
        let (reference, scheme) = match text.split_once(':') {
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
}
