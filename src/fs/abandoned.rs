//! Owns finding leases of processes that ended without cleaning up, and removing their files. Must not touch anything
//! that belongs to a locked lease or to another cache.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

use super::cache_directory::CacheDirectory;
use super::error::FileError;
use super::lease::{
    DAEMON, HEADER, LEASES, TEMPORARY, belongs_to, is_same_file, remove_all, remove_if_there,
};

/// More than any run records. A longer file is not a lease.
const MAX_LEASE_BYTES: u64 = 16 * 1024 * 1024;

/// A lease whose process has ended. Holds the lock until it is dropped, so only one process cleans up.
#[derive(Debug)]
pub struct AbandonedLease {
    id: String,
    path: PathBuf,
    temporary: PathBuf,
    partial: Vec<PathBuf>,
    has_daemon: bool,
    _locked: File,
}

impl AbandonedLease {
    /// The id in the label of its containers.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn temporary_directory(&self) -> &Path {
        &self.temporary
    }

    /// Whether a daemon may have containers of the run.
    pub fn has_daemon(&self) -> bool {
        self.has_daemon
    }

    /// Removes the temporary directory and the partial files. The lease stays: it identifies the containers of the run.
    pub fn remove_files(&self) -> Result<(), FileError> {
        remove_all(&self.temporary, &self.partial, &self.id)
    }

    /// Removes the temporary directory, the partial files and then the lease. After an error, the lease
    /// stays, and a later run tries again.
    pub fn remove(self) -> Result<(), FileError> {
        self.remove_files()?;
        remove_if_there(&self.path)?;
        tracing::debug!(id = self.id, files = self.partial.len(), "cleaned up after an earlier run");
        Ok(())
    }
}

/// Finds the abandoned leases of a cache. Remove their containers before [`AbandonedLease::remove`]. A later
/// run tries again to read what cannot be read now.
pub fn abandoned(cache_root: &Path) -> Vec<AbandonedLease> {
    let Ok(cache) = CacheDirectory::open(cache_root) else { return Vec::new() };
    let Ok(entries) = fs::read_dir(cache.root().join(LEASES)) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let id = entry.file_name().into_string().ok()?;
            lock_abandoned(&cache, id, entry.path())
        })
        .collect()
}

fn lock_abandoned(cache: &CacheDirectory, id: String, path: PathBuf) -> Option<AbandonedLease> {
    let is_id = id.len() == 16 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_id || !fs::symlink_metadata(&path).ok()?.is_file() {
        return None;
    }
    let mut file = OpenOptions::new().read(true).write(true).open(&path).ok()?;
    file.try_lock().ok()?;
    // Another process may have cleaned up between opening and locking. By now the name may be another lease's.
    if !is_same_file(&file, &path) {
        return None;
    }
    let mut text = String::new();
    let read = (&mut file).take(MAX_LEASE_BYTES).read_to_string(&mut text);
    let record =
        if text.is_empty() { Record::default() } else { read.ok().and_then(|_| parse(&text, &id))? };
    Some(AbandonedLease {
        temporary: cache.root().join(TEMPORARY).join(&id),
        id,
        path,
        partial: record.partial,
        has_daemon: record.has_daemon,
        _locked: file,
    })
}

/// The content of a lease file.
#[derive(Default)]
struct Record {
    partial: Vec<PathBuf>,
    has_daemon: bool,
}

/// Reads a lease file; `None` if the file has another format. A last line without its end was cut off by a kill
/// before its file was created, so it is ignored.
fn parse(text: &str, id: &str) -> Option<Record> {
    let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    match lines.next() {
        Some(HEADER) => {}
        Some(_) => return None,
        None => return HEADER.starts_with(text).then(Record::default),
    }
    let mut record = Record::default();
    for line in lines {
        let path = decode_path(line);
        if line == DAEMON {
            record.has_daemon = true;
        } else if path.is_absolute() && belongs_to(&path, id) {
            record.partial.push(path);
        }
    }
    Some(record)
}

fn decode_path(line: &str) -> PathBuf {
    PathBuf::from(OsString::from_vec(percent_decode_str(line).collect()))
}
