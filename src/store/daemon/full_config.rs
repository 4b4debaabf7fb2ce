//! Owns reading the original config of an image, where a daemon's answers lack fields: Podman returns neither `OnBuild`
//! nor `Shell`. Must not remember it; the caller does.
//!
//! The config comes last in what Podman saves, after all layers.

use std::io::{self, Read};

use super::connection::Daemon;
use super::error::DaemonError;
use super::info::DaemonFlavour;
use super::request::PODMAN_API;
use crate::fs::BoundedTar;
use crate::image::{Digest, ImageConfig};

const MAXIMUM: u64 = 8 << 20;

impl Daemon {
    /// Whether the config of [`Daemon::resolve`] lacks fields.
    pub fn leaves_fields_out(&self) -> bool {
        self.info().flavour == DaemonFlavour::Podman
    }

    /// The config with the digest `image_id`; `None` if the archive that the daemon exports does not contain it.
    pub async fn whole_config(&self, image_id: &str) -> Result<Option<ImageConfig>, DaemonError> {
        let failed = |error: &_| self.request_error(format!("save the image {image_id}"), error);
        let Ok(digest) = image_id.parse::<Digest>() else { return Ok(None) };
        let path = format!("{PODMAN_API}/images/{}", digest.hex());
        let answer = self.get_json(format!("{path}/json")).await.map_err(|error| failed(&error))?;
        // In the other format the config is made anew, without the fields.
        let is_oci = answer["ManifestType"].as_str().is_some_and(|kind| kind.contains("oci.image"));
        let format = if is_oci { "oci-archive" } else { "docker-archive" };
        let saved = self.read_raw(format!("{path}/get?format={format}"), move |reader| find(reader, digest));
        let bytes = saved.await.map_err(|error| failed(&bollard::errors::Error::from(error)))?;
        Ok(bytes.and_then(|bytes| ImageConfig::parse(&bytes).ok()))
    }
}

/// The file of the archive with this digest and its name.
fn find(reader: impl Read, digest: Digest) -> io::Result<Option<Vec<u8>>> {
    for entry in BoundedTar::new(reader).entries()? {
        let entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = name.rsplit('/').next().unwrap_or_default();
        if name.trim_end_matches(".json") != digest.hex() || entry.size() > MAXIMUM {
            continue;
        }
        let mut bytes = Vec::new();
        entry.take(MAXIMUM).read_to_end(&mut bytes)?;
        if Digest::of(&bytes) == digest {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}
