//! Owns reading ZIP archives: the central directory in one bounded read, members one by one (APPNOTE.TXT 6.3).
//! Must not know JARs, nor allocate memory for each entry: the largest archives take milliseconds.
//!
//! `zip` 9.4 was weighed: it allocates several times for each entry, and reads a directory of any size.

use std::io::{self, BufReader, Read};

use super::super::bounded_reader::{BoundedReader, holds, little_u16, little_u32, little_u64, text};
use super::super::rejection::{Rejection, Stop};

/// The first bytes of an archive that begins with a member.
pub(in super::super) const MEMBER_MAGIC: &[u8] = b"PK\x03\x04";
const END_MAGIC: &[u8] = b"PK\x05\x06";
const END64_MAGIC: &[u8] = b"PK\x06\x06";
const LOCATOR64_MAGIC: &[u8] = b"PK\x06\x07";
const ENTRY_MAGIC: &[u8] = b"PK\x01\x02";

const END_SIZE: usize = 22;
const END64_SIZE: u64 = 56;
const LOCATOR64_SIZE: u64 = 20;
const ENTRY_SIZE: usize = 46;
const MEMBER_HEADER_SIZE: u64 = 30;
const LONGEST_COMMENT: u64 = 65_535;
/// Ten times as many as in the largest real archives.
const MOST_ENTRIES: u64 = 1_000_000;
const LONGEST_DIRECTORY: u64 = 64 * 1024 * 1024;
/// The limit for a library in an archive, which may have many of them.
const LONGEST_INNER_DIRECTORY: u64 = 2 * 1024 * 1024;

/// Launch scripts before an archive have about 10 KB.
const LONGEST_SCRIPT: u64 = 64 * 1024;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

pub(super) struct Directory {
    bytes: Vec<u8>,
    /// The number of bytes before the archive, which is added to stated offsets.
    shift: u64,
    count: u64,
    /// The number of bytes behind the end record and its comment.
    trailing: u64,
}

struct End {
    trailing: u64,
    count: u64,
    size: u64,
    offset: u64,
    /// The offset of the end records, at which the directory ends.
    at: u64,
}

fn damaged(reason: impl Into<String>) -> Stop {
    Rejection::DamagedZip { reason: reason.into() }.into()
}

impl Directory {
    /// Reads the directory. A truncated or split archive, or one with an impossible directory, is refused.
    pub(super) fn read(view: &mut BoundedReader<'_>) -> Result<Self, Stop> {
        Self::read_bounded(view, LONGEST_DIRECTORY)
    }

    /// Reads the directory of an archive in another one; `None` if it is damaged or too large.
    pub(super) fn read_inner(view: &mut BoundedReader<'_>) -> io::Result<Option<Self>> {
        match Self::read_bounded(view, LONGEST_INNER_DIRECTORY) {
            Ok(directory) => Ok(Some(directory)),
            Err(Stop::Refused(_)) => Ok(None),
            Err(Stop::Read(error)) => Err(error),
        }
    }

    fn read_bounded(view: &mut BoundedReader<'_>, longest: u64) -> Result<Self, Stop> {
        let end = End::find(view)?.ok_or(Rejection::TruncatedZip)?;
        if end.count > MOST_ENTRIES || end.size > longest {
            let (count, size) = (end.count, end.size);
            return Err(damaged(format!("it states {count} entries in {size} bytes, which is impossible")));
        }
        if end.count * ENTRY_SIZE as u64 > end.size {
            let (count, size) = (end.count, end.size);
            return Err(damaged(format!("{count} entries do not fit into the stated {size} bytes")));
        }
        let start =
            end.at.checked_sub(end.size).ok_or_else(|| damaged("its directory begins before the file"))?;
        let start = match view.read(start, ENTRY_MAGIC.len() as u64)? {
            magic if magic == ENTRY_MAGIC || end.count == 0 => start,
            // If other bytes are between the directory and the end record, the stated offset counts.
            _ => end.offset,
        };
        let shift = start
            .checked_sub(end.offset)
            .ok_or_else(|| damaged("its beginning is missing: the directory is before its stated offset"))?;
        // A truncated file may end with the end of an archive stored in it. Then a member begins before that archive.
        if shift > 0 && holds(&view.read(0, shift.min(LONGEST_SCRIPT))?, MEMBER_MAGIC) {
            return Err(Rejection::TruncatedZip.into());
        }
        let bytes = view.read_exact(start, end.size)?;
        let bytes = bytes.ok_or_else(|| damaged("its directory ends after the file"))?;
        Ok(Self { bytes, shift, count: end.count, trailing: end.trailing })
    }

