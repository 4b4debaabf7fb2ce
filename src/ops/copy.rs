//! Owns copying an image from one place to another: registries, layouts, archives, the daemon.
//!
//! Between registries, and from a layout to a registry, not one byte of a manifest changes, and indexes stay whole; so it
//! is into a layout for what has OCI's form.
//! What has no manifest, as daemons and their archives, goes by way of a layout, its layers compressed on the way.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::copy_image;
use crate::error::Error;
use crate::events::Step;
use crate::fs::{AtomicFile, Lease, canonical_path};
use crate::image::compression::Compression;
use crate::image::{Descriptor, Digest, ImageReference, Platform};
use crate::pipeline::outputs::blocking;
use crate::request::PullPolicy;
use crate::session::Session;
use crate::store::archive::DockerArchive;
use crate::store::daemon::ResolveOptions as DaemonOptions;
use crate::store::layout::{CopyOptions, Layout, LayoutReference, archive_layout, copy_to_layout};
use crate::store::registry::ResolveOptions;
use crate::store::{BaseLayers, BlobSource};

/// A place where images are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageLocation {
    /// A registry: a plain name, or one behind `docker://`.
    Registry(ImageReference),
    /// `docker-daemon:NAME`.
    Daemon(ImageReference),
    /// `docker-archive:PATH`.
    DockerArchive(PathBuf),
    /// `oci:PATH[:TAG|@DIGEST]`.
    OciDirectory(LayoutReference),
    /// `oci-archive:PATH[:TAG|@DIGEST]`.
    OciArchive(LayoutReference),
}

impl FromStr for ImageLocation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = |text: &str| text.parse::<ImageReference>().map_err(|error| error.to_string());
        if let Some(rest) = text.strip_prefix("docker://") {
            return name(rest).map(Self::Registry);
        }
        match text.split_once(':') {
            Some(("docker-daemon", rest)) => name(rest).map(Self::Daemon),
            Some(("oci", rest)) => rest.parse().map(Self::OciDirectory),
            Some(("oci-archive", rest)) => rest.parse().map(Self::OciArchive),
            Some(("docker-archive", "")) => Err("`docker-archive:` names no file".into()),
            Some(("docker-archive", rest)) => Ok(Self::DockerArchive(rest.into())),
            _ => name(text).map(Self::Registry),
        }
    }
}

impl fmt::Display for ImageLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(name) => formatter.write_str(&name.familiar()),
            Self::Daemon(name) => write!(formatter, "docker-daemon:{}", name.familiar()),
            Self::DockerArchive(path) => write!(formatter, "docker-archive:{}", path.display()),
            Self::OciDirectory(place) => write!(formatter, "oci:{place}"),
            Self::OciArchive(place) => write!(formatter, "oci-archive:{place}"),
        }
    }
}

/// What is copied, and where to.
#[derive(Clone, Debug)]
pub struct CopyRequest {
    /// From where.
    pub source: ImageLocation,
    /// To where.
    pub destination: ImageLocation,
    /// The one platform to copy; none means all that there are.
    pub platform: Option<Platform>,
    /// Whether the network is forbidden.
    pub offline: bool,
}

/// What was found at the source.
struct Found {
    root: Descriptor,
    blobs: Arc<dyn BlobSource>,
    /// Its name, where it has one.
    name: Option<ImageReference>,
    /// Whether it comes from a daemon's world: without a manifest of its own, and with plain layers.
    is_raw: bool,
}

/// Copies an image; gives the digest of its manifest or index at the destination, or the image's ID where there is none.
///
/// # Errors
/// [`Error`] of reading or writing; at the destination, names come last.
pub async fn copy(request: &CopyRequest, session: &Session) -> Result<Digest, Error> {
    let refused = || Error::Destination { place: request.destination.to_string() };
    match &request.destination {
        // One daemon is meant, and it has the image.
        ImageLocation::Daemon(_) if matches!(request.source, ImageLocation::Daemon(_)) => {
            return Err(refused());
        }
        ImageLocation::OciDirectory(place) | ImageLocation::OciArchive(place) if place.digest.is_some() => {
            return Err(refused());
        }
        _ => {}
    }
    check_place(request)?;
    let lease = session.lease()?;
    if let ImageLocation::Daemon(_) | ImageLocation::DockerArchive(_) = &request.destination {
        return copy_image::copy(request, &lease, session).await;
    }
    let found = find(request, &lease, session).await?;
    let events = &session.events;
    match &request.destination {
        ImageLocation::Registry(tag) => {
            let (root, blobs) = if found.is_raw {
                let directory = lease.temporary_directory().join("copy");
                let root = lay_out(&found, request, Vec::new(), &directory, &lease).await?;
                (root, Layout::open(&directory)?.blobs())
            } else {
                (found.root, found.blobs)
            };
            session.registries()?.copy(&root, &blobs, std::slice::from_ref(tag)).await?;
            Ok(root.digest)
        }
        ImageLocation::OciDirectory(place) => {
            let step = events.start(Step::Write, request.destination.to_string(), None);
            let tags = names(&found, place)?;
            let root = lay_out(&found, request, tags, &place.path, &lease).await?;
            step.finish("");
            Ok(root.digest)
        }
        ImageLocation::OciArchive(place) => {
            let step = events.start(Step::Write, request.destination.to_string(), None);
            let tags = names(&found, place)?;
            let directory = lease.temporary_directory().join("copy");
            let root = lay_out(&found, request, tags, &directory, &lease).await?;
            let (path, lease) = (place.path.clone(), lease.clone());
            blocking(move || {
                let mut out = AtomicFile::create(&path, None, &lease).map_err(Error::Output)?;
                archive_layout(&directory, &mut out)?;
                out.commit().map_err(Error::Output)
            })
            .await?;
            step.finish("");
            Ok(root.digest)
        }
        // Taken above.
        ImageLocation::Daemon(_) | ImageLocation::DockerArchive(_) => Err(refused()),
    }
}

