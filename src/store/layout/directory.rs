//! Owns writing images into a layout directory that may have others. Must not disturb other writers.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::image::Pieces;
use super::index::IndexDocument;
use super::{BLOBS, INDEX_FILE, LAYOUT, LAYOUT_FILE, LayoutError, blob_name};
use crate::fs::{AtomicFile, FileError, Lease};
use crate::image::manifest::MAXIMUM_MANIFEST;
use crate::image::{Descriptor, Digest, DigestReader, LayerSource};
use crate::store::{StoredBlob, WrittenImage};

const FETCHED_AT_ONCE: usize = 4;

pub(super) struct Directory<'a> {
    path: &'a Path,
    /// `oci-layout`, which is never replaced. Writers of the index lock it.
    lock: File,
    lease: &'a Lease,
}

impl<'a> Directory<'a> {
    pub(super) fn open(path: &'a Path, lease: &'a Lease) -> Result<Self, LayoutError> {
        let marker = path.join(LAYOUT_FILE);
        let refused =
            |reason: &str| LayoutError::NotALayout { path: path.to_owned(), reason: reason.to_owned() };
        fs::create_dir_all(path).map_err(|error| FileError::new("create", path, error))?;
        if fs::symlink_metadata(&marker).is_err() && !is_empty(path)? {
            return Err(refused("it is not empty and has no `oci-layout`"));
        }
        if fs::symlink_metadata(&marker).is_ok_and(|found| !found.is_file()) {
            return Err(refused("its `oci-layout` is not a regular file"));
        }
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&marker);
        let lock = opened.map_err(|error| FileError::new("open", &marker, error))?;
        let layout = Self { path, lock, lease };
        let guard = layout.lock()?;
        layout.check_marker(&marker)?;
        let blobs = path.join(BLOBS);
        fs::create_dir_all(&blobs).map_err(|error| FileError::new("create", &blobs, error))?;
        drop(guard);
        // Errors in the index appear before anything large is written.
        layout.read_index()?;
        Ok(layout)
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

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path.join(blob_name(digest))
    }

    /// Whether the complete blob is there. A full disk may have cut it.
    pub(super) fn has(&self, blob: &Descriptor) -> bool {
        let path = self.blob_path(&blob.digest);
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
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        AtomicFile::create(&self.path.join(BLOBS).join(format!("blob-{number}")), None, self.lease)
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

    pub(super) fn edit_index(&self, edit: impl FnOnce(&mut IndexDocument)) -> Result<(), LayoutError> {
        let _guard = self.lock()?;
        let mut index = self.read_index()?;
        edit(&mut index);
        // Under the lock: no other thread of this run uses the same temporary name.
        let mut out = AtomicFile::create(&self.path.join(INDEX_FILE), None, self.lease)?;
        out.write_all(&index.to_bytes()).map_err(|error| out.error(error))?;
        Ok(out.commit()?)
    }
}

struct IndexLock<'a>(&'a File);

impl Drop for IndexLock<'_> {
    fn drop(&mut self) {
        drop(self.0.unlock());
    }
}

fn is_empty(path: &Path) -> Result<bool, FileError> {
    let mut entries = fs::read_dir(path).map_err(|error| FileError::new("list", path, error))?;
    Ok(entries.next().is_none())
}
