//! Owns preparing an engine for containers of one image. Must not choose the engine; the plan does.

use super::sandbox::sandbox_settings;
use crate::engine::Engine;
use crate::engine::docker::DockerEngine;
use crate::engine::sandbox::SandboxEngine;
use crate::error::Error;
use crate::fs::Lease;
use crate::image::{BaseImage, Digest};
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

    /// Exports the layers of a base that only the daemon has.
    async fn with_files(&self, base: &BaseImage) -> Result<BaseImage, Error> {
        let Some(image_id) = &base.image_id else { return Ok(base.clone()) };
        let daemon = self.daemon.cloned().or_else(|| self.session.found_daemon()).ok_or(Error::NoDaemon)?;
        let name = format!("base-{}", Digest::of(image_id.as_bytes()).hex());
        let directory = self.lease.create_temporary_directory(&name)?;
        let files = daemon.layers(image_id, &base.diff_ids()?, &directory).await?;
        Ok(base.clone().with_files(&files))
    }

    /// Prepares the engine for containers of `base`. A daemon may have to load it.
    pub(crate) async fn ready(&self, kind: EngineKind, base: &BaseImage) -> Result<ReadyEngine, Error> {
        Ok(match kind {
            EngineKind::Docker => {
                let engine = Box::new(self.docker()?);
                let daemon = self.daemon.ok_or(Error::NoDaemon)?;
                let image =
                    daemon.ensure_loaded(base, self.lease.id(), self.lease.temporary_directory()).await?;
                ReadyEngine { engine, image }
            }
            EngineKind::Sandbox => {
                self.session.require_cache()?;
                let settings = sandbox_settings(self.session, self.lease, self.date, self.allow_root);
                let base = &self.with_files(base).await?;
                let engine = SandboxEngine::new(settings, base.clone(), self.session.events.clone());
                ReadyEngine { engine: Box::new(engine), image: base.name.clone() }
            }
        })
    }
}
