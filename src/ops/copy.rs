//! Owns copying an image from one place to another: registries, layouts, archives, the daemon.
//!
//! Between registries, and from a layout to a registry, not one byte of a manifest changes, and indexes stay whole; so it
//! is into a layout for what has OCI's form. What has no manifest, as daemons and their archives, goes by way of a layout,
//! its layers compressed on the way. Where no index is kept, one image arrives, with the config that it has.

use std::path::PathBuf;
use std::sync::Arc;

use crate::blocking::blocking;
use crate::error::Error;
use crate::fs::{Lease, canonical_path};
use crate::image::{Digest, ImageReference, ManifestTree, Platform, PullPolicy};
use crate::pipeline::outputs::Sinks;
use crate::session::Session;
use crate::store::archive::DockerArchive;
use crate::store::daemon::ResolveOptions as DaemonOptions;
use crate::store::layout::Layout;
use crate::store::registry::ResolveOptions;
use crate::store::resolved::ResolvedImage;
use crate::store::{Content, LayerBlobs};
use crate::transport::{Location, Transport};

/// What is copied, and where to.
#[derive(Clone, Debug)]
pub struct CopyRequest {
    /// From where.
    pub source: Location,
    /// To where.
    pub destination: Location,
    /// The one platform to copy; none means all that there are.
    pub platform: Option<Platform>,
    /// Whether the network is forbidden.
    pub offline: bool,
}

/// A copy on its way.
struct Copy<'a> {
    request: &'a CopyRequest,
    lease: &'a Arc<Lease>,
    session: &'a Session,
}

/// Copies an image; gives the digest of its manifest or index at the destination, or the image's ID where there is none.
///
/// # Errors
/// [`Error`] of reading or writing; at the destination, names come last.
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
    let runs = daemon.as_ref().map_or_else(Platform::host, |daemon| daemon.info().platform.clone());
    let image = copy.image(request.platform.clone().unwrap_or(runs)).await?;
    if request.platform.is_none() && image.root.is_some_and(|root| root != image.descriptor.digest) {
        let (place, platform) = (&request.destination, image.config.platform());
        let message = format!("`{place}` keeps one platform: it gets the image for {platform}");
        session.events.warning(message, None);
    }
    let names: Vec<ImageReference> = match request.destination.name() {
        Some(name) => vec![name.clone()],
        None => copy.archive_name(&image).into_iter().collect(),
    };
    let written = sinks.write(to, Content::Images(&[image.into_image()]), &names, &blobs).await?;
    Ok(written.images.first().ok_or(Error::NoOutput)?.image_id)
}

/// Refuses what cannot be written, and what would replace what is read.
fn check(request: &CopyRequest) -> Result<(), Error> {
    let CopyRequest { source, destination, .. } = request;
    // One daemon is meant, and it has the image.
    let is_same_daemon = [source, destination].iter().all(|place| place.transport == Transport::Docker);
    if is_same_daemon || destination.digest.is_some() {
        return Err(Error::Destination { place: destination.to_string() });
    }
    // An archive that is replaced loses what is not copied: other names and platforms.
    match (source.transport.replaced_file(), destination.transport.replaced_file()) {
        (Some(read), Some(written)) if canonical_path(read) == canonical_path(written) => {
            Err(Error::OwnInput { path: written.display().to_string() })
        }
        _ => Ok(()),
    }
}

impl Copy<'_> {
    /// Finds what a place with manifests gets, and its name, where it has one.
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
        let image = daemon.resolve(name, &options, &self.session.events).await?;
        let image_id = image.image_id.as_ref().ok_or(Error::NoDaemon)?;
        let path = self.lease.temporary_directory().join("saved.tar");
        daemon.save(image_id, &path).await?;
        Ok((path, image.config.platform()))
    }

    /// The names at a place with manifests: in a layout the tag that was asked for, on the name that the image has.
    fn names(&self, name: Option<&ImageReference>) -> Result<Vec<ImageReference>, Error> {
        let place = &self.request.destination;
        if let Some(name) = place.name() {
            return Ok(vec![name.clone()]);
        }
        let refused = |_| Error::Destination { place: place.to_string() };
        let Some(tag) = &place.tag else { return Ok(name.cloned().into_iter().collect()) };
        let name = name.map_or_else(|| "localhost/image".to_owned(), ImageReference::name);
        Ok(vec![format!("{name}:{tag}").parse().map_err(refused)?])
    }

    /// The name in an archive: the one that the image has where it is. A layout's may be a tag alone, which is no name.
    fn archive_name(&self, image: &ResolvedImage) -> Option<ImageReference> {
        let own = || Some(&image.name).filter(|name| name.contains([':', '/']))?.parse().ok();
        let name = self.request.source.name().cloned().or_else(own);
        name.filter(|name| name.digest().is_none())
    }
}

async fn open_archive(path: PathBuf, platform: Platform) -> Result<ResolvedImage, Error> {
    Ok(blocking(move || DockerArchive::open(&path)?.resolve(None, &platform)).await?)
}