    /// The number of bytes behind the archive. Java's launcher refuses such a JAR; its class loaders do not.
    pub(super) fn trailing(&self) -> u64 {
        self.trailing
    }

    /// The stated number of entries.
    pub(super) fn stated_count(&self) -> u64 {
        self.count
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut position = 0u32;
        (0..self.count).map_while(move |_| {
            let entry = self.entry(position)?;
            position = entry.next;
            Some(entry)
        })
    }

    /// The entry at the position of an [`Entry`] of this directory.
    pub(super) fn entry(&self, position: u32) -> Option<Entry<'_>> {
        Entry::parse(&self.bytes, position, self.shift)
    }

    pub(super) fn entries_at<'s>(&'s self, positions: &'s [u32]) -> impl Iterator<Item = Entry<'s>> {
        positions.iter().filter_map(|position| self.entry(*position))
    }
}

impl End {
    /// Finds the end record, backwards from the end of the file.
    fn find(view: &mut BoundedReader<'_>) -> Result<Option<Self>, Stop> {
        // Archives hardly ever have a comment, so the last kilobyte is tried first.
        for length in [1024, END_SIZE as u64 + LONGEST_COMMENT] {
            let start = view.size().saturating_sub(length);
            let tail = view.read(start, length)?;
            let comment_end = |at: usize| {
                tail[at..].starts_with(END_MAGIC).then_some(())?;
                Some(at + END_SIZE + usize::from(little_u16(&tail, at + 20)?))
            };
            let places = || (0..=tail.len().saturating_sub(END_SIZE)).rev();
            let exact = places().find(|at| comment_end(*at) == Some(tail.len()));
            let nearest = || places().find(|at| comment_end(*at).is_some_and(|end| end < tail.len()));
            if let Some(at) = exact.or_else(nearest) {
                let trailing = tail.len() - comment_end(at).unwrap_or(tail.len());
                let end = Self::parse(view, &tail[at..], start + at as u64)?;
                return Ok(Some(Self { trailing: trailing as u64, ..end }));
            }
        }
        Ok(None)
    }

    fn parse(view: &mut BoundedReader<'_>, record: &[u8], at: u64) -> Result<Self, Stop> {
        let short = |offset| little_u16(record, offset).unwrap_or(u16::MAX);
        let long = |offset| little_u32(record, offset).unwrap_or(u32::MAX);
        let (this_volume, directory_volume) = (short(4), short(6));
        let wide = short(10) == u16::MAX || long(12) == u32::MAX || long(16) == u32::MAX;
        if wide && let Some(end) = Self::parse_wide(view, at)? {
            return Ok(end);
        }
        if this_volume != 0 || directory_volume != 0 {
            return Err(Rejection::SplitZip.into());
        }
        Ok(Self { trailing: 0, count: short(10).into(), size: long(12).into(), offset: long(16).into(), at })
    }

