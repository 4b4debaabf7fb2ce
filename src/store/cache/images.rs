//! Owns what is kept of images: blobs under their digest (manifests, configs, layers), and which digest a name had.
//!
//! A blob in use holds a shared lock; pruning takes only what it can lock alone. Must not know registries.
//! Layout below `images-v1`: `blobs/sha256/<hex>`, and `names/<hex of the name's digest>.json`.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::fs::cache_directory::create_private_directory;
use crate::fs::{CacheDirectory, FileError};
use crate::image::Digest;

const VERSION: u32 = 1;
const MAXIMUM_NAME_ENTRY: u64 = 16 * 1024;

/// The part of the cache that keeps images.
#[derive(Clone, Debug)]
pub struct ImageCache {
    blobs: PathBuf,
    names: PathBuf,
}

/// What a name meant when it was last asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownName {
    /// The digest of the manifest or index.
    pub digest: Digest,
    pub media_type: String,
}

impl ImageCache {
    /// Opens it, creating its directories if they are not there.
    ///
    /// # Errors
    /// [`FileError`] if they cannot be created.
    pub fn open(cache: &CacheDirectory) -> Result<Self, FileError> {
        let root = cache.part("images", VERSION)?;
        let (blobs, names) = (root.join("blobs").join("sha256"), root.join("names"));
        create_private_directory(&blobs)?;
        create_private_directory(&names)?;
        Ok(Self { blobs, names })
    }

    /// Reads a blob of at most `limit` bytes whole and verifies it; nothing if it is not there.
    pub fn read(&self, digest: &Digest, limit: u64) -> Option<Vec<u8>> {
        let file = self.open_file(digest)?;
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

    /// Keeps `bytes` under their digest; `temporary` is a directory on the cache's file system.
    ///
    /// Never fails: what is not kept is fetched again.
    pub fn keep(&self, bytes: &[u8], temporary: &Path) {
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(temporary)?;
            file.write_all(bytes)?;
            file.persist(self.path(&Digest::of(bytes))).map_err(|error| error.error)?;
            Ok(())
        };
        if let Err(error) = write() {
            tracing::debug!(%error, "a blob was not kept");
        }
    }

    /// Returns what `name` meant when it was last asked for.
    pub fn known_name(&self, name: &str) -> Option<KnownName> {
        let mut text = String::new();
        let file = File::open(self.name_path(name)).ok()?;
        file.take(MAXIMUM_NAME_ENTRY).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Remembers what `name` means; `temporary` is a directory on the cache's file system.
    pub fn remember_name(&self, name: &str, known: &KnownName, temporary: &Path) {
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(temporary)?;
            file.write_all(&serde_json::to_vec(known)?)?;
            file.persist(self.name_path(name)).map_err(|error| error.error)?;
            Ok(())
        };
        if let Err(error) = write() {
            tracing::debug!(%error, "a name was not remembered");
        }
    }

    fn open_file(&self, digest: &Digest) -> Option<File> {
        let file = File::open(self.path(digest)).ok()?;
        file.lock_shared().ok()?;
        drop(file.set_modified(SystemTime::now()));
        Some(file)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.hex())
    }

    fn name_path(&self, name: &str) -> PathBuf {
        self.names.join(format!("{}.json", Digest::of(name.as_bytes()).hex()))
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
