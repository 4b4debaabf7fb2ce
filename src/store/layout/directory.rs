//! Owns writing images into a layout directory that may have others. Must not disturb other writers.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::image::Pieces;
use super::index::IndexDocument;
use super::{BLOBS, INDEX_FILE, LAYOUT, LAYOUT_FILE, LayoutError, blob_name};
use crate::fs::{AtomicFile, FileError, Lease, PartialDirectory};
use crate::image::manifest::MAXIMUM_MANIFEST;
use crate::image::{Descriptor, DigestReader, LayerSource};
use crate::store::{StoredBlob, WrittenImage};

const FETCHED_AT_ONCE: usize = 4;

pub(super) struct Directory<'a> {
    path: &'a Path,
    /// Has the new blobs until the index names them.
    staging: Staging<'a>,
    /// Whether there is a layout already.
    exists: bool,
    lease: &'a Lease,
}

impl<'a> Directory<'a> {
    /// Opens a layout, an empty directory, or none. Nothing is created but a partial directory of the lease.
    pub(super) fn open(path: &'a Path, lease: &'a Lease) -> Result<Self, LayoutError> {
        let exists = match fs::symlink_metadata(path.join(LAYOUT_FILE)) {
            // Errors in the index appear before anything large is written.
            Ok(_) => Existing::open(path)?.read_index().map(|_| true)?,
            Err(_) if path.is_dir() && !is_empty(path)? => {
                let reason = "it is not empty and has no `oci-layout`".to_owned();
                return Err(LayoutError::NotALayout { path: path.to_owned(), reason });
            }
            Err(_) => false,
        };
        Ok(Self { path, staging: Staging::create(path, lease)?, exists, lease })
    }

    /// Stores all blobs of an image and its manifest, which the index does not name yet. Valid blobs are not written again.
    pub(super) fn store_image(&self, pieces: &Pieces<'_>) -> Result<WrittenImage, LayoutError> {
        let base = pieces.base()?;
        let (base, new) = std::thread::scope(|scope| {
            let store_base = || self.store_base(pieces, &base);
            let beside = std::thread::Builder::new().spawn_scoped(scope, store_base);
            let new: Result<Vec<StoredBlob>, LayoutError> =
                pieces.new_layers().iter().map(|layer| self.store(pieces, layer)).collect();
            let base = match beside {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                // No other thread can start, so base and new layers are stored one after the other.
                Err(_) => store_base(),
            };
            (base, new)
        });
        let finished = pieces.finish(base?, new?)?;
        self.store_bytes(&finished.config, &finished.config_bytes)?;
        self.store_bytes(&finished.manifest, &finished.manifest_bytes)?;
        Ok(finished.written)
    }

    /// Whether the complete blob is there. A full disk may have cut it.
    pub(super) fn has(&self, blob: &Descriptor) -> bool {
        [self.staging.layout.as_path(), self.path].iter().any(|layout| Self::has_at(layout, blob))
    }

