//! Owns the size of the cache, and removing what was least recently used. Must not know what the entries mean.
//!
//! An entry in use has a shared lock, or `<entry>.lock` if it is a directory. Only entries that can be locked are removed, so
//! a running build loses nothing.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

use super::build_caches::DESCRIPTION;
use crate::fs::{CacheDirectory, FileError};

/// The parts of the cache, and the relative paths of their entries.
const PARTS: [(&str, &str); 8] = [
    (BUILD_CACHES, "build-caches-v1"),
    ("downloads", "downloads-v1/blobs/sha256"),
    ("downloads", "downloads-v1/index"),
    ("images", "images-v1/blobs/sha256"),
    ("images", "images-v1/names"),
    ("images", "bases-v1"),
    ("layers", "layers-v1"),
    ("memo", "memo-v1"),
];

const BUILD_CACHES: &str = "build-caches";

#[derive(Clone, Debug)]
pub struct VolumeUsage {
    pub key: String,
    pub bytes: u64,
    pub used: SystemTime,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartUsage {
    /// `build-caches` (also those of a daemon), `downloads`, `images`, `layers` (unpacked for the sandbox) or `memo`.
    pub name: String,
    pub entries: u64,
    /// On the disk, in bytes.
    pub bytes: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pruned {
    pub entries: u64,
    pub bytes: u64,
    /// The number of entries that stay because they are in use.
    pub in_use: u64,
}

#[derive(Debug)]
struct Entry {
    place: Place,
    part: &'static str,
    bytes: u64,
    used: SystemTime,
}

#[derive(Debug)]
enum Place {
    Path(PathBuf),
    Volume(String),
}

/// The size of each part of the cache. `volumes` are the build caches in a daemon.
pub fn usage(cache: &CacheDirectory, volumes: Vec<VolumeUsage>) -> Result<Vec<PartUsage>, FileError> {
    let mut parts: Vec<PartUsage> = Vec::new();
    for (name, _) in PARTS {
        if !parts.iter().any(|part| part.name == name) {
            parts.push(PartUsage { name: name.into(), ..PartUsage::default() });
        }
    }
    for entry in entries(cache, volumes)? {
        if let Some(part) = parts.iter_mut().find(|part| part.name == entry.part) {
            part.entries += 1;
            part.bytes += entry.bytes;
        }
    }
    Ok(parts)
}

/// Removes the least recently used entries until `limit` bytes are left. 0 removes everything that is not in use.
///
/// `volumes` are the build caches in a daemon. `remove_volume` removes one by its key and returns whether it is gone.
///
/// # Errors
/// [`FileError`] if a directory cannot be read. An entry that cannot be removed counts as in use.
pub fn prune(
    cache: &CacheDirectory,
    limit: u64,
    volumes: Vec<VolumeUsage>,
    remove_volume: &mut dyn FnMut(&str) -> bool,
) -> Result<Pruned, FileError> {
    let mut entries = entries(cache, volumes)?;
    entries.sort_by_key(|entry| entry.used);
    let mut left: u64 = entries.iter().map(|entry| entry.bytes).sum();
    let mut pruned = Pruned::default();
    for entry in entries {
        // A limit of 0 also removes empty entries.
        if left <= limit && limit > 0 {
            break;
        }
        let is_gone = match &entry.place {
            Place::Path(path) => remove(path),
            Place::Volume(key) => remove_volume(key),
        };
        if is_gone {
            pruned.entries += 1;
            pruned.bytes += entry.bytes;
            left = left.saturating_sub(entry.bytes);
        } else {
            pruned.in_use += 1;
        }
    }
    Ok(pruned)
}

fn entries(cache: &CacheDirectory, volumes: Vec<VolumeUsage>) -> Result<Vec<Entry>, FileError> {
    let of_volume = |VolumeUsage { key, bytes, used }| Entry {
        place: Place::Volume(key),
        part: BUILD_CACHES,
        bytes,
        used,
    };
    let mut found: Vec<Entry> = volumes.into_iter().map(of_volume).collect();
    for (part, directory) in PARTS {
        let directory = cache.root().join(directory);
        let failed = |error| FileError::new("read", &directory, error);
        let listed = match fs::read_dir(&directory) {
            Ok(listed) => listed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        for entry in listed {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            if is_lock(&path) {
                continue;
            }
            // Another process may have removed it.
            let Ok(metadata) = entry.metadata() else { continue };
            if part == BUILD_CACHES && !metadata.is_dir() {
                // The name of the cache directory in daemons.
                continue;
            }
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let bytes = if metadata.is_dir() { tree_size(&path) } else { on_disk(&metadata) };
            found.push(Entry { place: Place::Path(path), part, bytes, used });
        }
    }
    Ok(found)
}

fn is_lock(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "lock")
}

fn on_disk(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(metadata) * 512
}

/// The size of a directory. Files of mapped users cannot be read and count as 0.
fn tree_size(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, metadata)| if metadata.is_dir() { tree_size(&path) } else { on_disk(&metadata) })
        .sum()
}

/// Removes an entry that is not in use. Returns whether it is gone.
fn remove(path: &Path) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else { return true };
    if !metadata.is_dir() {
        let Ok(file) = File::open(path) else { return false };
        return file.try_lock().is_ok() && fs::remove_file(path).is_ok();
    }
    let lock = path.with_added_extension("lock");
    let Ok(lock) = OpenOptions::new().create(true).truncate(false).write(true).open(lock) else {
        return false;
    };
    if lock.try_lock().is_err() {
        return false;
    }
    // Without its description, a layer or build cache counts as missing, even if its removal is interrupted.
    for description in ["layer.json", DESCRIPTION] {
        match fs::remove_file(path.join(description)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return false,
            _ => {}
        }
    }
    remove_tree(path).is_ok()
}

