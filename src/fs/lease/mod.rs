//! Owns leases: the record of what a run has to clean up. `abandoned` cleans up after a run that was killed.
//!
//! A run locks `<cache>/leases/<id>` as long as it lives. The system drops the lock with the process, however it ends.
//! So a lease file that can be locked has no run: its temporary directory `<cache>/tmp/<id>` and the partial files that
//! it lists may be removed. Containers have the id as a label, and their engine removes them. Must not touch anything
//! that belongs to a locked lease or to another cache.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::BuildHasher;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use crate::fs::cache_directory::{CacheDirectory, create_private_directory};
use crate::fs::error::FileError;
use crate::fs::path::cut;

pub(super) const HEADER: &str = "b2i lease 1";
pub(super) const LEASES: &str = "leases";
pub(super) const TEMPORARY: &str = "tmp";
/// A run that uses a daemon writes this line: the daemon may have containers of the run.
pub(super) const DAEMON: &str = "daemon";
const ENDED: &str = "is not created: the run has ended";
/// A try fails only if another process uses the same random id, or removes the file between creation and lock.
const TRIES: u32 = 16;
/// One line per path, whatever is in the path.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

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
    /// Whether the lease file outlives the run.
    is_left: bool,
    /// Whether the file records a daemon.
    has_daemon: bool,
    /// Whether the run has ended. A thread that still works may not create anything more.
    is_released: bool,
    file: File,
    partial: Vec<PathBuf>,
}

impl Lease {
    /// Takes a new lease in the cache at `cache_root`, and creates a missing cache. Fails if its file system
    /// has no locks.
    pub fn acquire(cache_root: &Path) -> Result<Self, FileError> {
        let cache = CacheDirectory::open(cache_root)?;
        let leases = cache.shared(LEASES)?;
        let (id, path, file) = create_unused(&leases, create_locked)?;
        let temporary = cache.root().join(TEMPORARY).join(&id);
        let lease = Self {
            id,
            cache,
            temporary,
            path,
            state: Mutex::new(State {
                is_left: false,
                has_daemon: false,
                is_released: false,
                file,
                partial: Vec::new(),
            }),
        };
        create_private_directory(&lease.temporary)?;
        tracing::debug!(id = lease.id, cache = %lease.cache.root().display(), "took a lease");
        Ok(lease)
    }

