//! Owns the memo: what was computed once and is the same whenever the same is asked.
//!
//! Keys are opaque: whoever asks puts everything into the key on which the value depends, its own format version
//! included. An entry that cannot be read is one that is not there. A memo only saves work: what it says is still
//! verified by whoever would be harmed by a wrong value (a registry compares digests, a daemon diff IDs).
//!
//! Layout: `memo-v1/<hex of the key's digest>.json`.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::fs::{CacheDirectory, FileError, FileStamp};
use crate::image::Digest;

const VERSION: u32 = 1;
/// More than any value needs; a longer file is not ours.
const MAXIMUM_ENTRY: u64 = 64 * 1024;

/// So much older than its entry must a file's last change be. File systems count time in steps of up to 2 s, and a
/// file that is written to twice within one looks unchanged (git's "racy" files).
const CLEARLY_OLDER: Duration = Duration::from_secs(2);

/// The part of the cache that keeps results.
#[derive(Clone, Debug)]
pub struct Memo {
    /// None if it is bypassed.
    directory: Option<PathBuf>,
}

/// What is known of a file that looked like this at this time.
#[derive(Serialize, Deserialize)]
struct KnownFile {
    digest: Digest,
    /// When its bytes were read, in nanoseconds since 1970.
    read_at: u64,
}

impl Memo {
    /// Opens it, creating its directory if it is not there.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be created.
    pub fn open(cache: &CacheDirectory) -> Result<Self, FileError> {
        Ok(Self { directory: Some(cache.part("memo", VERSION)?) })
    }

    /// One that knows nothing and remembers nothing (`--no-memo`).
    pub fn bypassed() -> Self {
        Self { directory: None }
    }

    /// Returns what is remembered under `key`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let mut text = String::new();
        let file = File::open(self.path(key)?).ok()?;
        // Used last now: pruning takes the oldest first. That it failed costs nothing but the order.
        drop(file.set_modified(SystemTime::now()));
        file.take(MAXIMUM_ENTRY).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Remembers `value` under `key`; `temporary` is a directory on the cache's file system.
    ///
    /// Never fails: what is not remembered is computed again.
    pub fn put<T: Serialize>(&self, key: &str, value: &T, temporary: &Path) {
        let Some(path) = self.path(key) else { return };
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(temporary)?;
            file.write_all(&serde_json::to_vec(value)?)?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(())
        };
        if let Err(error) = write() {
            tracing::debug!(%error, "the memo was not written");
        }
    }

    /// Returns the digest of a file's bytes, if it was read before, is the same by all that its stamp tells, and had
    /// not been changed for a while when it was read.
    pub fn file(&self, stamp: &FileStamp) -> Option<Digest> {
        let known: KnownFile = self.get(&file_key(stamp)?)?;
        let changed = since_1970(stamp.changed)?;
        let clearly = u64::try_from(CLEARLY_OLDER.as_nanos()).ok()?;
        (known.read_at >= changed.checked_add(clearly)?).then_some(known.digest)
    }

    /// Remembers the digest of a file whose reading began at `read_at`.
    pub fn put_file(&self, stamp: &FileStamp, digest: Digest, read_at: SystemTime, temporary: &Path) {
        let Some(key) = file_key(stamp) else { return };
        let read_at = read_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let Ok(read_at) = u64::try_from(read_at) else { return };
        self.put(&key, &KnownFile { digest, read_at }, temporary);
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        Some(self.directory.as_ref()?.join(format!("{}.json", Digest::of(key.as_bytes()).hex())))
    }
}

/// The key of a file; none where the system does not tell enough of it. Its path is no part: what is told of the
/// bytes holds under every name.
fn file_key(stamp: &FileStamp) -> Option<String> {
    let FileStamp { identity: (device, inode), size, modified, changed } = stamp;
    if *inode == 0 || *changed == (0, 0) {
        return None;
    }
    Some(format!("file 1 {device} {inode} {size} {modified:?} {changed:?}"))
}

fn since_1970((seconds, nanoseconds): (i64, i64)) -> Option<u64> {
    u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(u64::try_from(nanoseconds).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memo() -> (tempfile::TempDir, Memo) {
        let root = tempfile::tempdir().expect("temporary directory");
        let directory = CacheDirectory::open(&root.path().join("cache")).expect("opens");
        (root, Memo::open(&directory).expect("opens"))
    }

    fn stamp(changed: i64) -> FileStamp {
        FileStamp { identity: (1, 2), size: 3, modified: (4, 5), changed: (changed, 0) }
    }

    #[test]
    fn gives_back_what_it_was_given_under_that_key_only() {
        let (root, memo) = memo();
        memo.put("key", &vec![1, 2], root.path());
        assert_eq!(memo.get::<Vec<u32>>("key"), Some(vec![1, 2]));
        assert_eq!(memo.get::<Vec<u32>>("other"), None);
        assert_eq!(memo.get::<String>("key"), None, "another shape is no entry");
        assert_eq!(Memo::bypassed().get::<Vec<u32>>("key"), None);
        std::fs::write(memo.path("key").expect("not bypassed"), "[1,").expect("writes");
        assert_eq!(memo.get::<Vec<u32>>("key"), None, "half an entry is none");
    }

    #[test]
    fn a_file_is_known_only_if_it_was_left_alone_before_it_was_read() {
        let (root, memo) = memo();
        let digest = Digest::of(b"bytes");
        let read_at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        memo.put_file(&stamp(100), digest, read_at(101), root.path());
        assert_eq!(memo.file(&stamp(100)), None, "it could have been written to again in the same moment");
        memo.put_file(&stamp(100), digest, read_at(102), root.path());
        assert_eq!(memo.file(&stamp(100)), Some(digest));
        for other in [
            stamp(99),
            FileStamp { size: 4, ..stamp(100) },
            FileStamp { modified: (4, 6), ..stamp(100) },
            FileStamp { identity: (1, 3), ..stamp(100) },
        ] {
            assert_eq!(memo.file(&other), None, "{other:?}");
        }
        let untold = FileStamp { changed: (0, 0), ..stamp(100) };
        memo.put_file(&untold, digest, read_at(200), root.path());
        assert_eq!(memo.file(&untold), None, "without a time of change nothing is believed");
    }
}
