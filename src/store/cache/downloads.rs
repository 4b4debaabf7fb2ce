//! Owns the downloads that are kept: bytes under their digest, and for each URL which digest it gave and when to ask
//! again.
//!
//! Must not know HTTP beyond the two validators it stores. Layout below `downloads-v1`: `blobs/sha256/<hex>`, and
//! `index/<hex of the key's digest>.json`. A URL may hold secrets, so it is never written down, only its digest.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fs::cache_directory::create_private_directory;
use crate::fs::{CacheDirectory, FileError};
use crate::image::digest::{Digest, DigestBuilder};

const VERSION: u32 = 1;
/// More than an entry can need; a longer one is not ours.
const MAX_ENTRY_BYTES: u64 = 64 * 1024;

/// What is known about a download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DownloadEntry {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// The name it was given, made safe.
    pub name: String,
    /// `ETag` of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `Last-Modified` of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// The part of the cache that keeps downloads.
#[derive(Clone, Debug)]
pub struct DownloadCache {
    blobs: PathBuf,
    index: PathBuf,
}

impl DownloadCache {
    /// Opens it, creating its directories if they are not there.
    ///
    /// # Errors
    /// [`FileError`] if they cannot be created.
    pub fn open(cache: &CacheDirectory) -> Result<Self, FileError> {
        let root = cache.part("downloads", VERSION)?;
        let (blobs, index) = (root.join("blobs").join("sha256"), root.join("index"));
        create_private_directory(&blobs)?;
        create_private_directory(&index)?;
        Ok(Self { blobs, index })
    }

    /// Returns what is known about the download named by `key`, if its bytes are still there.
    pub fn lookup(&self, key: &str) -> Option<DownloadEntry> {
        let mut text = String::new();
        let file = File::open(self.entry_path(key)).ok()?;
        file.take(MAX_ENTRY_BYTES).read_to_string(&mut text).ok()?;
        let entry: DownloadEntry = serde_json::from_str(&text).ok()?;
        let metadata = fs::metadata(self.blob_path(&entry.digest)).ok()?;
        (metadata.is_file() && metadata.len() == entry.size).then_some(entry)
    }

    /// Opens the bytes with this digest, verifying them. Bytes that do not match are dropped, and are then not there.
    pub fn open_blob(&self, digest: &Digest) -> Option<(File, PathBuf)> {
        let path = self.blob_path(digest);
        let file = File::open(&path).ok()?;
        // Held as long as it is open: pruning leaves alone what is in use.
        file.lock_shared().ok()?;
        drop(file.set_modified(std::time::SystemTime::now()));
        match digest_of(&file) {
            Ok(actual) if actual == *digest => Some((file, path)),
            Ok(_) => {
                drop(fs::remove_file(&path));
                None
            }
            Err(_) => None,
        }
    }

    /// Keeps the complete file `bytes` under its digest by renaming it; it has to be on the cache's file system.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be renamed.
    pub fn keep(
        &self,
        bytes: tempfile::NamedTempFile,
        digest: &Digest,
    ) -> Result<(File, PathBuf), FileError> {
        let path = self.blob_path(digest);
        let file =
            bytes.persist(&path).map_err(|error| FileError::new("write to", &self.blobs, error.error))?;
        // Where a file system has no locks, it has no pruning either.
        drop(file.lock_shared());
        Ok((file, path))
    }

    /// Remembers `entry` for the download named by `key`; `temporary` is a directory on the cache's file system.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be written.
    pub fn remember(&self, key: &str, entry: &DownloadEntry, temporary: &Path) -> Result<(), FileError> {
        let failed = |error| FileError::new("write to", &self.index, error);
        let mut file = tempfile::NamedTempFile::new_in(temporary).map_err(failed)?;
        let text = serde_json::to_vec(entry).map_err(|error| failed(error.into()))?;
        file.write_all(&text).map_err(failed)?;
        file.persist(self.entry_path(key)).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// Forgets what is known about the download named by `key`.
    pub fn forget(&self, key: &str) {
        drop(fs::remove_file(self.entry_path(key)));
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.hex())
    }

    fn entry_path(&self, key: &str) -> PathBuf {
        self.index.join(format!("{}.json", Digest::of(key.as_bytes()).hex()))
    }
}

fn digest_of(mut file: &File) -> io::Result<Digest> {
    let mut digest = DigestBuilder::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digest.finish()),
            count => digest.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
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
        let index = fs::read_dir(&cache.index).expect("lists").next().expect("one").expect("reads");
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
        fs::write(cache.entry_path("https://example.org/?token=secret"), "{\"digest\":").expect("writes");
        assert_eq!(cache.lookup("https://example.org/?token=secret"), None);
    }
}
