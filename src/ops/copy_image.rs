//! Owns copying to where no index and no manifest is kept: the daemon, and the archive that daemons load.
//!
//! One image arrives, the one for the platform that runs there, with the config that it has.

use std::sync::Arc;

use super::copy::{CopyRequest, ImageLocation, saved};
use crate::error::Error;
use crate::events::Step;
use crate::fs::{AtomicFile, Lease, create_private_directory};
use crate::image::{Digest, ImageReference, Platform};
use crate::pipeline::outputs::{blocking, with_path};
use crate::session::Session;
use crate::store::archive::{DockerArchive, unpack_resolved, write_resolved};
use crate::store::layout::Layout;
use crate::store::registry::ResolveOptions;
use crate::store::resolved::ResolvedImage;

/// Copies one image; gives its ID.
pub(crate) async fn copy(
    request: &CopyRequest,
    lease: &Arc<Lease>,
    session: &Session,
) -> Result<Digest, Error> {
    let daemon = match &request.destination {
        ImageLocation::Daemon(_) => Some(session.find_daemon().await?.ok_or(Error::NoDaemon)?),
        _ => None,
    };
    let runs = daemon.as_ref().map_or_else(Platform::host, |daemon| daemon.info().platform.clone());
    let platform = request.platform.clone().unwrap_or(runs);
    let image = Arc::new(resolve(request, platform, lease, session).await?);
    if request.platform.is_none() && image.root.is_some_and(|root| root != image.descriptor.digest) {
        let (place, platform) = (&request.destination, image.config.platform());
        let message = format!("`{place}` keeps one platform: it gets the image for {platform}");
        session.events.warning(message, None);
    }
    let directory = lease.temporary_directory().join("layers");
    create_private_directory(&directory)?;
    let packed = image.clone();
    let unpacked = blocking(move || Ok(unpack_resolved(&packed, &directory)?)).await?;
    match (&request.destination, daemon) {
        (ImageLocation::Daemon(name), Some(daemon)) => {
            daemon.take(image.clone(), unpacked, name, lease.id(), &session.events).await?;
        }
        (ImageLocation::DockerArchive(path), _) => {
            let step = session.events.start(Step::Write, request.destination.to_string(), None);
            let (path, lease, written) = (path.clone(), lease.clone(), image.clone());
            let names: Vec<String> = name(request, &image).iter().map(ImageReference::familiar).collect();
            blocking(move || {
                let mut out = AtomicFile::create(&path, None, &lease).map_err(Error::Output)?;
                let result = write_resolved(&written, &unpacked, &names, &mut out);
                result.map_err(|error| with_path(error, &out))?;
                out.commit().map_err(Error::Output)
            })
            .await?;
            step.finish("");
        }
        (place, _) => return Err(Error::Destination { place: place.to_string() }),
    }
    Ok(Digest::of(&image.config_bytes))
}

/// Finds the image for one platform.
async fn resolve(
    request: &CopyRequest,
    platform: Platform,
    lease: &Lease,
    session: &Session,
) -> Result<ResolvedImage, Error> {
    match &request.source {
        ImageLocation::Registry(name) => {
            let options = ResolveOptions {
                platform: Some(platform),
                offline: request.offline,
                ..ResolveOptions::default()
            };
            Ok(session.registries()?.resolve_image(name, &options).await?)
        }
        ImageLocation::OciDirectory(place) | ImageLocation::OciArchive(place) => {
            let place = place.clone();
            blocking(move || Ok(Layout::open(&place.path)?.resolve(&place, &platform)?)).await
        }
        ImageLocation::DockerArchive(path) => {
            let path = path.clone();
            blocking(move || Ok(DockerArchive::open(&path)?.resolve(None, &platform)?)).await
        }
        ImageLocation::Daemon(name) => {
            let (path, platform) = saved(request, name, lease, session).await?;
            blocking(move || Ok(DockerArchive::open(&path)?.resolve(None, &platform)?)).await
        }
    }
}

/// The name in an archive: the one that the image has where it is. A layout's may be a tag alone, which is no name.
fn name(request: &CopyRequest, image: &ResolvedImage) -> Option<ImageReference> {
    let name = match &request.source {
        ImageLocation::Registry(name) | ImageLocation::Daemon(name) => Some(name.clone()),
        _ => Some(&image.name).filter(|name| name.contains([':', '/'])).and_then(|name| name.parse().ok()),
    };
    name.filter(|name| name.digest().is_none())
}
