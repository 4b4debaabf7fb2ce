//! Owns writing an image into a layout directory that may have others, beside any number of other writers.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::image::{LayoutImage, Piece, Pieces};
use super::index::IndexDocument;
use super::{BLOBS, INDEX_FILE, LAYOUT, LAYOUT_FILE, LayoutError, LayoutOptions, WrittenLayout};
use crate::fs::{AtomicFile, FileError, Lease};
use crate::image::layer::WrittenLayer;
use crate::image::manifest::MAXIMUM_MANIFEST;
use crate::image::{Descriptor, Digest, DigestReader};
use crate::store::archive::{ArchiveError, LayerFile};

/// Layers of the base that are fetched at once.
const FETCHED_AT_ONCE: usize = 4;

/// Adds an image to the layout in `directory`, which is made if it does not exist or is empty. `base_files` are the
/// layers of a base that is in a daemon. Blobs that are there already are verified and not written again.
///
/// Blocks; on a described base, call it on a blocking thread of the runtime that reads its blobs.
///
/// # Errors
/// [`LayoutError`]; after one, the index is as it was before.
pub fn write_layout<'a>(
    image: impl Into<LayoutImage<'a>>,
    base_files: &'a [LayerFile],
    options: &'a LayoutOptions,
    directory: &Path,
    lease: &Lease,
) -> Result<WrittenLayout, LayoutError> {
    let layout = Directory::open(directory, lease)?;
    let pieces = Pieces::new(image.into(), options)?;
    let written = layout.store_image(&pieces, base_files, options)?;
    layout.edit_index(|index| index.put(&written.manifest, Some(&pieces.platform()), &options.tags))?;
    Ok(written)
}

