//! Owns the list of a run's cgroups, in its temporary directory: a later run removes the cgroups of a killed run.
//! Must not create a cgroup.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PREFIX: &str = "b2i-";
/// More than the paths of one container's cgroups need.
const MAX_BYTES: u64 = 64 * 1024;
/// The last process of a cgroup may still be ending.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// The record of one container's cgroups: a file with their paths, one per line. All have the same name.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
}

impl Record {
    /// The record number `number` of a run. Process ids repeat, for example in containers, so the name of the cgroups
    /// contains the lease's id, which is the name of `temporary`.
    pub(super) fn new(temporary: &Path, number: u64) -> Self {
        Self::at(temporary.join(format!("{}{number}", prefix(temporary))))
    }

    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The name of the cgroups.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Adds a cgroup. Call it before the cgroup is created, so that no kill leaves an unknown cgroup.
    pub(super) fn add(&self, directory: &Path) -> io::Result<()> {
        let mut list = OpenOptions::new().append(true).create(true).open(&self.path)?;
        list.write_all(&[directory.as_os_str().as_bytes(), b"\n"].concat())
    }

    /// Removes the recorded cgroups and the record. Fails if a cgroup still has processes.
    pub(super) fn remove(&self) -> io::Result<()> {
        let mut text = Vec::new();
        match fs::File::open(&self.path) {
            Ok(list) => list.take(MAX_BYTES).read_to_end(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for line in text.split(|byte| *byte == b'\n') {
            let path = Path::new(OsStr::from_bytes(line));
            if path.is_absolute() && path.file_name() == self.path.file_name() {
                remove_cgroup(path)?;
            }
        }
        fs::remove_file(&self.path)
    }
}

/// The records that a killed run left in its temporary directory.
pub(super) fn records(temporary: &Path) -> io::Result<Vec<Record>> {
    let entries = match fs::read_dir(temporary) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let prefix = prefix(temporary);
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let is_record =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix));
    Ok(paths.filter(is_record).map(Record::at).collect())
}

fn prefix(temporary: &Path) -> String {
    format!("{PREFIX}{}-", temporary.file_name().unwrap_or_default().to_string_lossy())
}

/// Removes a cgroup and waits for the end of its last process. A cgroup that is missing or not this user's is no error.
fn remove_cgroup(directory: &Path) -> io::Result<()> {
    for _ in 0..TRIES {
        match fs::remove_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => std::thread::sleep(PAUSE),
            _ => return Ok(()),
        }
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_recorded_cgroups_of_the_same_name_are_removed() {
        let root = tempfile::tempdir().expect("a directory");
        let temporary = root.path().join("tmp/0123456789abcdef");
        fs::create_dir_all(&temporary).expect("created");
        assert_eq!(records(&temporary).expect("listed").len(), 0);
        let record = Record::new(&temporary, 3);
        assert_eq!(record.name(), "b2i-0123456789abcdef-3");
        let own = root.path().join(record.name());
        let foreign = root.path().join("b2i-fedcba9876543210-3");
        for directory in [&own, &foreign] {
            record.add(directory).expect("recorded");
            fs::create_dir(directory).expect("created");
        }
        record
            .add(&root.path().join("other").join(record.name()))
            .expect("recorded, and killed before its creation");
        let left = records(&temporary).expect("listed");
        assert_eq!(left.len(), 1);
        left[0].remove().expect("removed");
        assert!(!own.exists());
        assert!(foreign.exists(), "it belongs to another lease");
        assert_eq!(records(&temporary).expect("listed").len(), 0);
    }
}
