//! Owns the layer writer: a deterministic tar of the entries it is given, written in one pass.
//!
//! The bytes depend on the entries and the date alone: the order is by path, owners and modes are the entries',
//! nothing comes from the disk of the machine that writes. Changing one byte of the format changes every image
//! digest; the changelog names each such change. Must not compress and must not know where the bytes go.
//!
//! Source: POSIX.1-2017 `pax`, ustar and pax interchange formats; OCI image spec v1.1 "layer.md".

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

mod entry;
mod header;

pub use entry::{Content, Entry, EntryKind, ExtendedAttribute, Owner};
use header::headers;

use super::digest::{Digest, DigestReader, DigestWriter};
use super::path::ImagePath;

/// Raised with every change of the bytes that equal entries give.
pub const LAYER_FORMAT_VERSION: u32 = 1;

const BLOCK: u64 = 512;

/// Most bytes of a file that are read at once.
const COPY_BUFFER: usize = 64 * 1024;

/// A layer that can be written, any number of times, with equal bytes.
#[derive(Clone)]
pub struct Layer {
    entries: Arc<[Entry]>,
    /// Extended attributes, of the few entries that have some; in order of their names.
    attributes: Arc<BTreeMap<ImagePath, Vec<ExtendedAttribute>>>,
    /// Modification time of every entry, in seconds since 1970.
    date: u64,
    watched: Option<ImagePath>,
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.entries.iter().map(|entry| &entry.path)).finish()
    }
}

/// What writing a layer yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenLayer {
    /// Digest of the uncompressed tar: the layer's diff ID.
    pub diff_id: Digest,
    /// Length of the uncompressed tar, in bytes.
    pub size: u64,
    /// Digest of the watched file's bytes, if one is watched: the artifact is read only once.
    pub watched: Option<Digest>,
}

/// Entries that make no layer.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidLayer {
    #[error("two files would be placed at `{0}`")]
    Duplicate(ImagePath),
    #[error("`{0}` is a file, and `{1}` would be placed below it")]
    BelowFile(ImagePath, ImagePath),
    #[error("the hard link `{0}` points to `{1}`, which is no file of this layer")]
    DanglingLink(ImagePath, ImagePath),
}

impl Layer {
    /// Makes a layer of `entries`, in whatever order they come; `date` is in seconds since 1970.
    ///
    /// # Errors
    /// [`InvalidLayer`] if the entries contradict each other.
    pub fn new(entries: Vec<Entry>, date: u64) -> Result<Self, InvalidLayer> {
        let mut by_path: BTreeMap<ImagePath, Entry> = BTreeMap::new();
        for entry in entries {
            let path = entry.path.clone();
            if by_path.insert(path.clone(), entry).is_some() {
                return Err(InvalidLayer::Duplicate(path));
            }
        }
        for (path, entry) in &by_path {
            let mut parent = path.parent();
            while let Some(directory) = parent {
                if by_path.get(&directory).is_some_and(|above| !matches!(above.kind, EntryKind::Directory)) {
                    return Err(InvalidLayer::BelowFile(directory, path.clone()));
                }
                parent = directory.parent();
            }
            if let EntryKind::HardLink { target } = &entry.kind
                && !by_path.get(target).is_some_and(|file| matches!(file.kind, EntryKind::File { .. }))
            {
                return Err(InvalidLayer::DanglingLink(path.clone(), target.clone()));
            }
        }
        // A hard link must follow the file it names, and paths alone do not see to that.
        let (links, others): (Vec<Entry>, Vec<Entry>) =
            by_path.into_values().partition(|entry| matches!(entry.kind, EntryKind::HardLink { .. }));
        let entries = others.into_iter().chain(links).collect();
        Ok(Self { entries, attributes: Arc::default(), date, watched: None })
    }

    /// Gives entries extended attributes, in whatever order they come.
    #[must_use]
    pub fn with_attributes(mut self, mut attributes: BTreeMap<ImagePath, Vec<ExtendedAttribute>>) -> Self {
        attributes.values_mut().for_each(|attributes| attributes.sort());
        self.attributes = Arc::new(attributes);
        self
    }

    fn headers(&self, entry: &Entry) -> Vec<u8> {
        headers(entry, self.attributes.get(&entry.path).map_or(&[], Vec::as_slice), self.date)
    }

    /// Asks that writing also yields the digest of the file at `path`.
    #[must_use]
    pub fn watching(mut self, path: ImagePath) -> Self {
        self.watched = Some(path);
        self
    }

    /// The entries, in the order in which they are written.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The length of the tar, in bytes, known before anything is written.
    pub fn size(&self) -> u64 {
        let body: u64 =
            self.entries.iter().map(|entry| self.headers(entry).len() as u64 + padded(entry.size())).sum();
        body + 2 * BLOCK
    }

    /// Writes the tar to `out` and digests it on the way.
    ///
    /// # Errors
    /// Errors of `out` and of the contents; [`io::ErrorKind::InvalidData`] if a content's size is not the stated one.
    pub fn write_to(&self, out: impl Write) -> io::Result<WrittenLayer> {
        let mut out = DigestWriter::new(out);
        let watched = self.write_undigested(&mut out)?;
        let (_, diff_id, size) = out.finish();
        Ok(WrittenLayer { diff_id, size, watched })
    }

    /// Writes the tar to `out` for a reader to whom its digest means nothing, and gives that of the watched file.
    ///
    /// # Errors
    /// As [`Layer::write_to`].
    pub fn write_undigested(&self, mut out: impl Write) -> io::Result<Option<Digest>> {
        let mut watched = None;
        for entry in self.entries.iter() {
            out.write_all(&self.headers(entry))?;
            if let EntryKind::File { size, content } = &entry.kind {
                if self.watched.as_ref() == Some(&entry.path) {
                    let mut reader = DigestReader::new(content.open()?);
                    copy_exactly(&mut reader, &mut out, *size, &entry.path)?;
                    watched = Some(reader.finish().0);
                } else {
                    copy_exactly(&mut *content.open()?, &mut out, *size, &entry.path)?;
                }
                let padding = padded(*size) - size;
                out.write_all(&[0; BLOCK as usize][..padding as usize])?;
            }
        }
        out.write_all(&[0; 2 * BLOCK as usize])?;
        out.flush()?;
        Ok(watched)
    }
}

fn padded(size: u64) -> u64 {
    size.div_ceil(BLOCK) * BLOCK
}

fn copy_exactly(reader: &mut dyn Read, out: &mut impl Write, size: u64, path: &ImagePath) -> io::Result<()> {
    // A small file needs no large buffer: trees have thousands of them.
    let length = usize::try_from(size).map_or(COPY_BUFFER, |size| size.saturating_add(1).min(COPY_BUFFER));
    let mut buffer = vec![0; length];
    let mut left = size;
    loop {
        // One byte more than is left, so that a file that grew is noticed too.
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX).saturating_add(1));
        let count = match reader.read(&mut buffer[..want]) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if count as u64 > left || (count == 0 && left > 0) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the file for `{path}` changed while it was read: it no longer has {size} bytes"),
            ));
        }
        if count == 0 {
            return Ok(());
        }
        out.write_all(&buffer[..count])?;
        left -= count as u64;
    }
}

#[cfg(test)]
mod tests;
