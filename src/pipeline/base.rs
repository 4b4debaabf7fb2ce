//! Owns resolving base images in the daemon, a file or a registry, with one connection and one token for all.
//!
//! Must not choose between them; the plan does.

use std::sync::OnceLock;

use crate::blocking::blocking;
use crate::builder::BaseName;
use crate::error::Error;
use crate::events::{Events, Step};
use crate::image::{BaseImage, Digest, ImageReference, Platform, PullPolicy};
use crate::plan::BaseSource;
use crate::session::Session;
use crate::store::archive::DockerArchive;
use crate::store::builtin::static_base;
use crate::store::daemon::{Daemon, ResolveOptions};
use crate::store::layout::Layout;
use crate::store::registry;
use crate::store::registry::{Registries, RegistryError};
use crate::store::resolved::ResolvedImage;
use crate::transport::{Location, Transport};

/// A base image to resolve.
pub(crate) struct BaseQuery<'a> {
    pub(crate) reference: &'a ImageReference,
    /// None means the daemon's image, or this machine's platform.
    pub(crate) platform: Option<Platform>,
    pub(crate) pull: PullPolicy,
    /// The index of an earlier query, if its platforms must match.
    pub(crate) pinned: Option<Digest>,
    /// Whether the user names the image, so that only the daemon may have it.
    pub(crate) may_be_local: bool,
}

/// How a base is resolved, wherever it is.
pub(crate) struct BaseOptions {
    pub(crate) platform: Platform,
    pub(crate) pull: PullPolicy,
    /// See [`BaseQuery`].
    pub(crate) pinned: Option<Digest>,
    pub(crate) may_be_local: bool,
}

/// Finds the image for one platform in a layout or an archive.
///
/// # Errors
/// [`Error`] if the file cannot be read, or has no image for the platform.
pub(crate) async fn image_in_file(location: &Location, platform: &Platform) -> Result<ResolvedImage, Error> {
    let (place, wanted) = (location.layout(), platform.clone());
    let image = match location.transport {
        Transport::DockerArchive { .. } => {
            blocking(move || DockerArchive::open(&place.path)?.resolve(None, &wanted)).await?
        }
        _ => blocking(move || Layout::open(&place.path)?.resolve(&place, &wanted)).await?,
    };
    let found = image.config.platform();
    if !platform.matches(&found) {
        let (image, platform) = (location.to_string(), Box::new(platform.clone()));
        return Err(RegistryError::Platform { image, platform, available: vec![found] }.into());
    }
    Ok(image)
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
        let BaseQuery { reference, platform, pull, pinned, may_be_local } = query;
        let offline = self.offline;
        match source {
            BaseSource::Daemon => {
                let credential_files = self.session.host.daemon.credential_files.clone();
                let options = ResolveOptions { platform, pull, offline, credential_files };
                let daemon = self.daemon.cloned().or_else(|| self.session.found_daemon());
                let daemon = daemon.ok_or(Error::NoDaemon)?;
                if let Some(image) = self.in_layout(&daemon, reference, &options).await? {
                    return Ok(image);
                }
                Ok(daemon.resolve(reference, &options, &self.session.events).await?)
            }
            BaseSource::Registry | BaseSource::BuiltIn | BaseSource::File => {
                let local = match may_be_local && pull != PullPolicy::Always {
                    true => self.in_daemon(reference, platform.as_ref()).await,
                    false => None,
                };
                // Without a digest, `docker build` made it, or it was loaded: a registry does not have it.
                if let Some(image) = local.as_ref().filter(|image| image.manifest_digest.is_none()) {
                    return Ok(self.taken_from_daemon(reference, image.clone()));
                }
                let options = registry::ResolveOptions { platform, pull, offline, pinned };
                match (self.registries()?.resolve(reference, &options).await, local) {
                    // Podman, and Docker with containerd, give a digest to every image.
                    (Err(error), Some(image)) => {
                        tracing::debug!(%error, "the image is not in a registry");
                        let image = BaseImage { manifest_digest: reference.digest(), ..image };
                        Ok(self.taken_from_daemon(reference, image))
                    }
                    (resolved, _) => Ok(resolved?),
                }
            }
        }
    }

    /// Resolves a base wherever it is: built in, in a file, in the daemon or in a registry.
    pub(crate) async fn resolve_base(
        &self,
        base: &BaseName,
        source: BaseSource,
        query: BaseOptions,
    ) -> Result<BaseImage, Error> {
        let BaseOptions { platform, pull, pinned, may_be_local } = query;
        match (base.file(), base.reference()) {
            (Some(file), _) => {
                let step = self.session.events.start(Step::Base, file.to_string(), None);
                let image = image_in_file(file, &platform).await?.into_base();
                step.finish("from a file");
                Ok(image)
            }
            (None, Some(reference)) => {
                let platform = Some(platform);
                self.resolve(source, BaseQuery { reference, platform, pull, pinned, may_be_local }).await
            }
            (None, None) => Ok(static_base(&platform)),
        }
    }

    /// An image that the daemon lacks, and would pull, if a layout among the mirrors has it.
    async fn in_layout(
        &self,
        daemon: &Daemon,
        reference: &ImageReference,
        options: &ResolveOptions,
    ) -> Result<Option<BaseImage>, Error> {
        if !self.registries()?.has_layouts(reference)
            || (options.pull != PullPolicy::Always && daemon.id_of(reference).await?.is_some())
        {
            return Ok(None);
        }
        let platform = options.platform.clone().unwrap_or_else(|| daemon.info().platform.clone());
        Ok(self.registries()?.base_in_layout(reference, &platform).await)
    }

    /// An image that a daemon has.
    async fn in_daemon(&self, reference: &ImageReference, platform: Option<&Platform>) -> Option<BaseImage> {
        let daemon = match self.daemon {
            Some(daemon) => daemon.clone(),
            None => self.session.find_daemon().await.ok()??,
        };
        let options = ResolveOptions {
            platform: platform.cloned(),
            pull: PullPolicy::Never,
            offline: true,
            credential_files: Vec::new(),
        };
        daemon.resolve(reference, &options, &Events::silent()).await.ok()
    }

    fn taken_from_daemon(&self, reference: &ImageReference, image: BaseImage) -> BaseImage {
        self.session.events.start(Step::Base, reference.familiar(), None).finish("from the daemon");
        image
    }

    fn registries(&self) -> Result<&Registries, Error> {
        if let Some(registries) = self.registries.get() {
            return Ok(registries);
        }
        let registries = self.session.registries()?;
        Ok(self.registries.get_or_init(|| registries))
    }
}
