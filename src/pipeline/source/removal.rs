//! Owns removing the previous image of a name after an incremental build (`--rm`).
//!
//! Must not fail a successful build: a note says why an image stays.

use super::prepare::PreparedSource;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::error::Error;
use crate::image::ImageReference;
use crate::plan::Plan;
use crate::request::{Request, SourceBuildRequest};
use crate::session::Session;
use crate::store::daemon::{Daemon, Removal};

/// Why `--rm` cannot work.
#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    #[error("cannot remove the previous image (`--rm`): the new image does not go to a daemon")]
    NoDaemonOutput,
    #[error("cannot remove the previous image (`--rm`): the new image has no name")]
    NoName,
}

impl Diagnostic for RemovalError {
    fn kind(&self) -> FailureKind {
        FailureKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::NoDaemonOutput => {
                "remove `--rm`, or write the image to the daemon with `--output docker`".into()
            }
            Self::NoName => "name the image with `-t NAME:TAG`".into(),
        }]
    }
}

/// The image to remove.
pub(super) struct Replaced {
    daemon: Daemon,
    name: ImageReference,
    id: String,
}

/// Rejects a removal that cannot work.
pub(super) fn check(
    request: &Request,
    options: &SourceBuildRequest,
    plan: &Plan,
) -> Result<(), RemovalError> {
    if name(request, options).is_none() {
        return if removes(options) { Err(RemovalError::NoName) } else { Ok(()) };
    }
    match plan.writes_to_daemon() {
        true => Ok(()),
        false => Err(RemovalError::NoDaemonOutput),
    }
}

fn removes(options: &SourceBuildRequest) -> bool {
    options.incremental.as_ref().is_some_and(|previous| previous.remove)
}

/// The name of the image to remove; none without `--rm`.
fn name<'a>(request: &'a Request, options: &'a SourceBuildRequest) -> Option<&'a ImageReference> {
    let previous = options.incremental.as_ref().filter(|previous| previous.remove)?;
    previous.image.as_ref().or_else(|| request.tags.first())
}

/// Finds the image to remove before the build replaces it.
pub(super) async fn replaced(
    request: &Request,
    options: &SourceBuildRequest,
    prepared: &PreparedSource,
) -> Result<Option<Replaced>, Error> {
    let (Some(name), Some(daemon)) = (name(request, options), &prepared.daemon) else { return Ok(None) };
    let id = daemon.id_of(name).await?;
    Ok(id.map(|id| Replaced { daemon: daemon.clone(), name: name.clone(), id }))
}

impl Replaced {
    /// Removes the image unless it is in use, and reports the result.
    pub(super) async fn remove(self, session: &Session) {
        let events = &session.events;
        let shown = format!("the previous image of `{}` ({})", self.name.familiar(), short(&self.id));
        match self.daemon.remove_unused(&self.id).await {
            Ok(Removal::Removed) => events.note(format!("removed {shown}")),
            Ok(Removal::Named(name)) if name == self.name.familiar() => {
                events.note(format!("`{name}` is unchanged; the image stays"));
            }
            Ok(Removal::Named(name)) => events.note(format!("{shown} stays: its other name is `{name}`")),
            Ok(Removal::Used(reason)) => events.note(format!("{shown} stays: {reason}")),
            Err(error) => events.warning(format!("{shown} could not be removed: {error}"), None),
        }
    }
}

/// The usual short form of an ID.
fn short(id: &str) -> &str {
    let hex = id.strip_prefix("sha256:").unwrap_or(id);
    hex.get(..12).unwrap_or(hex)
}