    fn has_at(layout: &Path, blob: &Descriptor) -> bool {
        let path = layout.join(blob_name(&blob.digest));
        if !fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() == blob.size) {
            return false;
        }
        let Ok(file) = File::open(&path) else { return false };
        let mut reader = DigestReader::new(file);
        io::copy(&mut reader, &mut io::sink()).is_ok() && reader.finish().0 == blob.digest
    }

    /// Stores the layers of the base, several at once: most of the time is spent waiting for their source.
    fn store_base(&self, pieces: &Pieces<'_>, base: &[&LayerSource]) -> Result<Vec<StoredBlob>, LayoutError> {
        let (layers, stored) = (Mutex::new(base.iter().enumerate()), Mutex::new(BTreeMap::new()));
        let work = || -> Result<(), LayoutError> {
            loop {
                let next = layers.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((index, layer)) = next else { return Ok(()) };
                let blob = self.store(pieces, layer).inspect_err(|_| {
                    // Layers that have not begun are skipped.
                    *layers.lock().unwrap_or_else(PoisonError::into_inner) = [].iter().enumerate();
                })?;
                stored.lock().unwrap_or_else(PoisonError::into_inner).insert(index, blob);
            }
        };
        std::thread::scope(|scope| {
            // This thread takes part, so one is enough.
            let spawn = |_| std::thread::Builder::new().spawn_scoped(scope, work).ok();
            let others: Vec<_> = (1..FETCHED_AT_ONCE.min(base.len())).filter_map(spawn).collect();
            let own = work();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            others.into_iter().map(join).fold(own, Result::and)
        })?;
        Ok(stored.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect())
    }

    fn store(&self, pieces: &Pieces<'_>, layer: &LayerSource) -> Result<StoredBlob, LayoutError> {
        if let Some(known) = pieces.known(layer).filter(|known| self.has(&known.descriptor)) {
            return Ok(known);
        }
        let mut out = self.new_blob()?;
        let piece = pieces.write(layer, &mut out).map_err(|error| error.of_file(&out))?;
        out.commit_as(&piece.descriptor.digest.hex())?;
        Ok(piece)
    }

    pub(super) fn store_bytes(&self, blob: &Descriptor, bytes: &[u8]) -> Result<(), LayoutError> {
        if self.has(blob) {
            return Ok(());
        }
        let mut out = self.new_blob()?;
        out.write_all(bytes).map_err(|error| out.error(error))?;
        Ok(out.commit_as(&blob.digest.hex())?)
    }

    /// Starts a blob whose digest is not known yet. One run may write several at once, even equal ones.
    pub(super) fn new_blob(&self) -> Result<AtomicFile, FileError> {
        let blobs = self.staging.layout.join(BLOBS);
        AtomicFile::create(&blobs.join(format!("blob-{}", number())), None, self.lease)
    }

    /// Publishes the new blobs and a changed index. Until then, the directory is as it was.
    pub(super) fn edit_index(&self, edit: impl Fn(&mut IndexDocument)) -> Result<(), LayoutError> {
        if !self.exists && self.become_layout(&edit)? {
            return Ok(());
        }
        // Another writer may have been faster.
        let existing = Existing::open(self.path)?;
        let _guard = existing.lock()?;
        self.move_blobs()?;
        let mut index = existing.read_index()?;
        edit(&mut index);
        // Under the lock: no other thread of this run uses the same temporary name.
        self.write(&self.path.join(INDEX_FILE), &index.to_bytes())
    }

    /// Gives the partial directory its name if that is free; otherwise returns false.
    fn become_layout(&self, edit: impl Fn(&mut IndexDocument)) -> Result<bool, LayoutError> {
        let Some(becomes) = &self.staging.becomes else { return Ok(false) };
        let mut index = IndexDocument::empty();
        edit(&mut index);
        let layout = &self.staging.layout;
        self.write(&layout.join(INDEX_FILE), &index.to_bytes())?;
        self.write(&layout.join(LAYOUT_FILE), LAYOUT)?;
        let partial = &self.staging.partial;
        let failed = |error| FileError::new("create", self.path, error);
        let renamed = match partial.rename(partial.path(), becomes) {
            // Somebody made a directory above. This one may still be missing.
            Err(error) if is_taken(&error) && becomes != self.path => {
                fs::create_dir_all(self.path.parent().unwrap_or(self.path)).map_err(failed)?;
                partial.rename(layout, self.path)
            }
            renamed => renamed,
        };
        match renamed {
            Ok(()) => {}
            Err(error) if is_taken(&error) => return Ok(false),
            Err(error) => return Err(failed(error).into()),
        }
        // The directory holds the name. Some file systems cannot sync a directory; that is not an error.
        if let Some(Ok(directory)) = self.path.parent().map(File::open) {
            drop(directory.sync_all());
        }
        Ok(true)
    }

    fn move_blobs(&self) -> Result<(), LayoutError> {
        let (from, to) = (self.staging.layout.join(BLOBS), self.path.join(BLOBS));
        for entry in fs::read_dir(&from).map_err(|error| FileError::new("list", &from, error))? {
            let name = entry.map_err(|error| FileError::new("list", &from, error))?.file_name();
            let target = to.join(&name);
            let moved = self.staging.partial.rename(&from.join(&name), &target);
            moved.map_err(|error| FileError::new("create", &target, error))?;
        }
        if let Ok(directory) = File::open(&to) {
            drop(directory.sync_all());
        }
        Ok(())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
        let mut out = AtomicFile::create(path, None, self.lease)?;
        out.write_all(bytes).map_err(|error| out.error(error))?;
        Ok(out.commit()?)
    }
}

/// The partial directory of one writer: beside a missing layout, in an existing one.
struct Staging<'a> {
    partial: PartialDirectory<'a>,
    /// The name that it gets; `None` if the layout's directory exists.
    becomes: Option<PathBuf>,
    /// The layout in it.
    layout: PathBuf,
}

