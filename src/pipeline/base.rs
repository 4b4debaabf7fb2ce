//! Owns resolving base images in the daemon or in a registry, with one connection and one token for all.
//!
//! Must not choose between them; the plan does.

use std::sync::OnceLock;

use crate::error::Error;
use crate::image::{BaseImage, Digest, ImageReference, Platform, PullPolicy};
use crate::plan::BaseSource;
use crate::session::Session;
use crate::store::daemon::{Daemon, ResolveOptions};
use crate::store::registry;
use crate::store::registry::Registries;

/// A base image to resolve.
pub(crate) struct BaseQuery<'a> {
    pub(crate) reference: &'a ImageReference,
    /// None means the daemon's image, or this machine's platform.
    pub(crate) platform: Option<Platform>,
    pub(crate) pull: PullPolicy,
    /// The index of an earlier query, if its platforms must match.
    pub(crate) pinned: Option<Digest>,
}

/// Resolves the base images of one run.
pub(crate) struct BaseResolver<'a> {
    session: &'a Session,
    daemon: Option<&'a Daemon>,
    offline: bool,
    registries: OnceLock<Registries>,
}

impl<'a> BaseResolver<'a> {
    pub(crate) fn new(session: &'a Session, daemon: Option<&'a Daemon>, offline: bool) -> Self {
        Self { session, daemon, offline, registries: OnceLock::new() }
    }

    /// Resolves an image, and pulls it by the policy.
    pub(crate) async fn resolve(&self, source: BaseSource, query: BaseQuery<'_>) -> Result<BaseImage, Error> {
        let BaseQuery { reference, platform, pull, pinned } = query;
        let offline = self.offline;
        match source {
            BaseSource::Daemon => {
                let credential_files = self.session.host.daemon.credential_files.clone();
                let options = ResolveOptions { platform, pull, offline, credential_files };
                let daemon = self.daemon.ok_or(Error::NoDaemon)?;
                Ok(daemon.resolve(reference, &options, &self.session.events).await?)
            }
            BaseSource::Registry | BaseSource::BuiltIn => {
                let options = registry::ResolveOptions { platform, pull, offline, pinned };
                Ok(self.registries()?.resolve(reference, &options).await?)
            }
        }
    }

    fn registries(&self) -> Result<&Registries, Error> {
        if let Some(registries) = self.registries.get() {
            return Ok(registries);
        }
        let registries = self.session.registries()?;
        Ok(self.registries.get_or_init(|| registries))
    }
}
