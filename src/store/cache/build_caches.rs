//! Owns the directories that builders keep between builds, and their locks: one build at a time has each.
//!
//! `<cache>/build-caches-v1/<key>/` has `tree`, which is mounted in the sandbox and belongs to its users, and
//! `cache.json`. A cache in a daemon's volume has only the lock `<key>.lock` here; its date is that of the last use. `owner`
//! names this cache directory in daemons, which several users may share. Must not know the meaning of a key.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::events::Events;
use crate::fs::{CacheDirectory, FileError, create_private_directory};

const FORMAT: u32 = 1;
/// Description of a cache. Without it, a directory is incomplete.
pub(crate) const DESCRIPTION: &str = "cache.json";
const OWNER: &str = "owner";
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Clone, Debug)]
pub struct BuildCacheStore {
    directory: PathBuf,
}

/// The origin of a cache, for people who look into the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildCacheDescription {
    pub template: String,
    /// The cache's name in the template.
    pub name: String,
}

#[derive(Debug)]
pub struct HeldCache {
    path: PathBuf,
    lock: File,
}

impl BuildCacheStore {
    pub fn open(cache: &CacheDirectory) -> Result<Self, FileError> {
        Ok(Self { directory: cache.part("build-caches", FORMAT)? })
    }

    /// Locks the cache `key` for one build. Waits while another build has it. `shown` is its name in messages.
    pub async fn take(&self, key: &str, shown: &str, events: &Events) -> Result<HeldCache, FileError> {
        let path = self.directory.join(key);
        let lock_path = lock_path(&path);
        let lock = open_lock(&lock_path).map_err(|error| FileError::new("open", &lock_path, error))?;
        let mut is_noted = false;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    if !is_noted {
                        events.note(format!("waiting for another build that uses the {shown}"));
                        is_noted = true;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(TryLockError::Error(error)) => return Err(FileError::new("lock", &lock_path, error)),
            }
        }
        // Pruning removes the least recently used first. Without the date, it goes sooner.
        let _ = lock.set_modified(SystemTime::now());
        Ok(HeldCache { path, lock })
    }

    /// The name of this cache directory in daemons. The first call creates it.
    pub fn owner(&self) -> Result<String, FileError> {
        if let Some(owner) = self.known_owner() {
            return Ok(owner);
        }
        let failed = |error| FileError::new("create a file in", &self.directory, error);
        let (one, other) = (random(), random());
        let owner = format!("{one:016x}{other:016x}");
        let mut file = tempfile::NamedTempFile::new_in(&self.directory).map_err(failed)?;
        file.write_all(owner.as_bytes()).map_err(failed)?;
        // If another process is faster, its name counts.
        match file.persist_noclobber(self.directory.join(OWNER)) {
            Ok(_) => Ok(owner),
            Err(error) => self.known_owner().ok_or_else(|| failed(error.error)),
        }
    }

    /// The name of this cache directory in daemons, if it exists.
    pub fn known_owner(&self) -> Option<String> {
        let owner = fs::read_to_string(self.directory.join(OWNER)).ok()?;
        (owner.len() == 32 && owner.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(owner)
    }

    pub(crate) fn last_use(&self, key: &str) -> SystemTime {
        let metadata = fs::metadata(lock_path(&self.directory.join(key)));
        metadata.and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Locks the cache `key` for its removal; `None` if a build has it.
    pub(crate) fn take_to_remove(&self, key: &str) -> Option<HeldCache> {
        let path = self.directory.join(key);
        let lock = open_lock(&lock_path(&path)).ok()?;
        lock.try_lock().ok()?;
        Some(HeldCache { path, lock })
    }

    /// Locks the incomplete directories, in which files may belong to mapped ids.
    pub(crate) fn halves(&self) -> Vec<HeldCache> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().filter_map(Result::ok);
        let paths = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
        let names = paths.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
        let held = names.filter_map(|name| self.take_to_remove(&name));
        held.filter(|held| !held.path.join(DESCRIPTION).exists()).collect()
    }
}