    /// Reads the ZIP64 end record, which is before the plain one.
    fn parse_wide(view: &mut BoundedReader<'_>, at: u64) -> Result<Option<Self>, Stop> {
        let Some(locator_at) = at.checked_sub(LOCATOR64_SIZE) else { return Ok(None) };
        let locator = view.read(locator_at, LOCATOR64_SIZE)?;
        if !locator.starts_with(LOCATOR64_MAGIC) {
            return Ok(None);
        }
        let stated = little_u64(&locator, 8);
        // With other bytes before the archive, the stated offset is wrong and the usual one is right.
        for at in [locator_at.checked_sub(END64_SIZE), stated].into_iter().flatten() {
            let record = view.read(at, END64_SIZE)?;
            let field = |offset| little_u64(&record, offset);
            if let (true, Some(count), Some(size), Some(offset)) =
                (record.starts_with(END64_MAGIC), field(32), field(40), field(48))
            {
                return Ok(Some(Self { trailing: 0, count, size, offset, at }));
            }
        }
        Err(damaged("its ZIP64 end record is not at the stated offset"))
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    /// The path in the archive, in any encoding.
    pub(super) name: &'a [u8],
    /// The stated uncompressed size in bytes.
    pub(super) size: u64,
    /// The offset in the directory.
    pub(super) position: u32,
    next: u32,
    flags: u16,
    method: u16,
    compressed: u64,
    header_at: u64,
}

impl<'a> Entry<'a> {
    fn parse(bytes: &'a [u8], position: u32, shift: u64) -> Option<Self> {
        let record = bytes.get(position as usize..)?;
        record.starts_with(ENTRY_MAGIC).then_some(())?;
        let name_end = ENTRY_SIZE + usize::from(little_u16(record, 28)?);
        let extra_end = name_end + usize::from(little_u16(record, 30)?);
        let end = extra_end + usize::from(little_u16(record, 32)?);
        let mut sizes =
            [little_u32(record, 24)?, little_u32(record, 20)?, little_u32(record, 42)?].map(u64::from);
        if sizes.contains(&u64::from(u32::MAX)) {
            widen(&mut sizes, record.get(name_end..extra_end)?);
        }
        let [size, compressed, header_at] = sizes;
        Some(Self {
            name: record.get(ENTRY_SIZE..name_end)?,
            size,
            position,
            next: u32::try_from(position as usize + end).ok()?,
            flags: little_u16(record, 8)?,
            method: little_u16(record, 10)?,
            compressed,
            header_at: header_at.checked_add(shift)?,
        })
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Whether its content is not compressed.
    pub(super) fn is_stored(&self) -> bool {
        self.method == STORED && !self.is_encrypted() && self.size == self.compressed
    }

    /// The name as text that may be shown.
    pub(super) fn shown_name(&self) -> String {
        text(self.name)
    }

    /// Reads the first `limit` bytes of the content; `None` if Java cannot read them: damaged, encrypted, or compressed by
    /// another method than Deflate.
    pub(super) fn read(&self, view: &mut BoundedReader<'_>, limit: u64) -> io::Result<Option<Vec<u8>>> {
        if self.is_encrypted() {
            return Ok(None);
        }
        let Some(content_at) = self.content_at(view)? else { return Ok(None) };
        let length = self.size.min(limit);
        match self.method {
            STORED => view.read_exact(content_at, length),
            DEFLATED => {
                // The release of a class file needs a few bytes, a whole file a larger buffer.
                let buffer = if limit <= 64 { 512 } else { 16 * 1024 };
                let compressed = BufReader::with_capacity(buffer, view.stream(content_at, self.compressed)?);
                inflate(compressed, length)
            }
            _ => Ok(None),
        }
    }

    /// The content of a stored member; `None` if it is damaged or compressed.
    pub(super) fn view<'v>(&self, view: &'v mut BoundedReader<'_>) -> io::Result<Option<BoundedReader<'v>>> {
        if !self.is_stored() {
            return Ok(None);
        }
        let Some(content_at) = self.content_at(view)? else { return Ok(None) };
        Ok(view.part(content_at, self.size))
    }

    /// Finds the content, which follows a header with the name and extra fields.
    fn content_at(&self, view: &mut BoundedReader<'_>) -> io::Result<Option<u64>> {
        let header = view.read(self.header_at, MEMBER_HEADER_SIZE)?;
        let (Some(name), Some(extra)) = (little_u16(&header, 26), little_u16(&header, 28)) else {
            return Ok(None);
        };
        let skipped = MEMBER_HEADER_SIZE + u64::from(name) + u64::from(extra);
        Ok(self.header_at.checked_add(skipped).filter(|_| header.starts_with(MEMBER_MAGIC)))
    }
}

/// Inflates at most `length` bytes; `None` for an error of the decoder.
fn inflate(compressed: impl io::BufRead, length: u64) -> io::Result<Option<Vec<u8>>> {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    let mut content = Vec::new();
    match flate2::bufread::DeflateDecoder::new(compressed).take(length).read_to_end(&mut content) {
        Ok(_) => Ok(Some(content)),
        Err(error) if matches!(error.kind(), InvalidInput | InvalidData | UnexpectedEof) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads sizes that do not fit into 32 bits. The ZIP64 extra field has only the saturated ones, in this order.
fn widen(sizes: &mut [u64; 3], mut extra: &[u8]) {
    const ZIP64: u16 = 1;
    while let (Some(kind), Some(length)) = (little_u16(extra, 0), little_u16(extra, 2)) {
        let end = 4 + usize::from(length);
        if kind == ZIP64 {
            let field = extra.get(4..end).unwrap_or_default();
            let mut values = field.chunks_exact(8).filter_map(|value| little_u64(value, 0));
            for size in sizes.iter_mut().filter(|size| **size == u64::from(u32::MAX)) {
                *size = values.next().unwrap_or(*size);
            }
            return;
        }
        extra = extra.get(end..).unwrap_or_default();
    }
}
