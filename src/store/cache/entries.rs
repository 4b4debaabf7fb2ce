//! Owns a directory of small JSON files, one for each key. Must not know what they mean.
//!
//! A key may contain secrets, so a file's name is the key's digest.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fs::{FileError, create_private_directory};
use crate::image::Digest;

/// Largest entry, in bytes. A larger file is not an entry of b2i.
const MAXIMUM_ENTRY: u64 = 64 * 1024;

#[derive(Clone, Debug)]
pub(crate) struct Entries(PathBuf);

impl Entries {
    pub(crate) fn open(directory: PathBuf) -> Result<Self, FileError> {
        create_private_directory(&directory)?;
        Ok(Self(directory))
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.0
    }

    pub(crate) fn path(&self, key: &str) -> PathBuf {
        self.0.join(format!("{}.json", Digest::of(key.as_bytes()).hex()))
    }

    /// The entry of `key`; `None` if it is missing or not valid.
    pub(crate) fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let mut text = String::new();
        File::open(self.path(key)).ok()?.take(MAXIMUM_ENTRY).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Stores the entry of `key` atomically. `temporary` is a directory on the same file system.
    pub(crate) fn put(&self, key: &str, value: &impl Serialize, temporary: &Path) -> io::Result<()> {
        write_atomically(&self.path(key), &serde_json::to_vec(value)?, temporary)
    }

    /// Marks the entry of `key` as used: pruning removes the least recently used first. An error only changes the order.
    pub(crate) fn touch(&self, key: &str) {
        drop(File::open(self.path(key)).and_then(|file| file.set_modified(SystemTime::now())));
    }
}

/// Writes the file `path` atomically. `temporary` is a directory on the same file system.
pub(super) fn write_atomically(path: &Path, bytes: &[u8], temporary: &Path) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(temporary)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Opens a blob that is in use from now on: pruning skips locked files, and removes the least recently used first.
pub(crate) fn open_shared(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    file.lock_shared().ok()?;
    drop(file.set_modified(SystemTime::now()));
    Some(file)
}
