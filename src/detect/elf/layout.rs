//! Owns the layout of ELF files: headers, segments and sections as plain values, for both word sizes and both
//! byte orders (System V ABI, chapters 4 and 5). Must not interpret them.
//!
//! `object` 0.40 was weighed: it reads a file through a cache without limits, and its errors have neither offset nor size.

use super::super::bounded_reader::{BoundedReader, array, text};
use super::super::rejection::{Rejection, Stop};

/// The limit of the kernel for program headers, in bytes.
const MOST_SEGMENT_HEADERS: usize = 64 * 1024;
/// Programs have some dozens of sections. More than this are ignored.
const MOST_SECTIONS: u16 = 4096;
const LONGEST_SECTION_NAMES: u64 = 256 * 1024;

pub(super) const PT_LOAD: u32 = 1;
pub(super) const SHT_NOBITS: u32 = 8;

#[derive(Clone, Copy, Debug)]
pub(super) struct Encoding {
    /// 64-bit words.
    pub(super) wide: bool,
    /// Whether the most significant byte is first.
    pub(super) big: bool,
}

impl Encoding {
    /// Bytes in an address.
    pub(super) fn word_size(self) -> usize {
        if self.wide { 8 } else { 4 }
    }

    pub(super) fn u16(self, bytes: &[u8], offset: usize) -> Option<u16> {
        let bytes = array(bytes, offset)?;
        Some(if self.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    pub(super) fn u32(self, bytes: &[u8], offset: usize) -> Option<u32> {
        let bytes = array(bytes, offset)?;
        Some(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// Reads an address, an offset or a size.
    pub(super) fn word(self, bytes: &[u8], offset: usize) -> Option<u64> {
        if !self.wide {
            return self.u32(bytes, offset).map(u64::from);
        }
        let bytes = array(bytes, offset)?;
        Some(if self.big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) file_size: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) kind: u32,
    pub(super) offset: u64,
    pub(super) size: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Headers {
    pub(super) encoding: Encoding,
    pub(super) os_abi: u8,
    pub(super) file_type: u16,
    pub(super) machine: u16,
    pub(super) entry: u64,
    pub(super) segments: Vec<Segment>,
    /// The sections; empty if the section table was removed.
    pub(super) sections: Vec<Section>,
}

struct Tables {
    segments_at: u64,
    segment_size: u16,
    segment_count: u16,
    sections_at: u64,
    section_size: u16,
    section_count: u16,
    names_index: u16,
}

fn damaged(reason: impl Into<String>) -> Stop {
    Rejection::DamagedElf { reason: reason.into() }.into()
}

impl Headers {
    /// Reads all headers. A file is refused if its tables contradict the specification or end after the file.
    pub(super) fn read(view: &mut BoundedReader<'_>) -> Result<Self, Stop> {
        let header = view.read(0, 64)?;
        let (Some(&class), Some(&order)) = (header.get(4), header.get(5)) else {
            return Err(cut_short("file header", 64, view.size()));
        };
        let is_second = |number: u8, what: &str, first: &str, second: &str| match number {
            1 => Ok(false),
            2 => Ok(true),
            other => Err(damaged(format!("its {what} is {other}, neither {first} (1) nor {second} (2)"))),
        };
        let encoding = Encoding {
            wide: is_second(class, "class", "32-bit", "64-bit")?,
            big: is_second(order, "byte order", "little", "big")?,
        };
        let size = if encoding.wide { 64 } else { 52 };
        let (mut headers, tables) = parse_file_header(&header, encoding)
            .ok_or_else(|| cut_short("file header", size, view.size()))?;
        headers.segments = read_segments(view, encoding, &tables)?;
        headers.sections = read_sections(view, encoding, &tables)?;
        Ok(headers)
    }

    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    pub(super) fn segment(&self, kind: u32) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.kind == kind)
    }

    /// The offset in the file of the byte at `address` in memory, and the number of bytes from there in its segment.
    pub(super) fn locate(&self, address: u64) -> Option<(u64, u64)> {
        self.segments.iter().filter(|segment| segment.kind == PT_LOAD).find_map(|segment| {
            let distance = address.checked_sub(segment.address)?;
            let left = segment.file_size.checked_sub(distance).filter(|left| *left > 0)?;
            Some((segment.offset.checked_add(distance)?, left))
        })
    }
}

pub(super) fn cut_short(part: &'static str, end: u64, size: u64) -> Stop {
    Rejection::TruncatedElf { part, end, size }.into()
}

fn parse_file_header(header: &[u8], encoding: Encoding) -> Option<(Headers, Tables)> {
    let word = encoding.word_size();
    let after_words = 24 + 3 * word + 4;
    let tables = Tables {
        segments_at: encoding.word(header, 24 + word)?,
        sections_at: encoding.word(header, 24 + 2 * word)?,
        segment_size: encoding.u16(header, after_words + 2)?,
        segment_count: encoding.u16(header, after_words + 4)?,
        section_size: encoding.u16(header, after_words + 6)?,
        section_count: encoding.u16(header, after_words + 8)?,
        names_index: encoding.u16(header, after_words + 10)?,
    };
    let headers = Headers {
        encoding,
        os_abi: *header.get(7)?,
        file_type: encoding.u16(header, 16)?,
        machine: encoding.u16(header, 18)?,
        entry: encoding.word(header, 24)?,
        segments: Vec::new(),
        sections: Vec::new(),
    };
    Some((headers, tables))
}

fn read_segments(
    view: &mut BoundedReader<'_>,
    encoding: Encoding,
    tables: &Tables,
) -> Result<Vec<Segment>, Stop> {
    let expected = if encoding.wide { 56 } else { 32 };
    let count = usize::from(tables.segment_count);
    if count == 0 {
        return Ok(Vec::new());
    }
    if usize::from(tables.segment_size) != expected {
        let stated = tables.segment_size;
        return Err(damaged(format!("its program headers have {stated} bytes each, not {expected}")));
    }
    if count * expected > MOST_SEGMENT_HEADERS {
        return Err(damaged(format!("it has {count} program headers, more than Linux loads")));
    }
    let length = (count * expected) as u64;
    let end = tables.segments_at.saturating_add(length);
    let bytes = view
        .read_exact(tables.segments_at, length)?
        .ok_or_else(|| cut_short("program header table", end, view.size()))?;
    Ok(bytes.chunks_exact(expected).filter_map(|header| parse_segment(header, encoding)).collect())
}

fn parse_segment(header: &[u8], encoding: Encoding) -> Option<Segment> {
    // In the 64-bit form the flags are at the front, to keep the words aligned.
    let (flags_at, words_at) = if encoding.wide { (4, 8) } else { (24, 4) };
    let word = encoding.word_size();
    Some(Segment {
        kind: encoding.u32(header, 0)?,
        flags: encoding.u32(header, flags_at)?,
        offset: encoding.word(header, words_at)?,
        address: encoding.word(header, words_at + word)?,
        file_size: encoding.word(header, words_at + 3 * word)?,
    })
}

fn read_sections(
    view: &mut BoundedReader<'_>,
    encoding: Encoding,
    tables: &Tables,
) -> Result<Vec<Section>, Stop> {
    let expected = if encoding.wide { 64 } else { 40 };
    let count = tables.section_count;
    if tables.sections_at == 0 || count == 0 || usize::from(tables.section_size) != expected {
        return Ok(Vec::new());
    }
    // The table is at the end of nearly every file. Without it the file is truncated.
    let length = u64::from(count) * expected as u64;
    let end = tables.sections_at.saturating_add(length);
    if !view.contains(tables.sections_at, length) {
        return Err(cut_short("section header table", end, view.size()));
    }
    if count > MOST_SECTIONS {
        return Ok(Vec::new());
    }
    let bytes = view.read(tables.sections_at, length)?;
    let mut sections: Vec<(u32, Section)> =
        bytes.chunks_exact(expected).filter_map(|header| parse_section(header, encoding)).collect();
    if let Some((_, names)) = sections.get(usize::from(tables.names_index)) {
        let names = view.read(names.offset, names.size.min(LONGEST_SECTION_NAMES))?;
        for (name_at, section) in &mut sections {
            section.name = string_at(&names, *name_at as usize).unwrap_or_default();
        }
    }
    Ok(sections.into_iter().map(|(_, section)| section).collect())
}

fn parse_section(header: &[u8], encoding: Encoding) -> Option<(u32, Section)> {
    let word = encoding.word_size();
    let section = Section {
        name: String::new(),
        kind: encoding.u32(header, 4)?,
        offset: encoding.word(header, 8 + 2 * word)?,
        size: encoding.word(header, 8 + 3 * word)?,
    };
    Some((encoding.u32(header, 0)?, section))
}

/// Reads the NUL-terminated text at `offset`, at most 64 bytes. Section names are short.
fn string_at(bytes: &[u8], offset: usize) -> Option<String> {
    let rest = bytes.get(offset..)?;
    let rest = &rest[..rest.len().min(64)];
    let length = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    Some(text(&rest[..length]))
}
