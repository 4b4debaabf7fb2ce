//! Owns preparing an engine for containers of one image. Must not choose the engine; the plan does.

use super::sandbox::sandbox_settings;
use crate::engine::Engine;
use crate::engine::docker::DockerEngine;
use crate::engine::sandbox::SandboxEngine;
use crate::error::Error;
use crate::fs::Lease;
use crate::image::BaseImage;
use crate::plan::EngineKind;
use crate::session::Session;
use crate::store::daemon::Daemon;

/// The common settings of a run's engines.
pub(crate) struct Engines<'a> {
    pub(crate) session: &'a Session,
    pub(crate) lease: &'a Lease,
    pub(crate) daemon: Option<&'a Daemon>,
    /// Date of new files in the sandbox, in seconds since 1970.
    pub(crate) date: u64,
    /// Whether the sandbox may run as root without a user namespace.
    pub(crate) allow_root: bool,
}

/// An engine that has an image.
pub(crate) struct ReadyEngine {
    pub(crate) engine: Box<dyn Engine>,
    /// The engine's name of the image.
    pub(crate) image: String,
}

impl Engines<'_> {
    pub(crate) fn docker(&self) -> Result<DockerEngine, Error> {
        let daemon = self.daemon.ok_or(Error::NoDaemon)?;
        Ok(DockerEngine::new(daemon.clone(), self.lease.temporary_directory().to_owned()))
    }

    /// Prepares the engine for containers of `base`. A daemon may have to load it.
    pub(crate) async fn ready(&self, kind: EngineKind, base: &BaseImage) -> Result<ReadyEngine, Error> {
        Ok(match kind {
            EngineKind::Docker => {
                let engine = Box::new(self.docker()?);
                let daemon = self.daemon.ok_or(Error::NoDaemon)?;
                ReadyEngine { engine, image: daemon.ensure_loaded(base, self.lease.id()).await? }
            }
            EngineKind::Sandbox => {
                let settings = sandbox_settings(self.session, self.lease, self.date, self.allow_root);
                let engine = SandboxEngine::new(settings, base.clone(), self.session.events.clone());
                ReadyEngine { engine: Box::new(engine), image: base.name.clone() }
            }
        })
    }
}