impl HeldCache {
    /// The directory that is mounted, created if it is missing. `remove` removes what an interrupted removal has left, also
    /// files of mapped ids.
    ///
    /// # Errors
    /// [`FileError`], or the error of `remove`.
    pub fn tree<E: From<FileError>>(
        &self,
        description: &BuildCacheDescription,
        remove: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        let (tree, known) = (self.path.join("tree"), self.path.join(DESCRIPTION));
        if known.exists() {
            let _ = File::open(&self.path).and_then(|file| file.set_modified(SystemTime::now()));
            return Ok(tree);
        }
        if self.path.exists() {
            remove(&self.path)?;
        }
        create_private_directory(&tree)?;
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&tree, mode).map_err(|error| FileError::new("set the mode of", &tree, error))?;
        let text = serde_json::to_vec(description).map_err(io::Error::other);
        let written = text.and_then(|text| fs::write(&known, text));
        written.map_err(|error| FileError::new("write", &known, error))?;
        Ok(tree)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for HeldCache {
    /// Sets the date of the last use: the end of the use counts, since a build may take long.
    fn drop(&mut self) {
        let _ = self.lock.set_modified(SystemTime::now());
        // Closing the file alone is not enough: a process that is being started has it open until its program begins.
        let _ = self.lock.unlock();
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn lock_path(path: &Path) -> PathBuf {
    path.with_added_extension("lock")
}

/// A random number: each state of the standard library's hasher is different, also in other processes.
fn random() -> u64 {
    use std::hash::BuildHasher;
    std::collections::hash_map::RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::events::Event;

    fn store() -> (tempfile::TempDir, BuildCacheStore) {
        let root = tempfile::tempdir().expect("temporary directory");
        let cache = CacheDirectory::open(&root.path().join("cache")).expect("opens");
        let store = BuildCacheStore::open(&cache).expect("opens");
        (root, store)
    }

    fn description() -> BuildCacheDescription {
        BuildCacheDescription { template: "golang".to_owned(), name: "modules".to_owned() }
    }

    fn tree(held: &HeldCache) -> PathBuf {
        held.tree(&description(), |path| {
            fs::remove_dir_all(path).map_err(|error| FileError::new("remove", path, error))
        })
        .expect("makes")
    }

    #[tokio::test]
    async fn a_second_build_waits_and_says_so() {
        let (_root, store) = store();
        let notes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&notes);
        let events = Events::new(move |event| {
            if let Event::Note { message } = event {
                seen.lock().expect("no panic").push(message);
            }
        });
        let first = store.take("a", "build cache", &events).await.expect("takes");
        let other = store.take("b", "build cache", &events).await.expect("another one");
        let waiting = tokio::time::timeout(PAUSE, store.take("a", "build cache", &events)).await;
        assert!(waiting.is_err(), "the first has it");
        assert!(store.take_to_remove("a").is_none());
        drop((first, other));
        store.take("a", "build cache", &events).await.expect("takes");
        let notes = notes.lock().expect("no panic").clone();
        assert_eq!(notes, ["waiting for another build that uses the build cache"]);
    }

    #[tokio::test]
    async fn what_is_in_it_stays_and_halves_are_made_anew() {
        let (_root, store) = store();
        let events = Events::silent();
        let held = store.take("a", "cache", &events).await.expect("takes");
        fs::write(tree(&held).join("file"), "kept").expect("writes");
        drop(held);
        let held = store.take("a", "cache", &events).await.expect("takes");
        assert_eq!(fs::read(tree(&held).join("file")).expect("reads"), b"kept");
        assert!(store.halves().is_empty());
        fs::remove_file(held.path().join(DESCRIPTION)).expect("removes");
        assert!(store.halves().is_empty(), "a build has it");
        drop(held);
        assert_eq!(store.halves().len(), 1);
        let held = store.take("a", "cache", &events).await.expect("takes");
        assert!(!tree(&held).join("file").exists());
    }

    #[test]
    fn the_owner_is_made_once() {
        let (_root, store) = store();
        assert_eq!(store.known_owner(), None);
        let owner = store.owner().expect("writes");
        assert_eq!((store.owner().expect("reads"), store.known_owner()), (owner.clone(), Some(owner)));
    }
}
