//! Owns bounded reading: this module reads every byte through a [`BoundedReader`].
//! Must not read past its end, nor allocate more than the caller's limit, whatever the file states.

use std::io::{self, Read, Seek, SeekFrom};

pub(super) trait Source: Read + Seek {}

impl<T: Read + Seek> Source for T {}

/// A range of a source: the whole file, or a stored member of an archive.
pub(super) struct BoundedReader<'a> {
    source: &'a mut dyn Source,
    start: u64,
    size: u64,
}

impl<'a> BoundedReader<'a> {
    pub(super) fn new(source: &'a mut dyn Source, size: u64) -> Self {
        Self { source, start: 0, size }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// A view of the same range with a shorter lifetime.
    pub(super) fn reborrow(&mut self) -> BoundedReader<'_> {
        BoundedReader { source: &mut *self.source, start: self.start, size: self.size }
    }

    /// Reads `limit` bytes from `offset`, or fewer at the end.
    pub(super) fn read(&mut self, offset: u64, limit: u64) -> io::Result<Vec<u8>> {
        let count = usize::try_from(self.size.saturating_sub(offset).min(limit));
        let mut bytes = vec![0; count.map_err(io::Error::other)?];
        if !bytes.is_empty() {
            self.source.seek(SeekFrom::Start(self.start.saturating_add(offset)))?;
            self.source.read_exact(&mut bytes)?;
        }
        Ok(bytes)
    }

    /// Reads exactly `count` bytes from `offset`; `None` if the range has fewer.
    pub(super) fn read_exact(&mut self, offset: u64, count: u64) -> io::Result<Option<Vec<u8>>> {
        match self.contains(offset, count) {
            true => self.read(offset, count).map(Some),
            false => Ok(None),
        }
    }

    /// Whether the range has `count` bytes from `offset`.
    pub(super) fn contains(&self, offset: u64, count: u64) -> bool {
        offset.checked_add(count).is_some_and(|end| end <= self.size)
    }

    /// A part of this range; `None` if it ends after the range.
    pub(super) fn part(&mut self, offset: u64, size: u64) -> Option<BoundedReader<'_>> {
        let start = self.start.checked_add(offset)?;
        self.contains(offset, size).then_some(())?;
        Some(BoundedReader { source: &mut *self.source, start, size })
    }

    /// Streams at most `count` bytes from `offset`, never past the end.
    pub(super) fn stream(&mut self, offset: u64, count: u64) -> io::Result<impl Read + '_> {
        let count = count.min(self.size.saturating_sub(offset));
        self.source.seek(SeekFrom::Start(self.start.saturating_add(offset)))?;
        Ok((&mut *self.source).take(count))
    }
}

/// Makes bytes of a file into text that is safe to show. It replaces control characters, which a terminal would obey, and
/// bytes that are not UTF-8, and cuts a long text.
pub(super) fn text(bytes: &[u8]) -> String {
    const LONGEST: usize = 4096;
    let bytes = &bytes[..bytes.len().min(LONGEST)];
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|character| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character })
        .collect()
}

pub(super) fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

// The readers of numbers return `None` beyond the end of `bytes`.

pub(super) fn little_u16(bytes: &[u8], offset: usize) -> Option<u16> {
    array(bytes, offset).map(u16::from_le_bytes)
}

pub(super) fn little_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_le_bytes)
}

pub(super) fn little_u64(bytes: &[u8], offset: usize) -> Option<u64> {
    array(bytes, offset).map(u64::from_le_bytes)
}

pub(super) fn big_u16(bytes: &[u8], offset: usize) -> Option<u16> {
    array(bytes, offset).map(u16::from_be_bytes)
}

pub(super) fn big_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_be_bytes)
}

pub(super) fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn reads_stop_at_the_end_of_the_view() {
        let mut source = Cursor::new(b"0123456789".to_vec());
        let mut whole = BoundedReader::new(&mut source, 10);
        assert_eq!(whole.read(8, 100).expect("reads"), b"89");
        assert_eq!(whole.read(u64::MAX, 100).expect("reads"), b"");
        assert_eq!(whole.read_exact(8, 3).expect("reads"), None);
        let mut part = whole.part(2, 3).expect("inside");
        assert_eq!(part.read(1, 100).expect("reads"), b"34");
        assert!(part.part(1, 3).is_none() && part.part(u64::MAX, 1).is_none());
        let mut streamed = Vec::new();
        part.stream(1, u64::MAX).expect("seeks").read_to_end(&mut streamed).expect("reads");
        assert_eq!(streamed, b"34");
    }

    #[test]
    fn a_file_shorter_than_stated_is_an_error() {
        let mut source = Cursor::new(b"0123".to_vec());
        let error = BoundedReader::new(&mut source, 10).read(0, 10).expect_err("short");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn text_cannot_steer_a_terminal() {
        assert_eq!(text(b"a\x1b[2Jb\n\xff"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}");
        assert_eq!(text(&[b'x'; 10_000]).len(), 4096);
    }
}
