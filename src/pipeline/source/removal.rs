//! Owns the removal of the image that a name meant before an incremental build gave it to another one (`--rm`).
//!
//! Never fails a build that went well: what stays is told with the reason.

use super::prepare::PreparedSource;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::error::Error;
use crate::image::ImageReference;
use crate::plan::Plan;
use crate::request::{Request, SourceBuildRequest};
use crate::session::Session;
use crate::store::daemon::{Daemon, Removal};

/// A removal that is asked for where nothing can be removed.
#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    #[error("`--rm` removes the image before from a daemon, and the new one does not go to one")]
    NoDaemonOutput,
    #[error("`--rm` removes the image that a name meant before, and the new one has no name")]
    NoName,
}

impl Diagnostic for RemovalError {
    fn kind(&self) -> FailureKind {
        FailureKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::NoDaemonOutput => {
                "leave `--rm` out, or let the image go to the daemon with `--output docker`".into()
            }
            Self::NoName => "name the image".into(),
        }]
    }
}

/// An image that is to go.
pub(super) struct Replaced {
    daemon: Daemon,
    name: ImageReference,
    id: String,
}

/// Refuses what cannot be removed.
pub(super) fn check(request: &Request, wanted: &SourceBuildRequest, plan: &Plan) -> Result<(), RemovalError> {
    if name(request, wanted).is_none() {
        return if is_asked(wanted) { Err(RemovalError::NoName) } else { Ok(()) };
    }
    match plan.writes_to_daemon() {
        true => Ok(()),
        false => Err(RemovalError::NoDaemonOutput),
    }
}

fn is_asked(wanted: &SourceBuildRequest) -> bool {
    wanted.incremental.as_ref().is_some_and(|previous| previous.remove)
}

/// The name whose image goes; nothing if none is to go.
fn name<'a>(request: &'a Request, wanted: &'a SourceBuildRequest) -> Option<&'a ImageReference> {
    let previous = wanted.incremental.as_ref().filter(|previous| previous.remove)?;
    previous.image.as_ref().or_else(|| request.tags.first())
}

/// The image that the name means by now, if one is to go.
pub(super) async fn replaced(
    request: &Request,
    wanted: &SourceBuildRequest,
    prepared: &PreparedSource,
) -> Result<Option<Replaced>, Error> {
    let (Some(name), Some(daemon)) = (name(request, wanted), &prepared.daemon) else { return Ok(None) };
    let id = daemon.id_of(name).await?;
    Ok(id.map(|id| Replaced { daemon: daemon.clone(), name: name.clone(), id }))
}

impl Replaced {
    /// Removes it, unless something else still uses it; says what was done.
    pub(super) async fn remove(self, session: &Session) {
        let events = &session.events;
        let shown = format!("the image that `{}` meant before ({})", self.name.familiar(), short(&self.id));
        match self.daemon.remove_unused(&self.id).await {
            Ok(Removal::Removed) => events.note(format!("removed {shown}")),
            Ok(Removal::Named(name)) if name == self.name.familiar() => {
                events
                    .note(format!("`{name}` still means the image that it meant before; nothing is removed"));
            }
            Ok(Removal::Named(name)) => events.note(format!("{shown} stays: its other name is `{name}`")),
            Ok(Removal::Used(reason)) => events.note(format!("{shown} stays: {reason}")),
            Err(error) => events.warning(format!("{shown} could not be removed: {error}"), None),
        }
    }
}

/// An ID as people know it.
fn short(id: &str) -> &str {
    let hex = id.strip_prefix("sha256:").unwrap_or(id);
    hex.get(..12).unwrap_or(hex)
}
