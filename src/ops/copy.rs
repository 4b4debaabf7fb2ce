//! Owns the copy of an image between registries, layouts, archives and the daemon.
//!
//! Must not change a byte of a manifest between registries and layouts, where indexes stay complete. A daemon or a
//! `docker-archive` has no manifest: the copy compresses its layers. It stores no index: it receives one image, with its config.

use std::path::PathBuf;
use std::sync::Arc;

use crate::blocking::blocking;
use crate::error::Error;
use crate::fs::{Lease, canonical_path};
use crate::image::{Digest, ImageReference, ManifestTree, Platform, PullPolicy};
use crate::pipeline::outputs::Sinks;
use crate::request::RequestError;
use crate::session::Session;
use crate::store::archive::DockerArchive;
use crate::store::daemon::{DaemonError, ResolveOptions as DaemonOptions};
use crate::store::layout::Layout;
use crate::store::registry::ResolveOptions;
use crate::store::resolved::ResolvedImage;
use crate::store::{Content, LayerBlobs};
use crate::transport::{Location, Transport};

/// One copy of an image.
#[derive(Clone, Debug)]
pub struct CopyRequest {
    /// The source.
    pub source: Location,
    /// The destination.
    pub destination: Location,
    /// The platform to copy. Default: all.
    pub platform: Option<Platform>,
    /// Never use the network.
    pub offline: bool,
}

/// A running copy.
struct Copy<'a> {
    request: &'a CopyRequest,
    lease: &'a Arc<Lease>,
    session: &'a Session,
}

/// Copies an image and returns the digest of its manifest or index at the destination, else the image ID.
///
/// # Errors
/// [`Error`] if reading or writing fails. Tags are written last.
pub async fn copy(request: &CopyRequest, session: &Session) -> Result<Digest, Error> {
    check(request)?;
    let to = &request.destination.transport;
    let lease = session.lease()?;
    let daemon = match to {
        Transport::Docker => Some(session.find_daemon().await?.ok_or(Error::NoDaemon)?),
        _ => None,
    };
    let copy = Copy { request, lease: &lease, session };
    let sinks = Sinks { session, lease: &lease, daemon: daemon.as_ref() };
    let blobs = LayerBlobs::default();
    if to.accepts_index() {
        let (tree, name) = copy.tree().await?;
        let names = copy.names(name.as_ref())?;
        let written = sinks.write(to, Content::Tree(&tree), &names, &blobs).await?;
        return Ok(written.root.ok_or(Error::NoOutput)?.digest);
    }
    let native = daemon.as_ref().map_or_else(Platform::host, |daemon| daemon.info().platform.clone());
    let image = copy.image(request.platform.clone().unwrap_or(native)).await?;
    if request.platform.is_none() && image.root.is_some_and(|root| root != image.descriptor.digest) {
        let (place, platform) = (&request.destination, image.config.platform());
        let message = format!("`{place}` stores one platform: copying the image for {platform}");
        session.events.warning(message, None);
    }
    let names: Vec<ImageReference> = match request.destination.name() {
        Some(name) => vec![name.clone()],
        None => copy.archive_name(&image).into_iter().collect(),
    };
    let written = sinks.write(to, Content::Images(&[image.into_image()]), &names, &blobs).await?;
    Ok(written.images.first().ok_or(Error::NoOutput)?.image_id)
}

/// Rejects destinations that cannot be written or would overwrite the source.
fn check(request: &CopyRequest) -> Result<(), Error> {
    let CopyRequest { source, destination, .. } = request;
    // There is one daemon, and it has the image already.
    let is_same_daemon = [source, destination].iter().all(|place| place.transport == Transport::Docker);
    if is_same_daemon || destination.digest.is_some() {
        return Err(Error::Destination { place: destination.to_string() });
    }
    // Only Docker may push there, and every tool writes such a name for an image without a registry.
    if let (Transport::Registry, Some(name)) = (&destination.transport, destination.name())
        && name.is_official()
    {
        return Err(RequestError::OfficialName { name: name.familiar() }.into());
    }
    // Replacing the archive would lose its other names and platforms.
    match (source.transport.replaced_file(), destination.transport.replaced_file()) {
        (Some(source), Some(target)) if canonical_path(source) == canonical_path(target) => {
            Err(Error::OwnInput { path: target.display().to_string() })
        }
        _ => Ok(()),
    }
}

