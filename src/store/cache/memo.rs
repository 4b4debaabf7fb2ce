//! Owns the memo: results that are the same for the same key. Must not know what a key means.
//!
//! The caller puts everything on which the value depends into the key, also a format version. An entry that cannot be read
//! counts as missing. Values only save work and are verified where a wrong one would do harm: a registry compares digests,
//! a daemon diff IDs. Layout: `memo-v1/<hex of the key's digest>.json`.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::entries::Entries;
use crate::fs::{CacheDirectory, FileError, FileStamp};
use crate::image::Digest;

const VERSION: u32 = 1;

/// Smallest time between the last change of a file and the reading of its digest. File systems count time in steps of up to
/// 2 s, so a file that changes twice within one looks unchanged (git's "racy" files).
const CLEARLY_OLDER: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub struct Memo {
    /// `None` with `--no-memo`.
    entries: Option<Entries>,
}

#[derive(Serialize, Deserialize)]
struct KnownFile {
    digest: Digest,
    /// In nanoseconds since 1970.
    read_at: u64,
}

impl Memo {
    pub fn open(cache: &CacheDirectory) -> Result<Self, FileError> {
        Ok(Self { entries: Some(Entries::open(cache.part("memo", VERSION)?)?) })
    }

    /// A memo that stays empty (`--no-memo`).
    pub fn bypassed() -> Self {
        Self { entries: None }
    }

    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let entries = self.entries.as_ref()?;
        entries.touch(key);
        entries.get(key)
    }

    /// Stores `value`. `temporary` is a directory on the cache's file system. An error is ignored: the value is computed again.
    pub fn put<T: Serialize>(&self, key: &str, value: &T, temporary: &Path) {
        if let Some(Err(error)) = self.entries.as_ref().map(|entries| entries.put(key, value, temporary)) {
            tracing::debug!(%error, "cannot write the memo");
        }
    }

    /// The digest of an unchanged file. `None` if the file may have changed, or had changed shortly before it was read.
    pub fn file(&self, stamp: &FileStamp) -> Option<Digest> {
        let known: KnownFile = self.get(&file_key(stamp)?)?;
        let changed = since_1970(stamp.changed)?;
        let clearly = u64::try_from(CLEARLY_OLDER.as_nanos()).ok()?;
        (known.read_at >= changed.checked_add(clearly)?).then_some(known.digest)
    }

    /// Stores the digest of a file. `read_at` is the time before it was read.
    pub fn put_file(&self, stamp: &FileStamp, digest: Digest, read_at: SystemTime, temporary: &Path) {
        let Some(key) = file_key(stamp) else { return };
        let read_at = read_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let Ok(read_at) = u64::try_from(read_at) else { return };
        self.put(&key, &KnownFile { digest, read_at }, temporary);
    }
}

/// The key of a file; `None` if the system does not identify it. Its path does not count: the bytes are equal under every
/// name.
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
        std::fs::write(memo.entries.as_ref().expect("not bypassed").path("key"), "[1,").expect("writes");
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