    /// 16 hexadecimal digits. They are part of the names of partial files and a label of containers.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn cache(&self) -> &CacheDirectory {
        &self.cache
    }

    /// A directory for temporary files, on the file system of the cache. It is removed with the lease.
    pub fn temporary_directory(&self) -> &Path {
        &self.temporary
    }

    /// Creates a directory in [`Lease::temporary_directory`], or finds it there. Fails after [`Lease::release`].
    pub fn create_temporary_directory(&self, name: &str) -> Result<PathBuf, FileError> {
        let path = self.temporary.join(name);
        // Locked: a thread that outlives the run must not create again what was removed.
        let state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if state.is_released {
            return Err(FileError::refused(&path, ENDED, None));
        }
        create_private_directory(&path)?;
        Ok(path)
    }

    /// The path of the partial file for `target`: in the same directory, with the lease's id in its name.
    pub fn partial_path(&self, target: &Path) -> PathBuf {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        // File systems allow 255 bytes; the rest of the name takes 34.
        let name = cut(&name, 200);
        target.with_file_name(format!(".{name}{}", partial_suffix(&self.id)))
    }

    /// Records a path of [`Lease::partial_path`], then calls `make`. Fails for other paths, and after
    /// [`Lease::release`].
    pub fn create<T>(
        &self,
        path: &Path,
        make: impl FnOnce() -> Result<T, FileError>,
    ) -> Result<T, FileError> {
        let path = std::path::absolute(path).map_err(|error| FileError::new("resolve", path, error))?;
        if !belongs_to(&path, &self.id) {
            let reason = "does not contain the lease's id, so it cannot be cleaned up safely";
            return Err(FileError::refused(&path, reason, None));
        }
        let line = format!("{}\n", percent_encode(path.as_os_str().as_encoded_bytes(), ESCAPED));
        // Locked until `make` returns. When the lease is released, each recorded path exists or never will.
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if state.is_released {
            return Err(FileError::refused(&path, ENDED, None));
        }
        state
            .file
            .write_all(line.as_bytes())
            .map_err(|error| FileError::new("write to", &self.path, error))?;
        state.partial.push(path);
        make()
    }

    /// Calls `work`, unless the run has ended. Until `work` returns, nothing of the run is removed.
    pub(super) fn unless_released<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if state.is_released {
            return Err(io::Error::other("the run has ended"));
        }
        work()
    }

    /// Records that a daemon may have containers of this run. Only a run with a daemon can then remove the lease.
    pub fn record_daemon(&self) -> Result<(), FileError> {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if std::mem::replace(&mut state.has_daemon, true) {
            return Ok(());
        }
        let written = state.file.write_all(format!("{DAEMON}\n").as_bytes());
        written.map_err(|error| FileError::new("write to", &self.path, error))
    }

    /// Leaves the lease file behind, without a lock. A daemon may still have a container of this run, and a later run
    /// finds it through the file. Temporary and partial files are removed anyway.
    pub fn leave(&self) {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_left = true;
    }

    /// Removes the lease and everything that belongs to it. Dropping does the same, but a detached thread may keep the
    /// lease from being dropped until the process ends.
    pub fn release(&self) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if std::mem::replace(&mut state.is_released, true) {
            return;
        }
        // The lease file goes last, so that a later run finds whatever could not be removed.
        if remove_all(&self.temporary, &state.partial, &self.id).is_ok() && !state.is_left {
            drop(fs::remove_file(&self.path));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.release();
    }
}

fn partial_suffix(id: &str) -> String {
    format!(".b2i-{id}.partial")
}

/// Whether `path` is a partial file of the lease `id`. Nothing else is ever removed outside the cache.
pub(super) fn belongs_to(path: &Path, id: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') && name.ends_with(&partial_suffix(id))
}

/// Creates and locks a lease file with an unused id.
fn create_unused(
    leases: &Path,
    create: impl Fn(&Path) -> Result<Option<File>, FileError>,
) -> Result<(String, PathBuf, File), FileError> {
    for _ in 0..TRIES {
        let id = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        let path = leases.join(&id);
        if let Some(file) = create(&path)? {
            return Ok((id, path, file));
        }
    }
    Err(without_locks(leases, None))
}

fn without_locks(leases: &Path, error: Option<&io::Error>) -> FileError {
    let hint = "choose a directory on a local disk with `--cache-dir`";
    let cause = error.map(|error| format!(": {error}")).unwrap_or_default();
    let reason = format!("is on a file system whose file locks do not work{cause}");
    FileError::refused(leases, reason, Some(hint))
}

/// Creates and locks the lease file; `None` if the name is taken, or if a process that cleans up was faster.
fn create_locked(path: &Path) -> Result<Option<File>, FileError> {
    let mut file = match OpenOptions::new().read(true).append(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(FileError::new("create the lease", path, error)),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            // A process that cleans up has the lock and removes the file, unless locks do not work here.
            drop(fs::remove_file(path));
            return Ok(None);
        }
        Err(TryLockError::Error(error)) => {
            drop(fs::remove_file(path));
            return Err(without_locks(path.parent().unwrap_or(path), Some(&error)));
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

pub(super) fn is_same_file(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => identity(open) == identity(named),
        _ => false,
    }
}

pub(super) fn remove_all(temporary: &Path, partial: &[PathBuf], id: &str) -> Result<(), FileError> {
    for path in partial.iter().filter(|path| belongs_to(path, id)) {
        remove_if_there(path)?;
    }
    remove_if_there(temporary)
}

/// Removes a file or a whole directory. A thread of this process that is about to stop may still write into the
/// directory, so a directory that is not empty is tried again.
pub(super) fn remove_if_there(path: &Path) -> Result<(), FileError> {
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
mod tests;
