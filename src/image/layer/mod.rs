//! Owns the layer writer: a deterministic tar of entries, written in one pass.
//! Must not compress, nor know where the bytes go.
//!
//! The bytes depend only on the entries and the date, never on the disk of the machine. Entries are sorted by path. A
//! change of one byte of the format changes every image digest, so the changelog lists it.
//!
//! Source: POSIX.1-2017 `pax`; OCI image spec v1.1 "layer.md".

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

/// Raised with each change of the bytes of equal entries.
pub const LAYER_FORMAT_VERSION: u32 = 1;

const BLOCK: u64 = 512;
const COPY_BUFFER: usize = 64 * 1024;

/// A layer that can be written any number of times, always with the same bytes.
#[derive(Clone)]
pub struct Layer {
    entries: Arc<[Entry]>,
    /// The extended attributes of the entries that have some, sorted by name.
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

/// The result of writing a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenLayer {
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Length of the uncompressed tar, in bytes.
    pub size: u64,
    /// Digest of the watched file, so that the artifact is read only once.
    pub watched: Option<Digest>,
}

/// Entries that contradict each other.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidLayer {
    #[error("two files would be placed at `{0}`")]
    Duplicate(ImagePath),
    #[error("`{0}` is a file, and `{1}` would be placed below it")]
    BelowFile(ImagePath, ImagePath),
    #[error("the hard link `{0}` points to `{1}`, which is not a file of this layer")]
    DanglingLink(ImagePath, ImagePath),
}

impl Layer {
    /// A layer of `entries` in any order. `date` is in seconds since 1970.
    pub fn new(mut entries: Vec<Entry>, date: u64) -> Result<Self, InvalidLayer> {
        // Sorted in place: a map would hold each path twice, and a tree has 100,000 of them.
        entries.sort_unstable_by(|one, two| one.path.cmp(&two.path));
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].path == pair[1].path) {
            return Err(InvalidLayer::Duplicate(pair[0].path.clone()));
        }
        let find = |path: &ImagePath| {
            let found = entries.binary_search_by(|entry| entry.path.cmp(path));
            found.ok().map(|index| &entries[index].kind)
        };
        for Entry { path, kind, .. } in &entries {
            let mut parent = path.parent();
            while let Some(directory) = parent {
                if find(&directory).is_some_and(|above| !matches!(above, EntryKind::Directory)) {
                    return Err(InvalidLayer::BelowFile(directory, path.clone()));
                }
                parent = directory.parent();
            }
            if let EntryKind::HardLink { target } = kind
                && !find(target).is_some_and(|file| matches!(file, EntryKind::File { .. }))
            {
                return Err(InvalidLayer::DanglingLink(path.clone(), target.clone()));
            }
        }
        // A hard link must follow its file. The order of paths does not guarantee it. The sort is stable.
        let is_link = |entry: &Entry| matches!(entry.kind, EntryKind::HardLink { .. });
        if entries.iter().any(is_link) {
            entries.sort_by_key(is_link);
        }
        Ok(Self { entries: entries.into(), attributes: Arc::default(), date, watched: None })
    }

    #[must_use]
    pub fn with_attributes(mut self, mut attributes: BTreeMap<ImagePath, Vec<ExtendedAttribute>>) -> Self {
        attributes.values_mut().for_each(|attributes| attributes.sort());
        self.attributes = Arc::new(attributes);
        self
    }

    fn headers(&self, entry: &Entry) -> Vec<u8> {
        headers(entry, self.attributes.get(&entry.path).map_or(&[], Vec::as_slice), self.date)
    }

    /// Sets the file whose digest writing returns.
    #[must_use]
    pub fn watching(mut self, path: ImagePath) -> Self {
        self.watched = Some(path);
        self
    }

    /// The entries in the order of the tar.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The length of the tar in bytes.
    pub fn size(&self) -> u64 {
        let body: u64 =
            self.entries.iter().map(|entry| self.headers(entry).len() as u64 + padded(entry.size())).sum();
        body + 2 * BLOCK
    }

    /// Writes the tar to `out`. Fails with [`io::ErrorKind::InvalidData`] if a file has another size than its entry.
    pub fn write_to(&self, out: impl Write) -> io::Result<WrittenLayer> {
        let mut out = DigestWriter::new(out);
        let watched = self.write_undigested(&mut out)?;
        let (_, diff_id, size) = out.finish();
        Ok(WrittenLayer { diff_id, size, watched })
    }

    /// Writes the tar without computing its digest, and returns the digest of the watched file.
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
    // A small file gets a small buffer: trees have thousands of them.
    let length = usize::try_from(size).map_or(COPY_BUFFER, |size| size.saturating_add(1).min(COPY_BUFFER));
    let mut buffer = vec![0; length];
    let mut left = size;
    loop {
        // One byte more than is left detects a file that grew.
        let limit = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX).saturating_add(1));
        let count = match reader.read(&mut buffer[..limit]) {
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
