//! Owns finding the images of a source build: where its engine needs their layers.

use crate::error::Error;
use crate::image::{BaseImage, ImageReference, Platform};
use crate::plan::{BaseSource, EngineKind};
use crate::request::{PullPolicy, Request};
use crate::session::Session;
use crate::store::builtin::static_base;
use crate::store::daemon::{Daemon, ResolveOptions};
use crate::store::registry;

/// Where the engine needs the layers of an image.
pub(super) fn base_source(engine: EngineKind) -> BaseSource {
    match engine {
        EngineKind::Docker => BaseSource::Daemon,
        EngineKind::Sandbox => BaseSource::Registry,
    }
}

/// What images are found by.
pub(super) struct Images<'a> {
    pub(super) engine: EngineKind,
    pub(super) daemon: Option<&'a Daemon>,
    /// None means the engine's own.
    pub(super) platform: Option<Platform>,
    pub(super) request: &'a Request,
    pub(super) session: &'a Session,
}

impl Images<'_> {
    fn platform(&self) -> Platform {
        let native = || match self.daemon.filter(|_| self.engine == EngineKind::Docker) {
            Some(daemon) => daemon.info().platform.clone(),
            None => Platform::host(),
        };
        self.platform.clone().unwrap_or_else(native)
    }

    /// Finds an image, and pulls it if the daemon lacks it.
    pub(super) async fn find(
        &self,
        reference: &ImageReference,
        pull: PullPolicy,
    ) -> Result<BaseImage, Error> {
        let (platform, offline) = (Some(self.platform()), self.request.offline);
        match self.engine {
            EngineKind::Sandbox => {
                let options = registry::ResolveOptions { platform, pull, offline, pinned: None };
                Ok(self.session.registries()?.resolve(reference, &options).await?)
            }
            EngineKind::Docker => {
                let credential_files = self.session.host.daemon.credential_files.clone();
                let options = ResolveOptions { platform, pull, offline, credential_files };
                let daemon = self.daemon.ok_or(Error::NoDaemon)?;
                Ok(daemon.resolve(reference, &options, &self.session.events).await?)
            }
        }
    }

    /// The base that is part of b2i.
    pub(super) fn built_in(&self) -> BaseImage {
        static_base(&self.platform())
    }
}
