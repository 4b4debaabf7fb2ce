//! Owns the errors of the sandbox.

use std::path::PathBuf;

use super::diagnosis::{ALTERNATIVES, mount_hint, namespace_hints, overlay_hints};
use super::protocol::{Fault, FaultKind};
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::engine::error::change_hint;
use crate::fs::error::FileError;
use crate::image::layer::InvalidLayer;
use crate::image::path::InvalidImagePath;
use crate::image::{Digest, InvalidImage};

#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the sandbox is not available here: cannot {action}: {reason}")]
    Unavailable { action: String, reason: String, hints: Vec<String> },
    #[error("the sandbox would run as real root: {reason}")]
    RealRoot { reason: String, hints: Vec<String> },
    #[error("the sandbox cannot enforce the {limit} limit: {reason}")]
    LimitNotEnforced { limit: &'static str, reason: String },
    #[error("the sandbox has no network `{network}`: it supports only `host`, or no network")]
    NoNetwork { network: String },
    #[error("the layer {expected} of `{image}` has another digest: {found}")]
    WrongLayer { image: String, expected: Digest, found: Digest },
    #[error("the layer {layer} of `{image}` cannot be unpacked: cannot {action}: {reason}")]
    Unpack { image: String, layer: Digest, action: String, reason: String },
    #[error("the sandbox cannot {action}: {reason}")]
    NoSuchId { action: String, reason: String },
    #[error("the image has something else where a file or directory has to be: cannot {action}: {reason}")]
    BadImage { action: String, reason: String },
    #[error("the image `{image}` has no program: entrypoint and command are missing")]
    NoProgram { image: String },
    #[error("the image `{image}` has no user or group `{name}`: unknown user `{user}`")]
    UnknownUser { image: String, name: String, user: String },
    #[error("the changes cannot become a layer: cannot {action}: {reason}")]
    Result { action: String, reason: String },
    #[error("the script left too much: {reason}")]
    TooMuch { reason: String },
    #[error(transparent)]
    Image(#[from] InvalidImage),
    #[error(transparent)]
    Layer(#[from] InvalidLayer),
    #[error(transparent)]
    Path(#[from] InvalidImagePath),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the sandbox cannot {action}: {reason}")]
    Mount { action: String, reason: String, hint: Option<&'static str> },
    #[error("cannot start `{}` as the sandbox's process: {source}", program.display())]
    Spawn { program: PathBuf, source: std::io::Error },
    #[error("the sandbox's process failed to {action}: {reason}")]
    Lost { action: &'static str, reason: String },
    #[error("the sandbox could not {action}: {reason}")]
    Other { action: String, reason: String },
}

impl SandboxError {
    pub(super) fn of(fault: Fault) -> Self {
        let reason = fault.because();
        let action = fault.action;
        match fault.kind {
            FaultKind::Namespace => Self::Unavailable { hints: namespace_hints(fault.errno), action, reason },
            FaultKind::Overlay => Self::Unavailable { hints: overlay_hints(fault.errno), action, reason },
            FaultKind::Owner => Self::NoSuchId { action, reason },
            FaultKind::Mount => Self::Mount { hint: mount_hint(fault.errno), action, reason },
            FaultKind::Result => Self::Result { action, reason },
            FaultKind::TooMuch => Self::TooMuch { reason },
            FaultKind::Image => Self::BadImage { action, reason },
            FaultKind::Archive | FaultKind::Other => Self::Other { action, reason },
        }
    }
}

impl SandboxError {
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
            | Self::BadImage { .. }
            | Self::Unpack { .. }
            | Self::NoProgram { .. }
            | Self::UnknownUser { .. } => FailureKind::Builder,
            Self::Result { .. } | Self::TooMuch { .. } | Self::Layer(_) | Self::Path(_) => {
                FailureKind::Assemble
            }
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
                vec!["use a network of a daemon: assemble with `--assemble docker`".into()]
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
            Self::TooMuch { .. } => vec![change_hint("change-files")],
            Self::UnknownUser { .. } => vec!["name a numeric user with `--assemble-user UID:GID`".into()],
            Self::Mount { hint, .. } => hint.iter().map(|hint| (*hint).to_owned()).collect(),
            Self::File(error) => error.hints(),
            Self::BadImage { .. } => vec!["choose another base or builder image".into()],
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
