//! Owns the remembered observations in bases, by the digest of the image's config. Must not look at an image.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::entries::Entries;
use crate::fs::{CacheDirectory, FileError};
use crate::image::Digest;

/// The version of the observations: an older b2i observed less.
const VERSION: u32 = 1;

#[derive(Clone, Debug)]
pub struct ObservedBases {
    entries: Entries,
    temporary: PathBuf,
}

impl ObservedBases {
    /// `temporary` is a directory on the cache's file system.
    pub fn open(cache: &CacheDirectory, temporary: &Path) -> Result<Self, FileError> {
        let entries = Entries::open(cache.part("bases", VERSION)?)?;
        Ok(Self { entries, temporary: temporary.to_owned() })
    }

    /// The observations in the image with this config.
    pub fn get<T: DeserializeOwned>(&self, config: &Digest) -> Option<T> {
        let key = config.to_string();
        let found = self.entries.get(&key)?;
        self.entries.touch(&key);
        Some(found)
    }

    /// Remembers observations. An error is ignored: the base is looked at again.
    pub fn put(&self, config: &Digest, observations: &impl Serialize) {
        if let Err(error) = self.entries.put(&config.to_string(), observations, &self.temporary) {
            tracing::debug!(%error, "cannot store the observations in a base");
        }
    }
}
