//! Owns the errors of everything that uses a daemon: the image store and the engine. Must not decide what follows.

use std::path::PathBuf;

use super::pull_cause::PullCause;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::{Digest, Platform};
use crate::store::archive::ArchiveError;
use crate::store::credentials::CredentialsError;

#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error("the daemon address `{host}` ({origin}) is not valid: {reason}")]
    InvalidHost { host: String, origin: String, reason: String },
    #[error("the docker context `{name}` cannot be used: `{}` {reason}", path.display())]
    Context { name: String, path: PathBuf, reason: String },
    #[error("the volume `{name}` belongs to another program or cache directory")]
    ForeignVolume { name: String },
    #[error("the daemon at {address} ({origin}) does not answer: {reason}")]
    Unreachable { address: String, origin: String, reason: String },
    #[error("no permission to use the daemon at {address}")]
    PermissionDenied { address: String },
    #[error("the daemon at {address} could not {action}: {reason}")]
    Request {
        address: String,
        action: String,
        /// The HTTP status, if it answered.
        status: Option<u16>,
        reason: String,
    },
    #[error("the image `{name}` is not in the daemon at {address}, and {reason}")]
    ImageMissing { name: String, address: String, reason: &'static str },
    #[error("the image `{name}` is not in the daemon at {address}")]
    CopySourceMissing { name: String, address: String },
    #[error("the image `{name}` could not be pulled: {reason}")]
    Pull { name: String, cause: PullCause, reason: String },
    #[error("the image `{name}` is for {found}, not for {platform}")]
    WrongPlatform { name: String, found: Box<Platform>, platform: Box<Platform> },
    #[error("the answer of the daemon at {address} about the image `{name}` is not valid: {reason}")]
    InvalidImage { name: String, address: String, reason: String },
    #[error("the daemon at {address} did not export the layer {layer} of `{name}`: {reason}")]
    Export { name: String, address: String, layer: Digest, reason: String },
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("{action} `{}` failed", path.display())]
    File { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the daemon at {address} accepted the image {expected}, but {found}")]
    NotLoaded { address: String, expected: Digest, found: String },
    #[error("the daemon at {address} could not {action}: its disk is full ({reason})")]
    DiskFull { address: String, action: String, reason: String },
    #[error("the daemon at {address} could not {action}: {reason}")]
    Publish { address: String, action: String, reason: String },
    #[error("the daemon at {address} cannot enforce the {limit} limit: {reason}")]
    LimitNotEnforced { address: String, limit: &'static str, reason: String },
    #[error("the {limit} limit is not valid: {reason}")]
    LimitOutOfRange { limit: &'static str, reason: String },
    #[error("the daemon at {address} has no network `{network}`")]
    NoNetwork { address: String, network: String },
    #[error("cannot mount `{path}`: it does not exist on the machine of the daemon at {address}")]
    NoMountSource { address: String, path: String },
}

impl Diagnostic for DaemonError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::InvalidHost { .. }
            | Self::Context { .. }
            | Self::LimitOutOfRange { .. }
            | Self::NoNetwork { .. }
            | Self::NoMountSource { .. } => FailureKind::Usage,
            Self::ForeignVolume { .. }
            | Self::Unreachable { .. }
            | Self::PermissionDenied { .. }
            | Self::Request { .. }
            | Self::LimitNotEnforced { .. } => FailureKind::Engine,
            Self::ImageMissing { .. }
            | Self::CopySourceMissing { .. }
            | Self::Pull { .. }
            | Self::WrongPlatform { .. }
            | Self::InvalidImage { .. }
            | Self::Export { .. } => FailureKind::Builder,
            Self::Credentials(error) => error.kind(),
            Self::Archive(error) => error.kind(),
            Self::File { .. } => FailureKind::Image,
            Self::NotLoaded { .. } | Self::DiskFull { .. } | Self::Publish { .. } => FailureKind::Publish,
        }
    }

    fn hints(&self) -> Vec<String> {
        let archive = || "write an archive instead: `-o docker-archive:FILE`".to_owned();
        let hint = match self {
            Self::Credentials(error) => return error.hints(),
            Self::Archive(error) => return error.hints(),
            Self::Unreachable { origin, .. } => {
                return vec![format!("start the daemon, or correct the address ({origin})"), archive()];
            }
            Self::PermissionDenied { .. } => {
                let hint = "add the user to the socket's group (`docker`), or use a rootless daemon";
                return vec![hint.into(), archive()];
            }
            Self::ForeignVolume { name } => {
                return vec![format!("remove it with `docker volume rm {name}`, or pass `--no-build-cache`")];
            }
            Self::WrongPlatform { platform, .. } => {
                return vec![format!("pull the image for {platform}, or choose a builder that supports it")];
            }
            Self::Pull { cause: PullCause::Denied, name, .. } => {
                return vec![format!("log in with `docker login` to read `{name}`, or check the name")];
            }
            Self::Pull { cause: PullCause::NotFound, .. } => "check the name and the tag",
            Self::Pull { cause: PullCause::Platform, .. } => {
                "choose a platform of the image with `--platform`"
            }
            Self::Pull { cause: PullCause::Network, .. } => {
                "check network, proxy and mirror settings of the daemon"
            }
            Self::InvalidHost { .. } => {
                "use an address such as `unix:///var/run/docker.sock` or `tcp://host:2375`"
            }
            Self::Context { .. } => {
                "check it with `docker context inspect`, or set DOCKER_HOST, which has priority"
            }
            Self::ImageMissing { .. } => {
                "pull or load the image first, or pass `--pull missing` without `--offline`"
            }
            Self::CopySourceMissing { name, .. } => {
                return vec![format!(
                    "list the daemon's images with `docker images`, or copy `{name}` from its registry: omit `docker-daemon:`"
                )];
            }
            Self::DiskFull { .. } => "free space, for example with `docker system prune`",
            Self::LimitNotEnforced { .. } => {
                "remove the limit, or run the daemon with cgroups that can enforce it"
            }
            Self::NoMountSource { .. } => {
                "pass `--volume` a directory or file of the daemon's machine, or the name of a volume"
            }
            Self::NoNetwork { .. } => "list the networks with `docker network ls`",
            Self::Pull { cause: PullCause::Other, .. }
            | Self::Request { .. }
            | Self::InvalidImage { .. }
            | Self::Export { .. }
            | Self::File { .. }
            | Self::NotLoaded { .. }
            | Self::Publish { .. }
            | Self::LimitOutOfRange { .. } => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

/// Whether a message says that a disk is full.
pub(super) fn is_disk_full(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("no space left on device") || message.contains("disk quota exceeded")
}
