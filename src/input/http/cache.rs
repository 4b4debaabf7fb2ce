//! Owns the download cache: bytes by digest, and for each URL its digest and validators. Must not know HTTP otherwise.
//!
//! Layout of `downloads-v1`: `blobs/sha256/<hex>`, and `index/<hex of the key's digest>.json`. A URL may contain secrets, so
//! only its digest is written.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fs::{CacheDirectory, FileError, create_private_directory};
use crate::image::Digest;
use crate::image::digest::DigestReader;
use crate::store::cache::entries::{Entries, open_shared};

const VERSION: u32 = 1;
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DownloadEntry {
    pub digest: Digest,
    /// Number of bytes.
    pub size: u64,
    /// A safe name.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct DownloadCache {
    blobs: PathBuf,
    index: Entries,
}

impl DownloadCache {
    pub(super) fn open(cache: &CacheDirectory) -> Result<Self, FileError> {
        let root = cache.part("downloads", VERSION)?;
        let blobs = root.join("blobs").join("sha256");
        create_private_directory(&blobs)?;
        Ok(Self { blobs, index: Entries::open(root.join("index"))? })
    }

    /// The download with this `key`, if its bytes are still in the cache.
    pub(super) fn lookup(&self, key: &str) -> Option<DownloadEntry> {
        let entry: DownloadEntry = self.index.get(key)?;
        let metadata = fs::metadata(self.blob_path(&entry.digest)).ok()?;
        (metadata.is_file() && metadata.len() == entry.size).then_some(entry)
    }

    /// Opens and verifies the bytes with this digest. Removes bytes that do not match.
    pub(super) fn open_blob(&self, digest: &Digest) -> Option<(File, PathBuf)> {
        let path = self.blob_path(digest);
        let file = open_shared(&path)?;
        let mut reader = DigestReader::new(&file);
        std::io::copy(&mut reader, &mut std::io::sink()).ok()?;
        if reader.finish().0 != *digest {
            drop(fs::remove_file(&path));
            return None;
        }
        Some((file, path))
    }

    /// Stores the complete file `bytes` by renaming it. It must be on the cache's file system.
    pub(super) fn keep(
        &self,
        bytes: tempfile::NamedTempFile,
        digest: &Digest,
    ) -> Result<(File, PathBuf), FileError> {
        let path = self.blob_path(digest);
        let file =
            bytes.persist(&path).map_err(|error| FileError::new("write to", &self.blobs, error.error))?;
        // A file system without locks has no pruning either.
        drop(file.lock_shared());
        Ok((file, path))
    }

    /// Stores `entry` for the download with this `key`. `temporary` is a directory on the cache's file system.
    pub(super) fn remember(
        &self,
        key: &str,
        entry: &DownloadEntry,
        temporary: &Path,
    ) -> Result<(), FileError> {
        let written = self.index.put(key, entry, temporary);
        written.map_err(|error| FileError::new("write to", self.index.directory(), error))
    }

    pub(super) fn forget(&self, key: &str) {
        drop(fs::remove_file(self.index.path(key)));
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.hex())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};

    use super::*;

    fn cache() -> (tempfile::TempDir, DownloadCache) {
        let root = tempfile::tempdir().expect("temporary directory");
        let directory = CacheDirectory::open(&root.path().join("cache")).expect("opens");
        let cache = DownloadCache::open(&directory).expect("opens");
        (root, cache)
    }

    fn keep(root: &Path, cache: &DownloadCache, bytes: &[u8]) -> DownloadEntry {
        let mut file = tempfile::NamedTempFile::new_in(root).expect("creates");
        file.write_all(bytes).expect("writes");
        let digest = Digest::of(bytes);
        cache.keep(file, &digest).expect("keeps");
        let entry = DownloadEntry {
            digest,
            size: bytes.len() as u64,
            name: "app.jar".to_owned(),
            etag: Some("\"1\"".to_owned()),
            last_modified: None,
        };
        cache.remember("https://example.org/?token=secret", &entry, root).expect("remembers");
        entry
    }

    #[test]
    fn gives_back_what_it_was_given_and_writes_no_url_down() {
        let (root, cache) = cache();
        let entry = keep(root.path(), &cache, b"bytes");
        assert_eq!(cache.lookup("https://example.org/?token=secret"), Some(entry.clone()));
        assert_eq!(cache.lookup("https://example.org/"), None);
        let (mut file, path) = cache.open_blob(&entry.digest).expect("is there");
        let mut text = String::new();
        io::Seek::rewind(&mut file).and_then(|()| file.read_to_string(&mut text)).expect("reads");
        assert_eq!(text, "bytes");
        assert!(path.ends_with(entry.digest.hex()));
        let index =
            fs::read_dir(cache.index.directory()).expect("lists").next().expect("one").expect("reads");
        assert!(!fs::read_to_string(index.path()).expect("reads").contains("secret"));
    }

    #[test]
    fn drops_bytes_that_do_not_match_their_name() {
        let (root, cache) = cache();
        let entry = keep(root.path(), &cache, b"bytes");
        fs::write(cache.blob_path(&entry.digest), "bytez").expect("writes");
        assert!(cache.open_blob(&entry.digest).is_none());
        assert!(!cache.blob_path(&entry.digest).exists());
        assert_eq!(cache.lookup("https://example.org/?token=secret"), None, "no bytes, no entry");
    }

    #[test]
    fn ignores_an_entry_that_it_cannot_read() {
        let (root, cache) = cache();
        keep(root.path(), &cache, b"bytes");
        fs::write(cache.index.path("https://example.org/?token=secret"), "{\"digest\":").expect("writes");
        assert_eq!(cache.lookup("https://example.org/?token=secret"), None);
    }
}
