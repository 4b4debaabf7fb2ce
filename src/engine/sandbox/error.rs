//! Owns the errors of the sandbox: what did not work, why, and the way out.
//!
//! Must not decide what happens after an error.

use std::path::PathBuf;

use super::diagnosis::{ALTERNATIVES, mount_hint, namespace_hints, overlay_hints};
use super::protocol::{Fault, FaultKind};
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::fs::error::FileError;
use crate::image::layer::InvalidLayer;
use crate::image::path::InvalidImagePath;
use crate::image::{Digest, InvalidImage};

/// What went wrong in the sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// This machine does not allow a sandbox.
    #[error("the sandbox is not available here: cannot {action}: {reason}")]
    Unavailable {
        /// What was tried.
        action: String,
        /// Why it failed.
        reason: String,
        /// Which settings may be behind it.
        hints: Vec<String>,
    },
    /// Real root, without a user namespace, was not allowed.
    #[error("the sandbox would have to run as real root: {reason}")]
    RealRoot {
        /// Why there is no user namespace.
        reason: String,
        /// Which settings may be behind it.
        hints: Vec<String>,
    },
    /// A limit was asked for and cannot be enforced.
    #[error("the sandbox cannot enforce the {limit} limit: {reason}")]
    LimitNotEnforced {
        /// Which.
        limit: &'static str,
        /// Why not.
        reason: String,
    },
    /// A network that only a daemon could have.
    #[error(
        "the sandbox has no network `{network}`: it knows only `host`, which is this machine's, and none"
    )]
    NoNetwork {
        /// The network.
        network: String,
    },
    /// A layer has other bytes than its name says.
    #[error("the layer {wanted} of `{image}` has other bytes: they give {found}")]
    WrongLayer {
        /// The image.
        image: String,
        /// The diff ID it should have.
        wanted: Digest,
        /// The digest of its bytes.
        found: Digest,
    },
    /// A layer could not be read or unpacked.
    #[error("the layer {layer} of `{image}` cannot be unpacked: cannot {action}: {reason}")]
    Unpack {
        /// The image.
        image: String,
        /// Diff ID of the layer.
        layer: Digest,
        /// What was tried.
        action: String,
        /// Why it failed.
        reason: String,
    },
    /// Somebody's number has no counterpart on this machine.
    #[error("the sandbox cannot {action}: {reason}")]
    NoSuchId {
        /// What was tried.
        action: String,
        /// Why it failed.
        reason: String,
    },
    /// The image names nothing to start.
    #[error("the image `{image}` names no program: it has neither entrypoint nor command")]
    NoProgram {
        /// The image.
        image: String,
    },
    /// The image's own account files do not have the user.
    #[error("the image `{image}` has no user or group `{name}`: unknown user `{user}`")]
    UnknownUser {
        /// The image.
        image: String,
        /// The part that is not known.
        name: String,
        /// What was asked for.
        user: String,
    },
    /// What the command left makes no layer.
    #[error("what the command left cannot become a layer: cannot {action}: {reason}")]
    Result {
        /// What was tried.
        action: String,
        /// Why it failed.
        reason: String,
    },
    #[error(transparent)]
    Image(#[from] InvalidImage),
    /// The entries of the change contradict each other.
    #[error(transparent)]
    Layer(#[from] InvalidLayer),
    /// A changed file's name makes no path.
    #[error(transparent)]
    Path(#[from] InvalidImagePath),
    /// The cache could not be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Something that was asked for cannot be mounted.
    #[error("the sandbox cannot {action}: {reason}")]
    Mount {
        /// What was tried.
        action: String,
        /// Why it failed.
        reason: String,
        /// The way out, if there is one.
        hint: Option<&'static str>,
    },
    /// The child could not be started.
    #[error("cannot start `{}` as the sandbox's process: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The child ended, or said something that makes no sense.
    #[error("the sandbox's process ended unexpectedly while it should {action}: {reason}")]
    Lost {
        /// What it should do.
        action: &'static str,
        /// What is known.
        reason: String,
    },
    /// Something else failed.
    #[error("the sandbox could not {action}: {reason}")]
    Other {
        /// What was tried.
        action: String,
        /// Why it failed.
        reason: String,
    },
}

impl SandboxError {
    /// Sorts what the child says.
    pub(super) fn of(fault: Fault) -> Self {
        let reason = fault.because();
        let action = fault.action;
        match fault.kind {
            FaultKind::Namespace => Self::Unavailable { hints: namespace_hints(fault.errno), action, reason },
            FaultKind::Overlay => Self::Unavailable { hints: overlay_hints(fault.errno), action, reason },
            FaultKind::Owner => Self::NoSuchId { action, reason },
            FaultKind::Mount => Self::Mount { hint: mount_hint(fault.errno), action, reason },
            FaultKind::Result => Self::Result { action, reason },
            FaultKind::Archive | FaultKind::Other => Self::Other { action, reason },
        }
    }
}

impl SandboxError {
    /// The hints without the alternatives, which are those of a script.
    pub fn hints_of_settings(&self) -> Vec<String> {
        self.hints().into_iter().filter(|hint| hint != ALTERNATIVES).collect()
    }
}

impl Diagnostic for SandboxError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Unavailable { .. }
            | Self::RealRoot { .. }
            | Self::LimitNotEnforced { .. }
            | Self::NoSuchId { .. }
            | Self::Spawn { .. }
            | Self::Lost { .. }
            | Self::Other { .. } => FailureKind::Engine,
            Self::WrongLayer { .. }
            | Self::Unpack { .. }
            | Self::NoProgram { .. }
            | Self::UnknownUser { .. } => FailureKind::Builder,
            Self::Result { .. } | Self::Layer(_) | Self::Path(_) => FailureKind::Assemble,
            Self::Mount { .. } | Self::NoNetwork { .. } => FailureKind::Usage,
            Self::File(error) => error.kind(),
            Self::Image(error) => error.kind(),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unavailable { hints, .. } => hints.clone(),
            Self::RealRoot { hints, .. } => {
                let allow = "or allow real root with `--allow-root-sandbox`".to_owned();
                hints.iter().cloned().chain([allow]).collect()
            }
            Self::NoNetwork { .. } => {
                vec!["a daemon has networks of its own: assemble with `--assemble docker`".into()]
            }
            Self::LimitNotEnforced { .. } => vec![
                "limits on memory and processors need a control group that b2i may write to, for example under \
                 `systemd-run --user --scope -p Delegate=yes` (root: without `--user`)"
                    .into(),
                ALTERNATIVES.into(),
            ],
            Self::NoSuchId { .. } => vec![
                "give your user more subordinate ids in /etc/subuid and /etc/subgid, and install `newuidmap` and \
                 `newgidmap`"
                    .into(),
            ],
            Self::UnknownUser { .. } => vec!["name a numeric user with `--assemble-user UID:GID`".into()],
            Self::Mount { hint, .. } => hint.iter().map(|hint| (*hint).to_owned()).collect(),
            Self::File(error) => error.hints(),
            Self::WrongLayer { .. }
            | Self::Unpack { .. }
            | Self::NoProgram { .. }
            | Self::Result { .. }
            | Self::Image(_)
            | Self::Layer(_)
            | Self::Path(_)
            | Self::Spawn { .. }
            | Self::Lost { .. }
            | Self::Other { .. } => Vec::new(),
        }
    }
}