/// An archive that is replaced loses what is not copied: other names and platforms.
fn check_place(request: &CopyRequest) -> Result<(), Error> {
    let (ImageLocation::OciArchive(LayoutReference { path: read, .. }) | ImageLocation::DockerArchive(read)) =
        &request.source
    else {
        return Ok(());
    };
    match &request.destination {
        ImageLocation::OciArchive(LayoutReference { path: written, .. })
        | ImageLocation::DockerArchive(written)
            if canonical_path(written) == canonical_path(read) =>
        {
            Err(Error::OwnInput { path: written.display().to_string() })
        }
        _ => Ok(()),
    }
}

async fn find(request: &CopyRequest, lease: &Lease, session: &Session) -> Result<Found, Error> {
    let platform = request.platform.clone();
    match &request.source {
        ImageLocation::Registry(name) => {
            let registries = session.registries()?;
            let options = ResolveOptions { platform, offline: request.offline, ..ResolveOptions::default() };
            let (root, blobs) = if options.platform.is_some() {
                let image = registries.resolve_image(name, &options).await?;
                (image.descriptor, image.blobs)
            } else {
                let image = registries.open(name, &options).await?;
                (image.descriptor, image.blobs)
            };
            Ok(Found { root, blobs, name: Some(name.clone()), is_raw: false })
        }
        ImageLocation::OciDirectory(place) | ImageLocation::OciArchive(place) => {
            let place = place.clone();
            blocking(move || {
                let layout = Layout::open(&place.path)?;
                let root = match &platform {
                    Some(platform) => layout.resolve(&place, platform)?.descriptor,
                    None => layout.root(&place)?,
                };
                Ok(Found { root, blobs: layout.blobs(), name: None, is_raw: false })
            })
            .await
        }
        ImageLocation::DockerArchive(path) => {
            open_archive(path.clone(), platform.unwrap_or_else(Platform::host), None).await
        }
        ImageLocation::Daemon(name) => {
            let (path, platform) = saved(request, name, lease, session).await?;
            open_archive(path, platform, Some(name.clone())).await
        }
    }
}

/// Saves an image of the daemon to a file of the lease.
pub(crate) async fn saved(
    request: &CopyRequest,
    name: &ImageReference,
    lease: &Lease,
    session: &Session,
) -> Result<(PathBuf, Platform), Error> {
    let daemon = session.find_daemon().await?.ok_or(Error::NoDaemon)?;
    let options = DaemonOptions {
        platform: request.platform.clone(),
        pull: PullPolicy::Never,
        offline: request.offline,
        ..Default::default()
    };
    let image = daemon.resolve(name, &options, &session.events).await?;
    let BaseLayers::Daemon { image_id } = &image.layers else { return Err(Error::NoDaemon) };
    let path = lease.temporary_directory().join("saved.tar");
    daemon.save(image_id, &path).await?;
    Ok((path, image.config.platform()))
}

async fn open_archive(
    path: PathBuf,
    platform: Platform,
    name: Option<ImageReference>,
) -> Result<Found, Error> {
    blocking(move || {
        let image = DockerArchive::open(&path)?.resolve(None, &platform)?;
        let name = name.or_else(|| image.name.parse().ok());
        Ok(Found { root: image.descriptor, blobs: image.blobs, name, is_raw: true })
    })
    .await
}

async fn lay_out(
    found: &Found,
    request: &CopyRequest,
    tags: Vec<ImageReference>,
    directory: &Path,
    lease: &Arc<Lease>,
) -> Result<Descriptor, Error> {
    let (root, blobs) = (found.root.clone(), found.blobs.clone());
    let compression = found.is_raw.then_some(Compression::Auto);
    let options = CopyOptions { name: request.source.to_string(), tags, compression };
    let (directory, lease) = (directory.to_owned(), lease.clone());
    blocking(move || Ok(copy_to_layout(&root, &blobs, &options, &directory, &lease)?)).await
}

/// The names in a layout: the tag that was asked for, on the name that the image has.
fn names(found: &Found, place: &LayoutReference) -> Result<Vec<ImageReference>, Error> {
    let refused = |_| Error::Destination { place: place.to_string() };
    let Some(tag) = &place.tag else { return Ok(found.name.iter().cloned().collect()) };
    let name = found.name.as_ref().map_or_else(|| "localhost/image".to_owned(), ImageReference::name);
    Ok(vec![format!("{name}:{tag}").parse().map_err(refused)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_written_as_they_are_read() {
        for text in [
            "registry.example/team/app:1",
            "docker-daemon:app:1",
            "docker-archive:./app.tar",
            "oci:./image",
            "oci:./image:1.2",
            "oci-archive:app.tar:1",
        ] {
            assert_eq!(text.parse::<ImageLocation>().expect("a place").to_string(), text);
        }
        let named: ImageLocation = "docker://registry.example/app:1".parse().expect("a place");
        assert_eq!(named, "registry.example/app:1".parse().expect("a place"));
        for text in ["", "oci:", "docker-archive:", "docker-daemon:", "docker://", "UPPER CASE"] {
            text.parse::<ImageLocation>().expect_err(text);
        }
    }
}
