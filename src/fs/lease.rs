//! Owns leases: what a run has to clean up, and how a later run does it for one that was killed.
//!
//! A run locks `<cache>/leases/<id>` for as long as it lives; the system drops the lock with the process, however it
//! ends. So a lease file that can be locked belongs to nobody: its temporary directory `<cache>/tmp/<id>` and the
//! partial files it lists may go. Containers carry the id as a label; removing them is their engine's part. Must not
//! touch anything that belongs to a locked lease or to another cache.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::BuildHasher;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

use super::cache_directory::{CacheDirectory, create_private_directory};
use super::error::FileError;
use super::file_name::cut;

const HEADER: &str = "b2i lease 1";
const LEASES: &str = "leases";
const TEMPORARY: &str = "tmp";
/// More than any run records; a longer file is not a lease.
const MAX_LEASE_BYTES: u64 = 16 * 1024 * 1024;
/// One line per path, whatever is in the path.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// The lease of this run.
#[derive(Debug)]
pub struct Lease {
    id: String,
    cache: CacheDirectory,
    temporary: PathBuf,
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Whether the lease's file outlives the run.
    is_left: bool,
    file: File,
    partial: Vec<PathBuf>,
}

impl Lease {
    /// Takes a new lease in the cache at `cache_root`, which is created if need be.
    ///
    /// # Errors
    /// [`FileError`] if the cache cannot be used or its file system has no locks.
    pub fn acquire(cache_root: &Path) -> Result<Self, FileError> {
        let cache = CacheDirectory::open(cache_root)?;
        let leases = cache.shared(LEASES)?;
        let (id, path, file) = loop {
            let id = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
            let path = leases.join(&id);
            if let Some(file) = create_locked(&path)? {
                break (id, path, file);
            }
        };
        let temporary = cache.root().join(TEMPORARY).join(&id);
        let lease = Self {
            id,
            cache,
            temporary,
            path,
            state: Mutex::new(State { is_left: false, file, partial: Vec::new() }),
        };
        create_private_directory(&lease.temporary)?;
        tracing::debug!(id = lease.id, cache = %lease.cache.root().display(), "took a lease");
        Ok(lease)
    }

    /// The id: 16 hexadecimal digits. Partial files and containers of this run carry it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The cache this lease belongs to.
    pub fn cache(&self) -> &CacheDirectory {
        &self.cache
    }

    /// A directory for temporary files, on the same file system as the cache. Removed with the lease.
    pub fn temporary_directory(&self) -> &Path {
        &self.temporary
    }

    /// Returns the name for a partial file that will become `target`: in the same directory, with the lease's id.
    pub fn partial_path(&self, target: &Path) -> PathBuf {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        // File systems allow 255 bytes; the rest of the name takes 34.
        let kept = cut(&name, 200);
        target.with_file_name(format!(".{kept}{}", partial_suffix(&self.id)))
    }

    /// Records that `path`, which [`Lease::partial_path`] named, is about to be created outside the cache.
    ///
    /// # Errors
    /// [`FileError`] if `path` does not carry the lease's id, or the record cannot be written.
    pub fn will_create(&self, path: &Path) -> Result<(), FileError> {
        let path = std::path::absolute(path).map_err(|error| FileError::new("resolve", path, error))?;
        if !belongs_to(&path, &self.id) {
            return Err(FileError::Refused {
                path,
                reason: "does not carry the lease's id, so it could not be cleaned up safely".to_owned(),
                hint: None,
            });
        }
        let line = format!("{}\n", percent_encode(path.as_os_str().as_encoded_bytes(), ESCAPED));
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state
            .file
            .write_all(line.as_bytes())
            .map_err(|error| FileError::new("write to", &self.path, error))?;
        state.partial.push(path);
        Ok(())
    }

