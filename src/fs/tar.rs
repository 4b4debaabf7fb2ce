//! Owns reading tars whose headers may be hostile: `tar` reads a long name or a pax header of any size into memory.
//! Must not know what the entries are.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

/// Most bytes of headers before one entry. Names and attributes need far less.
const MAXIMUM_HEADERS: u64 = 1 << 20;

/// Bytes that belong to no header: the padding of the entry before, and blocks of the headers themselves.
const SLACK: u64 = 16 * 512;

/// A tar reader that fails if the headers of an entry have more than 1 MiB.
pub(crate) struct BoundedTar<R: Read> {
    archive: tar::Archive<HeaderLimit<R>>,
    limit: Rc<Cell<u64>>,
}

impl<R: Read> BoundedTar<R> {
    pub(crate) fn new(reader: R) -> Self {
        let limit = Rc::new(Cell::new(MAXIMUM_HEADERS + SLACK));
        let reader = HeaderLimit { reader, position: 0, limit: limit.clone() };
        Self { archive: tar::Archive::new(reader), limit }
    }

    /// The entries from the first. Content that is not read is skipped.
    pub(crate) fn entries(&mut self) -> io::Result<BoundedEntries<'_, R>> {
        Ok(BoundedEntries { entries: self.archive.entries()?, limit: self.limit.clone() })
    }
}

impl<R: Read + Seek> BoundedTar<R> {
    /// Like [`Self::entries`], and seeks over content that is not read.
    pub(crate) fn entries_with_seek(&mut self) -> io::Result<BoundedEntries<'_, R>> {
        Ok(BoundedEntries { entries: self.archive.entries_with_seek()?, limit: self.limit.clone() })
    }
}

pub(crate) struct BoundedEntries<'a, R: Read> {
    entries: tar::Entries<'a, HeaderLimit<R>>,
    limit: Rc<Cell<u64>>,
}

impl<'a, R: Read> Iterator for BoundedEntries<'a, R> {
    type Item = io::Result<BoundedEntry<'a, R>>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next()?;
        if let Ok(entry) = &entry {
            // A sparse entry has fewer bytes in the archive than its file.
            let header = entry.header();
            let is_sparse = header.entry_type().is_gnu_sparse();
            let stored = if is_sparse { header.entry_size().unwrap_or_default() } else { entry.size() };
            let end = entry.raw_file_position().saturating_add(stored);
            self.limit.set(end.saturating_add(MAXIMUM_HEADERS + SLACK));
        }
        Some(entry)
    }
}

pub(crate) type BoundedEntry<'a, R> = tar::Entry<'a, HeaderLimit<R>>;

/// Fails at the position that the headers of the next entry may not reach.
pub(crate) struct HeaderLimit<R> {
    reader: R,
    position: u64,
    limit: Rc<Cell<u64>>,
}

impl<R: Read> Read for HeaderLimit<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.limit.get().saturating_sub(self.position);
        if left == 0 && !buffer.is_empty() {
            let reason = "it has a header of more than 1 MiB";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.reader.read(&mut buffer[..most])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl<R: Seek> Seek for HeaderLimit<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let after = self.reader.seek(to)?;
        // Asking for the position before would be one more system call for each entry.
        self.position = match to {
            SeekFrom::Current(distance) => self.position.saturating_add_signed(distance),
            SeekFrom::Start(_) | SeekFrom::End(_) => after,
        };
        Ok(after)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// An entry whose extension of type `kind` has `size` bytes, between two usual ones.
    fn archive(kind: tar::EntryType, size: usize) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |kind, name: &str, content: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, content).expect("in memory");
        };
        add(tar::EntryType::Regular, "large", &vec![1; 3 << 20]);
        let mut extension = vec![b'n'; size];
        if kind.is_pax_local_extensions() {
            let text = format!("{size} comment=");
            extension[..text.len()].copy_from_slice(text.as_bytes());
            extension[size - 1] = b'\n';
        }
        add(kind, "extension", &extension);
        add(tar::EntryType::Regular, "last", b"x");
        tar.into_inner().expect("in memory")
    }

    #[test]
    fn headers_are_bounded_and_content_is_not() {
        for kind in [tar::EntryType::GNULongName, tar::EntryType::GNULongLink, tar::EntryType::XHeader] {
            for (size, is_read) in
                [(5000, true), (1 << 20, true), ((1 << 20) + 20_000, false), (8 << 20, false)]
            {
                let bytes = archive(kind, size);
                let mut tar = BoundedTar::new(bytes.as_slice());
                let read: io::Result<Vec<u64>> =
                    tar.entries().expect("begins").map(|entry| entry.map(|entry| entry.size())).collect();
                assert_eq!(read.is_ok(), is_read, "{kind:?} {size}: {read:?}");
                let mut tar = BoundedTar::new(Cursor::new(&bytes));
                let sought: io::Result<Vec<u64>> = tar
                    .entries_with_seek()
                    .expect("begins")
                    .map(|entry| entry.map(|entry| entry.size()))
                    .collect();
                assert_eq!(sought.is_ok(), is_read, "{kind:?} {size}: {sought:?}");
                match read {
                    Ok(sizes) => assert_eq!(sizes, [3 << 20, 1]),
                    Err(error) => assert!(error.to_string().contains("more than 1 MiB"), "{error}"),
                }
            }
        }
    }
}