impl<'a> Staging<'a> {
    fn create(path: &Path, lease: &'a Lease) -> Result<Self, FileError> {
        let absolute = std::path::absolute(path).map_err(|error| FileError::new("resolve", path, error))?;
        let missing = absolute.ancestors().take_while(|path| fs::symlink_metadata(path).is_err()).last();
        let is_plain = !absolute.components().any(|part| part == Component::ParentDir);
        let (partial, becomes, layout) = match missing.filter(|_| is_plain) {
            // The first missing directory is made with all that is in it, and leaves nothing if it is not finished.
            Some(first) => {
                let name = first.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let beside = first.with_file_name(format!("{name}-{}", number()));
                let partial = PartialDirectory::beside(&beside, lease)?;
                let below = absolute.strip_prefix(first).unwrap_or(Path::new(""));
                let layout = partial.path().join(below);
                (partial, Some(first.to_owned()), layout)
            }
            None => {
                fs::create_dir_all(path).map_err(|error| FileError::new("create", path, error))?;
                let beside = absolute.join(format!("layout-{}", number()));
                let partial = PartialDirectory::beside(&beside, lease)?;
                let layout = partial.path().to_owned();
                (partial, None, layout)
            }
        };
        let blobs = layout.join(BLOBS);
        fs::create_dir_all(&blobs).map_err(|error| FileError::new("create", &blobs, error))?;
        Ok(Self { partial, becomes, layout })
    }
}

/// A layout that exists, or one that is begun in an empty directory.
struct Existing<'a> {
    path: &'a Path,
    /// `oci-layout`, which is never replaced. Writers of the index lock it.
    lock: File,
}

impl<'a> Existing<'a> {
    fn open(path: &'a Path) -> Result<Self, LayoutError> {
        let marker = path.join(LAYOUT_FILE);
        if fs::symlink_metadata(&marker).is_ok_and(|found| !found.is_file()) {
            let reason = "its `oci-layout` is not a regular file".to_owned();
            return Err(LayoutError::NotALayout { path: path.to_owned(), reason });
        }
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&marker);
        let lock = opened.map_err(|error| FileError::new("open", &marker, error))?;
        let layout = Self { path, lock };
        let guard = layout.lock()?;
        layout.check_marker(&marker)?;
        let blobs = path.join(BLOBS);
        fs::create_dir_all(&blobs).map_err(|error| FileError::new("create", &blobs, error))?;
        drop(guard);
        Ok(layout)
    }

    /// Writes or checks the version. A writer that was stopped may have left an empty file.
    fn check_marker(&self, marker: &Path) -> Result<(), LayoutError> {
        let mut bytes = Vec::new();
        let read = (&self.lock).take(4096).read_to_end(&mut bytes);
        read.map_err(|error| FileError::new("read", marker, error))?;
        if bytes.is_empty() {
            let written = (&self.lock).write_all(LAYOUT).and_then(|()| self.lock.sync_all());
            return Ok(written.map_err(|error| FileError::new("write", marker, error))?);
        }
        let version: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
        let version = version.as_ref().and_then(|value| value.get("imageLayoutVersion")?.as_str());
        if version.is_some_and(|version| version.starts_with("1.")) {
            return Ok(());
        }
        let reason = match version {
            Some(version) => format!("its version is {version}; b2i supports 1.x"),
            None => "its `oci-layout` has no version".into(),
        };
        Err(LayoutError::NotALayout { path: self.path.to_owned(), reason })
    }

    fn lock(&self) -> Result<IndexLock<'_>, FileError> {
        self.lock.lock().map_err(|error| FileError::new("lock", self.path, error))?;
        Ok(IndexLock(&self.lock))
    }

    fn read_index(&self) -> Result<IndexDocument, LayoutError> {
        let path = self.path.join(INDEX_FILE);
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(file) => {
                let read = file.take(MAXIMUM_MANIFEST + 1).read_to_end(&mut bytes);
                read.map_err(|error| FileError::new("read", &path, error))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(IndexDocument::empty()),
            Err(error) => return Err(FileError::new("open", &path, error).into()),
        }
        let refused = |reason| LayoutError::NotALayout { path: self.path.to_owned(), reason };
        if bytes.len() as u64 > MAXIMUM_MANIFEST {
            return Err(refused(format!("its index.json has more than {MAXIMUM_MANIFEST} bytes")));
        }
        IndexDocument::parse(&bytes).map_err(refused)
    }
}

struct IndexLock<'a>(&'a File);

impl Drop for IndexLock<'_> {
    fn drop(&mut self) {
        drop(self.0.unlock());
    }
}

/// A number that no other partial file of this process has.
fn number() -> usize {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// Whether a directory cannot be renamed because its new name has a directory that is not empty.
fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}

fn is_empty(path: &Path) -> Result<bool, FileError> {
    let mut entries = fs::read_dir(path).map_err(|error| FileError::new("list", path, error))?;
    Ok(entries.next().is_none())
}