    /// Leaves the lease's file behind, without a run that holds it: a daemon may still have something of this run,
    /// and a later run finds it by the file. Temporary and partial files go all the same.
    pub fn leave(&self) {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_left = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        // The lease file goes last: whatever could not be removed is found by a later run.
        if remove_all(&self.temporary, &state.partial, &self.id).is_ok() && !state.is_left {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// A lease whose run is gone. Holds the lock until it is dropped, so only one process cleans up.
#[derive(Debug)]
pub struct AbandonedLease {
    id: String,
    path: PathBuf,
    temporary: PathBuf,
    partial: Vec<PathBuf>,
    _locked: File,
}

impl AbandonedLease {
    /// The id that its containers carry.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Removes its temporary directory, its partial files and then the lease itself.
    ///
    /// # Errors
    /// [`FileError`] for the first thing that could not be removed; the lease then stays for another try.
    pub fn remove(self) -> Result<(), FileError> {
        remove_all(&self.temporary, &self.partial, &self.id)?;
        remove_if_there(&self.path)?;
        tracing::debug!(id = self.id, files = self.partial.len(), "cleaned up after a run that is gone");
        Ok(())
    }
}

/// Finds the leases of the cache at `cache_root` whose runs are gone. Containers first, then
/// [`AbandonedLease::remove`].
///
/// Never fails: what cannot be read is left for a later run.
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
    // Another process may have cleaned up between opening and locking, and the name may be somebody else's by now.
    if !is_same_file(&file, &path) {
        return None;
    }
    let mut text = String::new();
    let read = (&mut file).take(MAX_LEASE_BYTES).read_to_string(&mut text);
    let partial = if text.is_empty() { Vec::new() } else { read.ok().and_then(|_| parse(&text, &id))? };
    Some(AbandonedLease {
        temporary: cache.root().join(TEMPORARY).join(&id),
        id,
        path,
        partial,
        _locked: file,
    })
}

/// Reads the recorded paths; nothing if the file has another format. A line without its end was cut by a kill
/// before its file was made.
fn parse(text: &str, id: &str) -> Option<Vec<PathBuf>> {
    let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    match lines.next() {
        Some(HEADER) => {}
        Some(_) => return None,
        None => return HEADER.starts_with(text).then(Vec::new),
    }
    Some(lines.map(decode_path).filter(|path| path.is_absolute() && belongs_to(path, id)).collect())
}

fn decode_path(line: &str) -> PathBuf {
    let bytes: Vec<u8> = percent_decode_str(line).collect();
    #[cfg(unix)]
    return PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes));
    #[cfg(not(unix))]
    return PathBuf::from(String::from_utf8_lossy(&bytes).into_owned());
}

fn partial_suffix(id: &str) -> String {
    format!(".b2i-{id}.partial")
}

/// Says whether `path` is a partial file of the lease `id`: nothing else is ever removed outside the cache.
fn belongs_to(path: &Path, id: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') && name.ends_with(&partial_suffix(id))
}

/// Creates and locks the lease file; nothing if the name is taken, or a cleaning process was faster with the lock.
fn create_locked(path: &Path) -> Result<Option<File>, FileError> {
    let mut file = match OpenOptions::new().read(true).append(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(FileError::new("create the lease", path, error)),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => {
            drop(fs::remove_file(path));
            return Err(FileError::new("lock", path, error));
        }
    }
    if !is_same_file(&file, path) {
        return Ok(None);
    }
    if let Err(error) = file.write_all(format!("{HEADER}\n").as_bytes()) {
        drop(fs::remove_file(path));
        return Err(FileError::new("write to", path, error));
    }
    Ok(Some(file))
}

#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => identity(open) == identity(named),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same_file(_file: &File, path: &Path) -> bool {
    path.exists()
}

fn remove_all(temporary: &Path, partial: &[PathBuf], id: &str) -> Result<(), FileError> {
    for path in partial.iter().filter(|path| belongs_to(path, id)) {
        remove_if_there(path)?;
    }
    remove_if_there(temporary)
}

