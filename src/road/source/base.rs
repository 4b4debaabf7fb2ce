//! Owns finding the images of a source build: where its engine needs their layers.

use crate::image::{ImageReference, Platform};
use crate::plan::{BaseSource, EngineKind};
use crate::request::PullPolicy;
use crate::road::{Error, Surroundings};
use crate::store::daemon::{Daemon, ResolveOptions};
use crate::store::{BaseImage, registry};

/// How an image is to be found.
pub(super) struct Wanted<'a> {
    pub(super) reference: &'a ImageReference,
    pub(super) platform: Option<Platform>,
    pub(super) pull: PullPolicy,
    pub(super) offline: bool,
}

/// Where the engine needs the layers of an image.
pub(super) fn base_source(engine: EngineKind) -> BaseSource {
    match engine {
        EngineKind::Docker => BaseSource::Daemon,
        EngineKind::Sandbox => BaseSource::Registry,
    }
}

/// Finds an image for `engine`, and pulls it if the daemon lacks it.
pub(super) async fn find(
    wanted: Wanted<'_>,
    engine: EngineKind,
    daemon: Option<&Daemon>,
    surroundings: &Surroundings,
) -> Result<BaseImage, Error> {
    let Wanted { reference, platform, pull, offline } = wanted;
    match engine {
        EngineKind::Sandbox => {
            let options = registry::ResolveOptions { platform, pull, offline };
            Ok(surroundings.registries()?.resolve(reference, &options).await?)
        }
        EngineKind::Docker => {
            let credential_files = surroundings.daemon.credential_files.clone();
            let options = ResolveOptions { platform, pull, offline, credential_files };
            let daemon = daemon.ok_or(Error::NoDaemon)?;
            Ok(daemon.resolve(reference, &options, &surroundings.events).await?)
        }
    }
}
