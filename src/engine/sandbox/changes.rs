//! Owns making a layer of a container's changes. Contents stay in the container until they are read. Must not look
//! for changes, which the child does. Source: OCI image spec v1.1 "layer.md", whiteouts.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::error::SandboxError;
use super::protocol::{Change, ChangeKind};
use super::supervisor::Supervisor;
use crate::image::ImagePath;
use crate::image::layer::{Content, Entry, EntryKind, ExtendedAttribute, Layer, Owner};

/// The changed files, and the child that removes them after the last use.
pub(super) struct ChangedFiles {
    directory: OwnedFd,
    /// Limit of the time in which files are read. The time that a slow upload takes is not in it.
    limit: Option<Duration>,
    /// That time so far, in nanoseconds.
    spent: AtomicU64,
    _supervisor: Arc<Supervisor>,
}

impl ChangedFiles {
    pub(super) fn open(
        directory: &std::path::Path,
        supervisor: Arc<Supervisor>,
        limit: Option<Duration>,
    ) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(directory.join("upper"), flags, Mode::empty())?;
        Ok(Self { directory, limit, spent: AtomicU64::new(0), _supervisor: supervisor })
    }
}

struct ChangedFile {
    files: Arc<ChangedFiles>,
    path: ImagePath,
}

impl Content for ChangedFile {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        // The container has ended, so the file cannot change. A link must not lead elsewhere.
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = &self.files.directory;
        let file = rustix::fs::openat2(directory, self.path.relative(), flags, Mode::empty(), resolve)?;
        Ok(Box::new(InTime { file: File::from(file), files: &self.files }))
    }
}

/// Reads until the time limit. A file of holes is small on the disk and takes long.
struct InTime<'a> {
    file: File,
    files: &'a ChangedFiles,
}

impl Read for InTime<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(limit) = self.files.limit else { return self.file.read(buffer) };
        let from = Instant::now();
        let count = self.file.read(buffer)?;
        let spent = u64::try_from(from.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let spent = self.files.spent.fetch_add(spent, Ordering::Relaxed).saturating_add(spent);
        if Duration::from_nanos(spent) > limit {
            let reason = "reading what the script left takes longer than `--timeout` allows";
            return Err(io::Error::new(io::ErrorKind::TimedOut, reason));
        }
        Ok(count)
    }
}

/// Makes the layer. `date` is in seconds since 1970.
pub(super) fn layer(changes: Vec<Change>, files: ChangedFiles, date: u64) -> Result<Layer, SandboxError> {
    let files = Arc::new(files);
    let mut entries = Vec::new();
    let mut attributes = BTreeMap::new();
    let passed = passed_through(&changes);
    for change in changes {
        if is_same(&change) && !passed.contains(&change.path) {
            continue;
        }
        let path = ImagePath::new(&change.path)?;
        let owner = Owner { uid: change.uid, gid: change.gid };
        if !change.attributes.is_empty() {
            attributes.insert(path.clone(), read_attributes(change.attributes)?);
        }
        let kind = match change.kind {
            ChangeKind::Directory { opaque, .. } => {
                if opaque {
                    entries.push(whiteout(path.join(".wh..wh..opq")?));
                }
                EntryKind::Directory
            }
            ChangeKind::File { size } => {
                let content = ChangedFile { files: files.clone(), path: path.clone() };
                EntryKind::File { size, content: Arc::new(content) }
            }
            ChangeKind::HardLink { target } => EntryKind::HardLink { target: ImagePath::new(&target)? },
            ChangeKind::Symlink { target } => EntryKind::Symlink { target },
            ChangeKind::Fifo => EntryKind::Fifo,
            ChangeKind::Removed => {
                let name = format!(".wh.{}", path.file_name());
                let parent = path.parent().unwrap_or(path);
                entries.push(whiteout(parent.join(&name)?));
                continue;
            }
        };
        entries.push(Entry { path, kind, mode: change.mode, owner });
    }
    Ok(Layer::new(entries, date)?.with_attributes(attributes))
}

fn read_attributes(attributes: Vec<(String, String)>) -> Result<Vec<ExtendedAttribute>, SandboxError> {
    let read = |(name, value): (String, String)| {
        let value = hex::decode(value).ok()?;
        ExtendedAttribute::new(name, value)
    };
    let attributes: Option<Vec<_>> = attributes.into_iter().map(read).collect();
    attributes.ok_or_else(|| SandboxError::Lost {
        action: "send the changes",
        reason: "an attribute is not valid".into(),
    })
}

fn is_same(change: &Change) -> bool {
    matches!(change.kind, ChangeKind::Directory { differs: false, .. })
}

/// The parents of changes. They need entries: Docker unpacks a layer alone, and a directory without an entry
/// would get default mode and owner.
fn passed_through(changes: &[Change]) -> HashSet<String> {
    let mut passed = HashSet::new();
    for change in changes.iter().filter(|change| !is_same(change)) {
        let mut path = change.path.as_str();
        while let Some((parent, _)) = path.rsplit_once('/') {
            // Its parents are listed already.
            if parent.is_empty() || !passed.insert(parent.to_owned()) {
                break;
            }
            path = parent;
        }
    }
    passed
}

fn whiteout(path: ImagePath) -> Entry {
    let kind = EntryKind::File { size: 0, content: Arc::new(Vec::new()) };
    Entry { path, kind, mode: 0o600, owner: Owner::ROOT }
}