/// A layout directory that is written to.
pub(super) struct Directory<'a> {
    path: &'a Path,
    /// `oci-layout`, which nobody replaces: who edits the index holds a lock on it.
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
            return Err(refused("it has files in it, but no `oci-layout`"));
        }
        if fs::symlink_metadata(&marker).is_ok_and(|found| !found.is_file()) {
            return Err(refused("its `oci-layout` is no regular file"));
        }
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&marker);
        let lock = opened.map_err(|error| FileError::new("open", &marker, error))?;
        let layout = Self { path, lock, lease };
        let guard = layout.lock()?;
        layout.check_marker(&marker)?;
        let blobs = path.join(BLOBS);
        fs::create_dir_all(&blobs).map_err(|error| FileError::new("create", &blobs, error))?;
        drop(guard);
        // What is there is looked at before anything large is written.
        layout.read_index()?;
        Ok(layout)
    }

    /// Stores all blobs of an image, its manifest among them; the index does not name it yet.
    pub(super) fn store_image<'b>(
        &self,
        pieces: &Pieces<'b>,
        base_files: &'b [LayerFile],
        options: &LayoutOptions,
    ) -> Result<WrittenLayout, LayoutError> {
        let base = pieces.base(base_files)?;
        let (base, new) = std::thread::scope(|scope| {
            let store_base = || self.store_base(pieces, &base);
            let beside = std::thread::Builder::new().spawn_scoped(scope, store_base);
            let new = pieces.new_layer().map(|piece| self.store_new(pieces, piece, options)).transpose();
            let base = match beside {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                // The system gives no thread: one after the other, then.
                Err(_) => store_base(),
            };
            (base, new)
        });
        let finished = pieces.finish(base?, new?)?;
        self.store_bytes(&finished.config, &finished.config_bytes)?;
        self.store_bytes(&finished.written.manifest, &finished.manifest_bytes)?;
        Ok(finished.written)
    }

    /// Writes the version, or compares it. An empty file was left by a writer that was stopped.
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
            Some(version) => format!("its version is {version}, and b2i knows 1.x"),
            None => "its `oci-layout` names no version".into(),
        };
        Err(LayoutError::NotALayout { path: self.path.to_owned(), reason })
    }

    fn lock(&self) -> Result<IndexLock<'_>, FileError> {
        self.lock.lock().map_err(|error| FileError::new("lock", self.path, error))?;
        Ok(IndexLock(&self.lock))
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path.join(BLOBS).join(digest.hex())
    }

    /// Whether the blob is there, whole: what lies there may be from a disk that was full.
    pub(super) fn has(&self, blob: &Descriptor) -> bool {
        let path = self.blob_path(&blob.digest);
        if !fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() == blob.size) {
            return false;
        }
        let Ok(file) = File::open(&path) else { return false };
        let mut reader = DigestReader::new(file);
        io::copy(&mut reader, &mut io::sink()).is_ok() && reader.finish().0 == blob.digest
    }

    /// Stores the layers of the base, several at once: most of the time goes to waiting for where they come from.
    fn store_base(&self, pieces: &Pieces<'_>, base: &[Piece<'_>]) -> Result<Vec<Descriptor>, LayoutError> {
        let results: Vec<Mutex<Option<Result<Descriptor, LayoutError>>>> =
            base.iter().map(|_| Mutex::new(None)).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(piece) = base.get(index) else { return };
                let stored = self.store(pieces, *piece).map(|(descriptor, _)| descriptor);
                if stored.is_err() {
                    // The others need not start.
                    next.store(base.len(), Ordering::Relaxed);
                }
                *results[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(stored);
            }
        };
        std::thread::scope(|scope| {
            // This thread is one of them, and the only one if the system gives no more.
            for _ in 1..FETCHED_AT_ONCE.min(base.len()) {
                if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
        let results =
            results.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner));
        // Empty slots come behind an error: an error stops the others.
        let (done, mut missing): (Vec<_>, Vec<_>) = results.partition(|slot| matches!(slot, Some(Ok(_))));
        match missing.drain(..).flatten().next() {
            Some(error) => error.map(|_| Vec::new()),
            None => done.into_iter().flatten().collect(),
        }
    }

    fn store_new(
        &self,
        pieces: &Pieces<'_>,
        piece: Piece<'_>,
        options: &LayoutOptions,
    ) -> Result<(Descriptor, WrittenLayer), LayoutError> {
        let (descriptor, layer) = self.store(pieces, piece)?;
        let known = options.known.as_ref().map(|known| known.layer);
        Ok((descriptor, layer.or(known).expect("a layer that is not written is known")))
    }

    /// Stores a piece unless it is there.
    fn store(
        &self,
        pieces: &Pieces<'_>,
        piece: Piece<'_>,
    ) -> Result<(Descriptor, Option<WrittenLayer>), LayoutError> {
        if let Some(known) = pieces.known(piece).filter(|known| self.has(known)) {
            return Ok((known, None));
        }
        let mut out = self.new_blob()?;
        let (descriptor, layer) = pieces.write(piece, &mut out).map_err(|error| match error {
            ArchiveError::Io(error) => LayoutError::File(out.error(error)),
            other => other.into(),
        })?;
        out.commit_as(&descriptor.digest.hex())?;
        Ok((descriptor, layer))
    }

    pub(super) fn store_bytes(&self, blob: &Descriptor, bytes: &[u8]) -> Result<(), LayoutError> {
        if self.has(blob) {
            return Ok(());
        }
        let mut out = self.new_blob()?;
        out.write_all(bytes).map_err(|error| out.error(error))?;
        Ok(out.commit_as(&blob.digest.hex())?)
    }

    /// Starts a blob whose name is not known yet. One run may write several at once, even the same ones.
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
        // Under the lock, so no other of this run writes to the same temporary name.
        let mut out = AtomicFile::create(&self.path.join(INDEX_FILE), None, self.lease)?;
        out.write_all(&index.to_bytes()).map_err(|error| out.error(error))?;
        Ok(out.commit()?)
    }
}

/// Keeps others from editing the index until it is dropped.
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
