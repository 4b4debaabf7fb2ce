//! Owns the errors of everything that talks to a daemon: the image store and the engine share one enum.
//!
//! Must not decide what happens after an error; it says what failed, where, why, and what the user can do.

use std::path::PathBuf;

use super::pull_cause::PullCause;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::{Digest, Platform};
use crate::store::archive::ArchiveError;
use crate::store::credentials::CredentialsError;

/// What went wrong between b2i and a daemon.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error("the daemon address `{host}` ({origin}) cannot be used: {reason}")]
    InvalidHost {
        /// The address, as it was given.
        host: String,
        /// Where it was given.
        origin: String,
        reason: String,
    },
    #[error("the docker context `{name}` cannot be used: `{}` {reason}", path.display())]
    Context {
        /// The context.
        name: String,
        /// The file at fault.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    #[error("the volume `{name}` is not b2i's, or belongs to another cache directory")]
    ForeignVolume { name: String },
    #[error("the daemon at {address} ({origin}) does not answer: {reason}")]
    Unreachable {
        address: String,
        /// Where the address came from.
        origin: String,
        /// What happened instead.
        reason: String,
    },
    #[error("no permission to use the daemon at {address}")]
    PermissionDenied { address: String },
    #[error("the daemon at {address} could not {action}: {reason}")]
    Request {
        address: String,
        /// What it was asked to do.
        action: String,
        /// HTTP status, if it answered.
        status: Option<u16>,
        /// What it said.
        reason: String,
    },
    #[error("the image `{name}` is not in the daemon at {address}, and it is not pulled: {reason}")]
    ImageMissing {
        name: String,
        address: String,
        /// Which option forbids it.
        reason: &'static str,
    },
    #[error("the image `{name}` could not be pulled: {reason}")]
    Pull {
        name: String,
        /// What kind of refusal it was.
        cause: PullCause,
        /// What the daemon said.
        reason: String,
    },
    #[error("the image `{name}` is for {found}, but {wanted} is asked for")]
    WrongPlatform {
        name: String,
        found: Box<Platform>,
        /// The platform that is asked for.
        wanted: Box<Platform>,
    },
    #[error("the daemon at {address} gives no usable answer about the image `{name}`: {reason}")]
    InvalidImage {
        name: String,
        address: String,
        /// What is wrong with the answer.
        reason: String,
    },
    #[error("the daemon at {address} exported `{name}` without the layer {wanted}: {reason}")]
    Export {
        name: String,
        address: String,
        /// Diff ID of the layer.
        wanted: Digest,
        /// What was there instead.
        reason: String,
    },
    /// An image archive could not be made.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The credentials of a registry could not be found out.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("{action} `{}` failed", path.display())]
    File {
        /// What was done to it.
        action: &'static str,
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    #[error("the daemon at {address} took the image {wanted}, but {found}")]
    NotLoaded {
        address: String,
        /// ID of the image.
        wanted: Digest,
        /// What is there instead.
        found: String,
    },
    #[error("the daemon at {address} could not {action}: its disk is full ({reason})")]
    DiskFull {
        address: String,
        /// What it was asked to do.
        action: String,
        /// What it said.
        reason: String,
    },
    #[error("the daemon at {address} could not {action}: {reason}")]
    Publish {
        address: String,
        /// What it was asked to do.
        action: String,
        /// What it said.
        reason: String,
    },
    #[error("the daemon at {address} cannot enforce the {limit} limit: {reason}")]
    LimitNotEnforced {
        address: String,
        /// Which limit.
        limit: &'static str,
        /// What it said.
        reason: String,
    },
    #[error("the {limit} limit cannot be set: {reason}")]
    LimitOutOfRange {
        /// Which limit.
        limit: &'static str,
        /// What was asked for, and what may be.
        reason: String,
    },
    #[error("the daemon at {address} has no network `{network}`")]
    NoNetwork { address: String, network: String },
    #[error("the machine of the daemon at {address} has no `{path}` that could be mounted")]
    NoMountSource {
        address: String,
        /// The directory or file.
        path: String,
    },
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
        let one = |hint: &str| vec![hint.to_owned()];
        match self {
            Self::InvalidHost { .. } => {
                one("give an address such as `unix:///var/run/docker.sock` or `tcp://host:2375`")
            }
            Self::Context { .. } => {
                one("look at it with `docker context inspect`, or set DOCKER_HOST, which goes before it")
            }
            Self::ForeignVolume { name } => {
                vec![format!("remove it with `docker volume rm {name}`, or build with `--no-build-cache`")]
            }
            Self::Unreachable { origin, .. } => vec![
                format!("start the daemon, or correct the address ({origin})"),
                "write an archive instead: `-o docker-archive:FILE`".into(),
            ],
            Self::PermissionDenied { .. } => vec![
                "add the user to the socket's group (`docker`), or use a rootless daemon".into(),
                "write an archive instead: `-o docker-archive:FILE`".into(),
            ],
            Self::ImageMissing { .. } => {
                one("pull or load the image first, or allow pulling (`--pull missing`, without `--offline`)")
            }
            Self::Pull { cause, name, .. } => match cause {
                PullCause::NotFound => one("check the name and the tag"),
                PullCause::Denied => {
                    vec![format!(
                        "log in with `docker login` to read `{name}`, or check that the name is right"
                    )]
                }
                PullCause::Platform => {
                    one("choose a platform that the image is published for (`--platform`)")
                }
                PullCause::Network => one("check network, proxy and mirror settings of the daemon"),
                PullCause::Other => Vec::new(),
            },
            Self::WrongPlatform { wanted, .. } => {
                vec![format!("pull the image for {wanted}, or choose a builder that is published for it")]
            }
            Self::DiskFull { .. } => one("free space, for example with `docker system prune`"),
            Self::LimitNotEnforced { .. } => {
                one("leave the limit out, or run the daemon with cgroups that can enforce it")
            }
            Self::NoMountSource { .. } => one(
                "`--volume` takes a directory or file of the machine that the daemon runs on, or a volume's name",
            ),
            Self::NoNetwork { .. } => one("`docker network ls` lists the networks that there are"),
            Self::Credentials(error) => error.hints(),
            Self::Archive(error) => error.hints(),
            _ => Vec::new(),
        }
    }
}

/// Says whether a message means that a disk is full.
pub(super) fn is_disk_full(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("no space left on device") || message.contains("disk quota exceeded")
}
