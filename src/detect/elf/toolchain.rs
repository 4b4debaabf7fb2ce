//! Owns the marks of toolchains in programs: Go's build information and the compiler's comment.
//! Must not search a whole file.

use std::io;

use super::super::bounded_reader::{BoundedReader, holds, text};
use super::layout::{Headers, PT_LOAD};

const LONGEST_COMMENT: u64 = 64 * 1024;
/// The number of bytes to search in the first writable segment, as in Go itself (debug/buildinfo).
const GO_SEARCH: u64 = 64 * 1024;
const GO_MAGIC: &[u8] = b"\xff Go buildinf:";
const LONGEST_VERSION: u64 = 64;
const PF_W: u32 = 2;

/// The toolchain: `go1.24.1`, `rustc 1.89.0`.
pub(super) fn built_by(headers: &Headers, view: &mut BoundedReader<'_>) -> io::Result<Option<String>> {
    match go_version(headers, view)? {
        Some(version) => Ok(Some(version)),
        None => rust_version(headers, view),
    }
}

fn go_version(headers: &Headers, view: &mut BoundedReader<'_>) -> io::Result<Option<String>> {
    let place = match headers.section(".go.buildinfo") {
        Some(section) => Some(section.offset),
        None if headers.sections.is_empty() => headers
            .segments
            .iter()
            .find(|segment| segment.kind == PT_LOAD && segment.flags & PF_W != 0)
            .map(|segment| segment.offset),
        None => None,
    };
    let Some(place) = place else { return Ok(None) };
    let bytes = view.read(place, GO_SEARCH)?;
    let Some(information) = bytes.chunks(16).position(|chunk| chunk.starts_with(GO_MAGIC)) else {
        return Ok(None);
    };
    let information = &bytes[information * 16..];
    let flags = information.get(15).copied().unwrap_or(0);
    let version = match flags & 2 {
        0 => pointed_string(headers, view, information)?,
        // Since Go 1.18: a length as varint and the text, after the 32 bytes of the header.
        _ => information.get(32..).and_then(counted_string).map(<[u8]>::to_vec),
    };
    // Development versions have several words: `devel go1.25-abc Mon …`.
    Ok(version
        .filter(|version| holds(version, b"go1") || version.starts_with(b"devel"))
        .map(|bytes| text(&bytes)))
}

fn counted_string(bytes: &[u8]) -> Option<&[u8]> {
    let length = usize::from(*bytes.first()?);
    // A version is shorter than 128 bytes, so the varint is one byte.
    (length as u64 <= LONGEST_VERSION).then_some(())?;
    bytes.get(1..1 + length)
}

/// Reads the form before Go 1.18: the address of a Go string, which is an address and a length.
fn pointed_string(
    headers: &Headers,
    view: &mut BoundedReader<'_>,
    information: &[u8],
) -> io::Result<Option<Vec<u8>>> {
    let encoding = headers.encoding;
    let word = encoding.word_size();
    let Some((at, _)) = encoding.word(information, 16).and_then(|address| headers.locate(address)) else {
        return Ok(None);
    };
    let header = view.read(at, 2 * word as u64)?;
    let (Some(address), Some(length)) = (encoding.word(&header, 0), encoding.word(&header, word)) else {
        return Ok(None);
    };
    match headers.locate(address) {
        Some((at, _)) if length <= LONGEST_VERSION => view.read(at, length).map(Some),
        _ => Ok(None),
    }
}

fn rust_version(headers: &Headers, view: &mut BoundedReader<'_>) -> io::Result<Option<String>> {
    let Some(section) = headers.section(".comment") else { return Ok(None) };
    let bytes = view.read(section.offset, section.size.min(LONGEST_COMMENT))?;
    let version = bytes.split(|byte| *byte == 0).find_map(|comment| {
        let version = comment.strip_prefix(b"rustc version ")?.split(|byte| *byte == b' ').next()?;
        Some(format!("rustc {}", text(&version[..version.len().min(LONGEST_VERSION as usize)])))
    });
    Ok(version)
}

/// The owners of all notes, concatenated with their NUL.
pub(super) fn note_owners(headers: &Headers, view: &mut BoundedReader<'_>) -> io::Result<Vec<u8>> {
    const PT_NOTE: u32 = 4;
    const LONGEST_NOTES: u64 = 4096;
    let mut owners = Vec::new();
    for segment in headers.segments.iter().filter(|segment| segment.kind == PT_NOTE).take(8) {
        let bytes = view.read(segment.offset, segment.file_size.min(LONGEST_NOTES))?;
        let mut at = 0usize;
        while let (Some(name), Some(content)) =
            (headers.encoding.u32(&bytes, at), headers.encoding.u32(&bytes, at.saturating_add(4)))
        {
            let start = at.saturating_add(12);
            let Some(owner) = start.checked_add(name as usize).and_then(|end| bytes.get(start..end)) else {
                break;
            };
            owners.extend_from_slice(owner);
            let padded = |length: u32| (length as usize).div_ceil(4).checked_mul(4);
            let next = padded(name)
                .zip(padded(content))
                .and_then(|(name, content)| start.checked_add(name)?.checked_add(content));
            let Some(next) = next else { break };
            at = next;
        }
    }
    Ok(owners)
}