impl Copy<'_> {
    /// Finds the manifests to copy, and the name of the image if it has one.
    async fn tree(&self) -> Result<(ManifestTree, Option<ImageReference>), Error> {
        let CopyRequest { source, platform, offline, .. } = self.request;
        let (tree, name) = match (&source.transport, source.name()) {
            (Transport::Registry, Some(name)) if platform.is_none() => {
                let options = ResolveOptions { offline: *offline, ..ResolveOptions::default() };
                (self.session.registries()?.open(name, &options).await?, Some(name.clone()))
            }
            (Transport::OciDirectory { .. } | Transport::OciArchive { .. }, _) if platform.is_none() => {
                let place = source.layout();
                let tree = blocking(move || Layout::open(&place.path)?.tree(&place)).await?;
                (tree, None)
            }
            (transport, name) => {
                let image = self.image(platform.clone().unwrap_or_else(Platform::host)).await?;
                let is_raw = !transport.accepts_index();
                let name = name.cloned().or_else(|| image.name.parse().ok().filter(|_| is_raw));
                (ManifestTree { is_raw, ..image.tree() }, name)
            }
        };
        Ok((ManifestTree { name: source.to_string(), ..tree }, name))
    }

    /// Finds the image for one platform.
    async fn image(&self, platform: Platform) -> Result<ResolvedImage, Error> {
        let source = &self.request.source;
        match (&source.transport, source.name()) {
            (Transport::Registry, Some(name)) => {
                let (platform, offline) = (Some(platform), self.request.offline);
                let options = ResolveOptions { platform, offline, ..ResolveOptions::default() };
                Ok(self.session.registries()?.resolve_image(name, &options).await?)
            }
            (Transport::OciDirectory { .. } | Transport::OciArchive { .. }, _) => {
                let place = source.layout();
                Ok(blocking(move || Layout::open(&place.path)?.resolve(&place, &platform)).await?)
            }
            (Transport::DockerArchive { path }, _) => open_archive(path.clone(), platform).await,
            (Transport::Docker, Some(name)) => {
                let (path, platform) = self.saved(name).await?;
                open_archive(path, platform).await
            }
            (Transport::Registry | Transport::Docker, None) => {
                Err(Error::Destination { place: source.to_string() })
            }
        }
    }

    /// Saves an image of the daemon to a file of the lease.
    async fn saved(&self, name: &ImageReference) -> Result<(PathBuf, Platform), Error> {
        let daemon = self.session.find_daemon().await?.ok_or(Error::NoDaemon)?;
        let options = DaemonOptions {
            platform: self.request.platform.clone(),
            pull: PullPolicy::Never,
            offline: self.request.offline,
            ..Default::default()
        };
        let image =
            daemon.resolve(name, &options, &self.session.events).await.map_err(|error| match error {
                DaemonError::ImageMissing { name, address, .. } => {
                    DaemonError::CopySourceMissing { name, address }
                }
                error => error,
            })?;
        let image_id = image.image_id.as_ref().ok_or(Error::NoDaemon)?;
        let path = self.lease.temporary_directory().join("saved.tar");
        daemon.save(image_id, &path).await?;
        Ok((path, image.config.platform()))
    }

    /// The names at a destination with manifests. In a layout: the tag of the destination on the name of the image.
    fn names(&self, name: Option<&ImageReference>) -> Result<Vec<ImageReference>, Error> {
        let place = &self.request.destination;
        if let Some(name) = place.name() {
            return Ok(vec![name.clone()]);
        }
        let invalid = |_| Error::Destination { place: place.to_string() };
        let Some(tag) = &place.tag else { return Ok(name.cloned().into_iter().collect()) };
        let name = name.map_or_else(|| "localhost/image".to_owned(), ImageReference::name);
        Ok(vec![format!("{name}:{tag}").parse().map_err(invalid)?])
    }

    /// The name in an archive: the name of the image at the source. A layout may have a tag only, which is not a name.
    fn archive_name(&self, image: &ResolvedImage) -> Option<ImageReference> {
        let own = || Some(&image.name).filter(|name| name.contains([':', '/']))?.parse().ok();
        let name = self.request.source.name().cloned().or_else(own);
        name.filter(|name| name.digest().is_none())
    }
}

async fn open_archive(path: PathBuf, platform: Platform) -> Result<ResolvedImage, Error> {
    Ok(blocking(move || DockerArchive::open(&path)?.resolve(None, &platform)).await?)
}
