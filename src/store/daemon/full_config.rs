//! Owns reading the config of an image as it was made, where a daemon's answers leave fields out: Podman tells neither
//! `OnBuild` nor `Shell`.
//!
//! The config comes last in what Podman saves, so all layers pass by; whoever asks remembers the answer, which an image's
//! ID stands for.

use std::io::{self, Read};

use super::connection::Daemon;
use super::error::DaemonError;
use super::info::DaemonFlavour;
use super::request::RawRequest;
use crate::image::{Digest, ImageConfig};
use crate::stream::{pump, stream_to_reader};

/// Podman's own interface, which saves an image in the form that it has.
const PODMAN_API: &str = "/v4.0.0/libpod";

/// Largest config, in bytes.
const MAXIMUM: u64 = 8 << 20;

impl Daemon {
    /// Whether the config that [`Daemon::resolve`] gives lacks fields.
    pub fn leaves_fields_out(&self) -> bool {
        self.info().flavour == DaemonFlavour::Podman
    }

    /// The config of an image whose ID it is the digest of; nothing if it is not in what the daemon saves.
    ///
    /// # Errors
    /// [`DaemonError::Request`] if the daemon does not give the image.
    pub async fn whole_config(&self, image_id: &str) -> Result<Option<ImageConfig>, DaemonError> {
        let failed = |error: &_| self.request_error(format!("save the image {image_id}"), error);
        let Ok(wanted) = image_id.parse::<Digest>() else { return Ok(None) };
        let path = format!("{PODMAN_API}/images/{}", wanted.hex());
        let answer = self.get_json(format!("{path}/json")).await.map_err(|error| failed(&error))?;
        // In the other form the config is put together anew, without the fields.
        let is_oci = answer["ManifestType"].as_str().is_some_and(|kind| kind.contains("oci.image"));
        let format = if is_oci { "oci-archive" } else { "docker-archive" };
        let stream = self.raw(RawRequest::get(format!("{path}/get?format={format}")));
        let (sender, reader) = stream_to_reader();
        let reading = tokio::task::spawn_blocking(move || find(reader, wanted));
        let (found, ()) = tokio::join!(reading, pump(stream, sender));
        let found = found.map_err(io::Error::other).flatten();
        let bytes = found.map_err(|error| failed(&bollard::errors::Error::from(error)))?;
        Ok(bytes.and_then(|bytes| ImageConfig::parse(&bytes).ok()))
    }
}

/// The file of the archive that has this digest and is named by it.
fn find(reader: impl Read, wanted: Digest) -> io::Result<Option<Vec<u8>>> {
    for entry in tar::Archive::new(reader).entries()? {
        let entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = name.rsplit('/').next().unwrap_or_default();
        if name.trim_end_matches(".json") != wanted.hex() || entry.size() > MAXIMUM {
            continue;
        }
        let mut bytes = Vec::new();
        entry.take(MAXIMUM).read_to_end(&mut bytes)?;
        if Digest::of(&bytes) == wanted {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}
