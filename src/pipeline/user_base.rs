//! Owns looking at the base that the user names (`--base`): it is resolved before the plan, because the plan depends on what
//! it has.
//!
//! Must not decide whether the base fits; selection does.

use super::base::{BaseOptions, BaseResolver};
use crate::blocking::blocking;
use crate::builder::observe::{Observations, observe, observe_layers};
use crate::builder::{Base, BaseAssumptions, BaseName, Catalog};
use crate::error::Error;
use crate::image::{BaseImage, Platform, open_tar};
use crate::plan::{BaseSource, Machine, PlanError};
use crate::request::Request;
use crate::session::Session;
use crate::store::cache::ObservedBases;
use crate::store::daemon::Daemon;
use crate::transport::{Location, Transport};

/// A base that the user names, for one platform.
pub(crate) struct UserBase {
    platform: Platform,
    source: BaseSource,
    pub(crate) base: Base,
    /// None if the catalog lists the base, so that nothing had to be looked at.
    pub(crate) image: Option<BaseImage>,
}

impl UserBase {
    /// Whether it is what a stage builds on.
    pub(crate) fn fits(&self, base: &BaseName, source: BaseSource, platform: &Platform) -> bool {
        self.base.image == *base && self.source == source && self.platform == *platform
    }
}

/// The input of looking at a base.
pub(crate) struct Looking<'a> {
    pub(crate) request: &'a Request,
    pub(crate) location: &'a Location,
    pub(crate) catalog: &'a Catalog,
    pub(crate) machine: &'a Machine,
    pub(crate) session: &'a Session,
}

impl Looking<'_> {
    /// Finds the base for a platform, or for this machine's, and what it has.
    ///
    /// # Errors
    /// [`Error`] if the base cannot be read, or is not for the platform.
    pub(crate) async fn look(
        &self,
        platform: Option<Platform>,
        daemon: Option<&Daemon>,
    ) -> Result<UserBase, Error> {
        let platform = platform.unwrap_or_else(|| self.machine.native_platform.clone());
        let named = BaseName::from(self.location.clone());
        let image = self.catalog.replacement(&named).cloned().unwrap_or_else(|| named.clone());
        let source = self.source(&image)?;
        let base = |assumptions, is_observed| Base {
            image: image.clone(),
            replaces: Some(named.clone()).filter(|named| *named != image),
            assumptions,
            is_observed,
        };
        if let Some(listed) = self.catalog.assumptions(&named) {
            return Ok(UserBase { platform, source, base: base(listed.clone(), false), image: None });
        }
        let resolver = BaseResolver::new(self.session, daemon, self.request.offline);
        let options = BaseOptions {
            platform: platform.clone(),
            pull: self.request.pull,
            pinned: None,
            may_be_local: true,
        };
        let found = resolver.resolve_base(&image, source, options).await?;
        let assumptions = self.assumptions(&found, daemon).await?;
        Ok(UserBase { platform, source, base: base(assumptions, true), image: Some(found) })
    }

    /// The source that a placement's plan chooses, so that the image is resolved once.
    fn source(&self, image: &BaseName) -> Result<BaseSource, PlanError> {
        let outputs = &self.request.outputs;
        match image {
            BaseName::BuiltInStatic => Ok(BaseSource::BuiltIn),
            BaseName::Location(location) if location.is_file() => Ok(BaseSource::File),
            BaseName::Location(_) if !self.machine.daemon => {
                Err(PlanError::NoDaemonForBase { base: image.to_string() })
            }
            BaseName::Location(_) => Ok(BaseSource::Daemon),
            BaseName::Image(_) if self.machine.daemon && !outputs.iter().any(Transport::accepts_index) => {
                Ok(BaseSource::Daemon)
            }
            BaseName::Image(_) => Ok(BaseSource::Registry),
        }
    }

    /// The assumptions about the base, from the cache or from its files.
    async fn assumptions(
        &self,
        image: &BaseImage,
        daemon: Option<&Daemon>,
    ) -> Result<BaseAssumptions, Error> {
        let lease = self.session.lease()?;
        let known = ObservedBases::open(lease.cache(), lease.temporary_directory())?;
        let config = image.config.digest();
        if let Some(assumptions) = known.get(&config) {
            return Ok(assumptions);
        }
        let mut observations = self.observations(image, daemon).await?;
        observations.add_config(&image.config);
        let assumptions = observations.assumptions(&image.config);
        known.put(&config, &assumptions);
        Ok(assumptions)
    }

    async fn observations(&self, image: &BaseImage, daemon: Option<&Daemon>) -> Result<Observations, Error> {
        if let Some(image_id) = &image.image_id {
            let daemon = daemon.cloned().or_else(|| self.session.found_daemon()).ok_or(Error::NoDaemon)?;
            return Ok(daemon.read_tree(image_id, self.session.lease()?.id(), observe).await??);
        }
        let layers = image.layers.clone();
        let seen = blocking(move || observe_layers(layers.iter().rev().map(open_tar))).await;
        Ok(seen?)
    }
}
