//! Owns the image cache: blobs by digest, and the digest of each name. Must not know registries.
//!
//! A blob in use has a shared lock; pruning skips locked files. Layout of `images-v1`: `blobs/sha256/<hex>`, and
//! `names/<hex of the name's digest>.json`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use tempfile::NamedTempFile;

use super::entries::{Entries, open_shared, write_atomically};
use crate::fs::{CacheDirectory, FileError, create_private_directory};
use crate::image::{Descriptor, Digest, DigestReader};

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

    /// Opens a blob whose size and bytes agree with `blob`; `None` if it is missing or damaged. Blocks; reads it once.
    pub fn open_verified(&self, blob: &Descriptor) -> Option<File> {
        let path = self.path(&blob.digest);
        let file = open_shared(&path)?;
        let is_whole = file.metadata().is_ok_and(|metadata| metadata.len() == blob.size)
            && digest_of(&file).is_ok_and(|found| found == blob.digest);
        if !is_whole {
            tracing::debug!(blob = %blob.digest, "removed a damaged blob from the cache");
            drop(fs::remove_file(path));
        }
        is_whole.then_some(file)
    }

    /// Begins to store `blob`; `None` if that fails. `temporary` is a directory on the cache's file system.
    pub(crate) fn begin(&self, blob: &Descriptor, temporary: &Path) -> Option<PartialBlob> {
        let file = NamedTempFile::new_in(temporary);
        let file =
            file.inspect_err(|error| tracing::debug!(%error, "cannot store a blob in the cache")).ok()?;
        Some(PartialBlob { file, path: self.path(&blob.digest) })
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

/// A blob that is being stored. Its bytes must be verified before the commit.
pub(crate) struct PartialBlob {
    file: NamedTempFile,
    path: PathBuf,
}

impl PartialBlob {
    pub(crate) fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Moves the complete blob to its place. Several builds may do so at once: their bytes are equal.
    pub(crate) fn commit(self) -> io::Result<()> {
        self.file.persist(self.path).map(drop).map_err(|error| error.error)
    }
}

/// The digest of a file, read in pieces.
fn digest_of(file: &File) -> io::Result<Digest> {
    let mut reader = DigestReader::new(file);
    io::copy(&mut reader, &mut io::sink())?;
    Ok(reader.finish().0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

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
    fn large_blobs_come_back_verified() {
        let (root, cache) = cache();
        let bytes = vec![7; 1 << 20];
        let blob = Descriptor::of("layer", &bytes);
        assert!(cache.open_verified(&blob).is_none());
        let mut partial = cache.begin(&blob, root.path()).expect("begins");
        partial.file().write_all(&bytes).expect("writes");
        assert!(cache.open_verified(&blob).is_none(), "not complete yet");
        partial.commit().expect("is complete");
        assert!(cache.open_verified(&blob).is_some());
        for damaged in [&bytes[1..], &vec![8; 1 << 20]] {
            fs::write(cache.path(&blob.digest), damaged).expect("writes");
            assert!(cache.open_verified(&blob).is_none());
            assert!(!cache.path(&blob.digest).exists(), "wrong bytes do not stay");
        }
        drop(cache.begin(&blob, root.path()).expect("begins"));
        assert_eq!(fs::read_dir(root.path()).expect("lists").count(), 1, "only the cache is left");
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