/// Removes a file, or a directory with what is in it. A thread of this process that is about to stop may still
/// write into the directory; so a directory that is not empty after all is tried again.
fn remove_if_there(path: &Path) -> Result<(), FileError> {
    let mut tries = 0;
    loop {
        let result = match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && tries < 20 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(FileError::new("remove", path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends like a killed process: the lock is gone, nothing is cleaned up.
    fn kill(lease: Lease) {
        let lease = std::mem::ManuallyDrop::new(lease);
        lease.state.lock().expect("not poisoned").file.unlock().expect("unlocks");
    }

    #[test]
    fn cleans_up_after_itself() {
        let cache = tempfile::tempdir().expect("temporary directory");
        let outside = tempfile::tempdir().expect("temporary directory");
        let lease = Lease::acquire(cache.path()).expect("acquires");
        let partial = lease.partial_path(&outside.path().join("app.tar"));
        assert_eq!(
            partial.file_name().and_then(|name| name.to_str()),
            Some(format!(".app.tar.b2i-{}.partial", lease.id()).as_str())
        );
        lease.will_create(&partial).expect("records");
        fs::write(&partial, "x").expect("writes");
        fs::write(lease.temporary_directory().join("a"), "x").expect("writes");
        assert!(abandoned(cache.path()).is_empty(), "a live lease is nobody else's");
        drop(lease);
        assert!(!partial.exists());
        assert_eq!(fs::read_dir(cache.path().join("tmp")).expect("lists").count(), 0);
        assert_eq!(fs::read_dir(cache.path().join("leases")).expect("lists").count(), 0);
    }

    #[test]
    fn a_later_run_cleans_up_after_a_killed_one_and_touches_nothing_else() {
        let cache = tempfile::tempdir().expect("temporary directory");
        let outside = tempfile::tempdir().expect("temporary directory");
        let killed = Lease::acquire(cache.path()).expect("acquires");
        let alive = Lease::acquire(cache.path()).expect("acquires");
        let id = killed.id().to_owned();
        let temporary = killed.temporary_directory().to_owned();
        let partial = killed.partial_path(&outside.path().join("a\nb%.tar"));
        killed.will_create(&partial).expect("records");
        fs::create_dir_all(partial.join("blobs")).expect("creates");
        kill(killed);

        let found = abandoned(cache.path());
        assert_eq!(found.iter().map(AbandonedLease::id).collect::<Vec<_>>(), [id]);
        assert!(abandoned(cache.path()).is_empty(), "one process cleans, the other sees nothing");
        for lease in found {
            lease.remove().expect("removes");
        }
        assert!(!partial.exists() && !temporary.exists());
        assert!(alive.temporary_directory().exists());
        assert!(abandoned(cache.path()).is_empty());
    }

    #[test]
    fn never_removes_what_does_not_carry_the_id() {
        let cache = tempfile::tempdir().expect("temporary directory");
        let precious = cache.path().join("precious");
        fs::write(&precious, "x").expect("writes");
        let lease = Lease::acquire(cache.path()).expect("acquires");
        lease.will_create(&precious).expect_err("refused");
        let line = format!("{}\n", precious.display());
        lease.state.lock().expect("not poisoned").file.write_all(line.as_bytes()).expect("writes");
        kill(lease);
        for lease in abandoned(cache.path()) {
            lease.remove().expect("removes");
        }
        assert!(precious.exists());
    }

    #[test]
    fn leaves_other_formats_alone_and_takes_a_cut_header_as_its_own() {
        let cache = tempfile::tempdir().expect("temporary directory");
        let leases = CacheDirectory::open(cache.path()).expect("opens").shared(LEASES).expect("creates");
        fs::write(leases.join("0123456789abcdef"), "b2i lease 2\n{}").expect("writes");
        fs::write(leases.join("README"), "x").expect("writes");
        assert!(abandoned(cache.path()).is_empty());
        fs::write(leases.join("fedcba9876543210"), "b2i le").expect("writes");
        fs::write(leases.join("fedcba9876543211"), "").expect("writes");
        assert_eq!(abandoned(cache.path()).len(), 2);
    }

    #[test]
    fn long_names_stay_within_what_file_systems_allow() {
        let cache = tempfile::tempdir().expect("temporary directory");
        let lease = Lease::acquire(cache.path()).expect("acquires");
        let partial = lease.partial_path(&Path::new("/x").join("ä".repeat(127)));
        assert!(partial.file_name().expect("has one").len() <= 255);
        assert!(belongs_to(&partial, lease.id()));
    }

    #[test]
    fn many_processes_may_take_leases_and_clean_at_once() {
        let cache = tempfile::tempdir().expect("temporary directory");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..25 {
                        let lease = Lease::acquire(cache.path()).expect("acquires");
                        fs::write(lease.temporary_directory().join("a"), "x").expect("writes");
                        if round % 2 == 0 {
                            kill(lease);
                        }
                        for lease in abandoned(cache.path()) {
                            lease.remove().expect("removes");
                        }
                    }
                });
            }
        });
        assert!(abandoned(cache.path()).is_empty());
        assert_eq!(fs::read_dir(cache.path().join("tmp")).expect("lists").count(), 0);
    }
}
