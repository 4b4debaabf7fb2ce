//! Owns the places where images go: one type and one grammar for `--output`, plans and results.
//!
//! Must not open or write any of them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;

/// A kind of place, with its path if it is in the file system. The names of the image are not part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "to", rename_all = "kebab-case")]
pub enum Transport {
    /// The daemon's image store.
    Docker,
    /// A file that `docker load` and `podman load` take.
    DockerArchive {
        #[expect(missing_docs, reason = "the variant says what is at the path")]
        path: PathBuf,
    },
    /// The registries that the image's names name.
    Registry,
    /// A directory with an OCI layout, which may hold other images already.
    OciDirectory {
        #[expect(missing_docs, reason = "the variant says what is at the path")]
        path: PathBuf,
    },
    /// A tar with an OCI layout.
    OciArchive {
        #[expect(missing_docs, reason = "the variant says what is at the path")]
        path: PathBuf,
    },
}

/// A text that names no transport.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidTransport {
    message: String,
    /// What to write instead.
    pub hint: &'static str,
}

impl Transport {
    /// Whether it keeps manifests, with annotations and compressed layers, and so also an index of several images.
    pub fn accepts_index(&self) -> bool {
        matches!(self, Self::Registry | Self::OciDirectory { .. } | Self::OciArchive { .. })
    }

    /// Where it is in the file system.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Docker | Self::Registry => None,
            Self::DockerArchive { path } | Self::OciDirectory { path } | Self::OciArchive { path } => {
                Some(path)
            }
        }
    }

    /// The file that writing replaces. A layout's directory is added to, and loses nothing.
    pub fn replaced_file(&self) -> Option<&Path> {
        self.path().filter(|_| !matches!(self, Self::OciDirectory { .. }))
    }

    /// The transport of `scheme` at `path`.
    fn at(scheme: &str, path: &str) -> Option<Self> {
        let path = PathBuf::from(path);
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
                    message: format!("`{text}`: the standard output is for the result's name and digest"),
                    hint: "write `/dev/fd/N` or a named pipe to hand the archive on, or `./-` for a file of that name",
                });
            }
            (_, Some((scheme, path))) if !path.is_empty() => Self::at(scheme, path),
            _ => None,
        }
        .ok_or_else(|| InvalidTransport {
            message: format!("`{text}` is not a place that images are written to"),
            hint: "write docker, registry, oci:DIR, oci-archive:FILE or docker-archive:FILE",
        })
    }
}

impl fmt::Display for Transport {
    /// As the user writes it.
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
}
