//! Owns the image cache: blobs by digest, and the digest of each name. Must not know registries.
//!
//! A blob in use has a shared lock; pruning skips locked files. Layout of `images-v1`: `blobs/sha256/<hex>`, and
//! `names/<hex of the name's digest>.json`.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::entries::{Entries, open_shared, write_atomically};
use crate::fs::{CacheDirectory, FileError, create_private_directory};
use crate::image::Digest;

const VERSION: u32 = 1;

#[derive(Clone, Debug)]
pub struct ImageCache {
    blobs: PathBuf,
    names: Entries,
}

/// The last known meaning of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownName {
    /// Digest of the manifest or index.
    pub digest: Digest,
    pub media_type: String,
}

impl ImageCache {
    pub fn open(cache: &CacheDirectory) -> Result<Self, FileError> {
        let root = cache.part("images", VERSION)?;
        let blobs = root.join("blobs").join("sha256");
        create_private_directory(&blobs)?;
        Ok(Self { blobs, names: Entries::open(root.join("names"))? })
    }

    /// Reads and verifies a blob of at most `limit` bytes; `None` if it is missing or damaged.
    pub fn read(&self, digest: &Digest, limit: u64) -> Option<Vec<u8>> {
        let file = open_shared(&self.path(digest))?;
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).ok()?;
        if bytes.len() as u64 > limit {
            return None;
        }
        if Digest::of(&bytes) != *digest {
            drop(fs::remove_file(self.path(digest)));
            return None;
        }
        Some(bytes)
    }

    /// Stores `bytes`. `temporary` is a directory on the cache's file system. An error is ignored: the blob is fetched again.
    pub fn keep(&self, bytes: &[u8], temporary: &Path) {
        if let Err(error) = write_atomically(&self.path(&Digest::of(bytes)), bytes, temporary) {
            tracing::debug!(%error, "cannot store a blob in the cache");
        }
    }

    /// The last known meaning of `name`.
    pub fn known_name(&self, name: &str) -> Option<KnownName> {
        self.names.get(name)
    }

    /// Stores the meaning of `name`. `temporary` is a directory on the cache's file system.
    pub fn remember_name(&self, name: &str, known: &KnownName, temporary: &Path) {
        if let Err(error) = self.names.put(name, known, temporary) {
            tracing::debug!(%error, "cannot store a name in the cache");
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, ImageCache) {
        let root = tempfile::tempdir().expect("temporary directory");
        let directory = CacheDirectory::open(&root.path().join("cache")).expect("opens");
        let cache = ImageCache::open(&directory).expect("opens");
        (root, cache)
    }

    #[test]
    fn blobs_come_back_verified() {
        let (root, cache) = cache();
        let digest = Digest::of(b"config");
        assert_eq!(cache.read(&digest, 100), None);
        cache.keep(b"config", root.path());
        assert_eq!(cache.read(&digest, 6).as_deref(), Some(&b"config"[..]));
        assert_eq!(cache.read(&digest, 5), None, "more than was asked for");
        fs::write(cache.path(&digest), "cinfog").expect("writes");
        assert_eq!(cache.read(&digest, 100), None);
        assert!(!cache.path(&digest).exists(), "wrong bytes do not stay");
    }

    #[test]
    fn names_are_remembered() {
        let (root, cache) = cache();
        let known = KnownName { digest: Digest::of(b"manifest"), media_type: "type".into() };
        assert_eq!(cache.known_name("registry.example/app:1"), None);
        cache.remember_name("registry.example/app:1", &known, root.path());
        assert_eq!(cache.known_name("registry.example/app:1"), Some(known));
        assert_eq!(cache.known_name("registry.example/app:2"), None);
    }
}