/// Removes a tree whose directories may be write-protected.
fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(path);
            fs::remove_dir_all(path)
        }
        removed => removed,
    }
}

fn make_writable(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    drop(fs::set_permissions(directory, fs::Permissions::from_mode(0o700)));
    for entry in fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::cache::ImageCache;

    fn cache() -> (tempfile::TempDir, CacheDirectory) {
        let root = tempfile::tempdir().expect("temporary directory");
        let cache = CacheDirectory::open(&root.path().join("cache")).expect("opens");
        (root, cache)
    }

    fn blob(cache: &CacheDirectory, name: &str, age: u64) -> PathBuf {
        let directory = cache.root().join("images-v1/blobs/sha256");
        fs::create_dir_all(&directory).expect("creates");
        let path = directory.join(name);
        fs::write(&path, vec![1; 8192]).expect("writes");
        let used = SystemTime::now() - Duration::from_secs(age);
        File::open(&path).and_then(|file| file.set_modified(used)).expect("dates");
        path
    }

    #[test]
    fn the_oldest_go_first_and_what_is_in_use_stays() {
        let (_root, cache) = cache();
        let (old, used, new) = (blob(&cache, "a", 300), blob(&cache, "b", 200), blob(&cache, "c", 100));
        let holder = File::open(&used).expect("opens");
        holder.lock_shared().expect("locks");
        let of_images = |parts: Vec<PartUsage>| parts.into_iter().find(|part| part.name == "images");
        let size = of_images(usage(&cache, Vec::new()).expect("reads")).expect("there").bytes / 3;
        assert!(size >= 8192);
        let pruned = prune(&cache, 2 * size, Vec::new(), &mut |_| false).expect("prunes");
        assert_eq!(pruned, Pruned { entries: 1, bytes: size, in_use: 0 });
        assert!(!old.exists() && used.exists() && new.exists());
        let pruned = prune(&cache, 0, Vec::new(), &mut |_| false).expect("prunes");
        assert_eq!(pruned, Pruned { entries: 1, bytes: size, in_use: 1 });
        assert!(used.exists() && !new.exists());
        // Not only closed: a process that another test is just starting has the file too, until it is its program.
        holder.unlock().expect("unlocks");
        assert_eq!(prune(&cache, 0, Vec::new(), &mut |_| false).expect("prunes").entries, 1);
        assert_eq!(of_images(usage(&cache, Vec::new()).expect("reads")).expect("there").entries, 0);
    }

    #[test]
    fn directories_are_one_entry_and_locked_beside() {
        let (_root, cache) = cache();
        let layer = cache.root().join("layers-v1/abc");
        fs::create_dir_all(layer.join("etc")).expect("creates");
        fs::write(layer.join("etc/file"), vec![1; 8192]).expect("writes");
        let lock = File::create(cache.root().join("layers-v1/abc.lock")).expect("creates");
        lock.lock_shared().expect("locks");
        assert_eq!(prune(&cache, 0, Vec::new(), &mut |_| false).expect("prunes").in_use, 1);
        lock.unlock().expect("unlocks");
        assert_eq!(prune(&cache, 0, Vec::new(), &mut |_| false).expect("prunes").entries, 1);
        assert!(!layer.exists());
    }

    #[test]
    fn what_was_just_used_is_not_the_oldest() {
        let (root, cache) = cache();
        let images = ImageCache::open(&cache).expect("opens");
        images.keep(b"first", root.path());
        images.keep(b"second", root.path());
        let path = cache.root().join("images-v1/blobs/sha256").join(crate::image::Digest::of(b"first").hex());
        let long_ago = SystemTime::now() - Duration::from_secs(1000);
        File::open(&path).and_then(|file| file.set_modified(long_ago)).expect("dates");
        images.read(&crate::image::Digest::of(b"first"), 100).expect("is there");
        let used = fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("dated");
        assert!(used > SystemTime::now() - Duration::from_secs(500));
    }

    #[test]
    fn build_caches_count_wherever_they_are() {
        let (_root, cache) = cache();
        let directory = cache.root().join("build-caches-v1");
        fs::create_dir_all(directory.join("old/tree")).expect("creates");
        fs::write(directory.join("old/tree/file"), vec![1; 8192]).expect("writes");
        fs::write(directory.join("old/cache.json"), "{}").expect("writes");
        fs::write(directory.join("owner"), "name").expect("writes");
        fs::write(directory.join("volume.lock"), "").expect("writes");
        let long_ago = SystemTime::now() - Duration::from_secs(1000);
        let volume = |key: &str, used| VolumeUsage { key: key.to_owned(), bytes: 1_000_000, used };
        let volumes =
            vec![volume("older", long_ago), volume("newer", SystemTime::now() + Duration::from_secs(9))];
        let parts = usage(&cache, volumes.clone()).expect("reads");
        let part = parts.iter().find(|part| part.name == "build-caches").expect("is there");
        assert_eq!(part.entries, 3);
        assert!(part.bytes >= 2_008_192, "{}", part.bytes);
        let mut asked = Vec::new();
        let pruned = prune(&cache, 1_000_000, volumes, &mut |key| {
            asked.push(key.to_owned());
            true
        });
        assert_eq!(pruned.expect("prunes").entries, 2);
        assert_eq!(asked, ["older"]);
        assert!(!directory.join("old").exists() && directory.join("owner").exists());
    }
}
