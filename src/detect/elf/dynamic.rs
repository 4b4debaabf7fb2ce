//! Owns the dynamic section: the libraries and versions that a program needs. Stripped files have it, too, because the
//! dynamic linker reads it.
//! Must not decide what follows for a base image.

use std::io;

use super::super::bounded_reader::{BoundedReader, text};
use super::super::facts::GlibcVersion;
use super::layout::Headers;

const PT_DYNAMIC: u32 = 2;
const LONGEST_SECTION: u64 = 1024 * 1024;
const LONGEST_STRING: u64 = 4096;
const MOST_LIBRARIES: usize = 1024;
const MOST_VERSIONS: usize = 4096;
/// Directories of a run path. Many tags may share one long text.
const MOST_PATHS: usize = 256;

const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_SONAME: u64 = 14;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DT_VERNEED: u64 = 0x6fff_fffe;
const DF_1_PIE: u64 = 0x0800_0000;
const VER_FLG_WEAK: u16 = 2;

#[derive(Debug, Default)]
pub(super) struct Dynamic {
    pub(super) libraries: Vec<String>,
    /// RPATH, split: it also applies to the libraries that it loads.
    pub(super) inherited_path: Vec<String>,
    /// RUNPATH, split.
    pub(super) own_path: Vec<String>,
    /// Whether it has a soname, like a library.
    pub(super) named: bool,
    /// Whether the linker marked it as a program.
    pub(super) marked_program: bool,
    /// The highest required version.
    pub(super) glibc: Option<GlibcVersion>,
}

impl Dynamic {
    /// Reads the dynamic section. Without one, everything is empty.
    pub(super) fn read(headers: &Headers, view: &mut BoundedReader<'_>) -> io::Result<Self> {
        let mut dynamic = Self::default();
        let Some(segment) = headers.segment(PT_DYNAMIC) else { return Ok(dynamic) };
        let bytes = view.read(segment.offset, segment.file_size.min(LONGEST_SECTION))?;
        let word = headers.encoding.word_size();
        let pairs: Vec<(u64, u64)> = bytes
            .chunks_exact(2 * word)
            .filter_map(|pair| Some((headers.encoding.word(pair, 0)?, headers.encoding.word(pair, word)?)))
            .take_while(|(tag, _)| *tag != 0)
            .collect();
        let value = |name| pairs.iter().find(|(tag, _)| *tag == name).map(|(_, value)| *value);

        dynamic.named = value(DT_SONAME).is_some();
        dynamic.marked_program = value(DT_FLAGS_1).is_some_and(|flags| flags & DF_1_PIE != 0);
        let Some((strings, _)) = value(DT_STRTAB).and_then(|address| headers.locate(address)) else {
            return Ok(dynamic);
        };
        for (tag, offset) in pairs.iter().filter(|(tag, _)| matches!(*tag, DT_NEEDED | DT_RPATH | DT_RUNPATH))
        {
            let value = string(view, strings, *offset)?;
            match *tag {
                DT_NEEDED if dynamic.libraries.len() < MOST_LIBRARIES => dynamic.libraries.push(text(&value)),
                DT_NEEDED => {}
                tag => {
                    let paths = value.split(|byte| *byte == b':').filter(|path| !path.is_empty()).map(text);
                    let all = match tag {
                        DT_RPATH => &mut dynamic.inherited_path,
                        _ => &mut dynamic.own_path,
                    };
                    all.extend(paths.take(MOST_PATHS.saturating_sub(all.len())));
                }
            }
        }
        if let Some((versions, length)) = value(DT_VERNEED).and_then(|address| headers.locate(address)) {
            dynamic.glibc = highest_glibc(headers, view, strings, versions, length)?;
        }
        Ok(dynamic)
    }
}

/// Reads a NUL-terminated string of the dynamic string table.
fn string(view: &mut BoundedReader<'_>, table: u64, offset: u64) -> io::Result<Vec<u8>> {
    let at = table.saturating_add(offset);
    // Nearly all strings are short. A long one needs a second read.
    for limit in [128, LONGEST_STRING] {
        let mut bytes = view.read(at, limit)?;
        if let Some(length) = bytes.iter().position(|byte| *byte == 0) {
            bytes.truncate(length);
            return Ok(bytes);
        }
    }
    Ok(Vec::new())
}

/// Walks `.gnu.version_r` (Linux Standard Base, "Symbol Version Requirements") for the highest `GLIBC_x.y`.
fn highest_glibc(
    headers: &Headers,
    view: &mut BoundedReader<'_>,
    strings: u64,
    at: u64,
    length: u64,
) -> io::Result<Option<GlibcVersion>> {
    let bytes = view.read(at, length.min(LONGEST_SECTION))?;
    let mut highest = None;
    for name in version_names(headers, &bytes) {
        highest = highest.max(glibc_version(&string(view, strings, name)?));
    }
    Ok(highest)
}

/// Collects the string offsets of the required versions. Chains only lead forward, so they end.
fn version_names(headers: &Headers, bytes: &[u8]) -> Vec<u64> {
    let encoding = headers.encoding;
    let field = |at: usize, offset: usize| encoding.u32(bytes, at.checked_add(offset)?);
    let mut names = Vec::new();
    let mut steps = 0;
    let mut need = Some(0usize);
    while let Some(at) = need {
        let mut auxiliary = forward(field(at, 8), at);
        while let Some(at) = auxiliary {
            // Chains may share their ends, so the limit counts steps instead of bytes.
            steps += 1;
            let (Some(hash_and_flags), Some(name)) = (bytes.get(at..), field(at, 8)) else { break };
            if steps > MOST_VERSIONS {
                return names;
            }
            // The dynamic linker starts a program even if a weak version is missing.
            if encoding.u16(hash_and_flags, 4).is_some_and(|flags| flags & VER_FLG_WEAK == 0) {
                names.push(u64::from(name));
            }
            auxiliary = forward(field(at, 12), at);
        }
        steps += 1;
        need = forward(field(at, 12), at).filter(|_| steps <= MOST_VERSIONS);
    }
    names
}

/// Follows a chain; 0 ends it.
fn forward(skip: Option<u32>, from: usize) -> Option<usize> {
    skip.filter(|skip| *skip > 0).and_then(|skip| from.checked_add(skip as usize))
}

fn glibc_version(name: &[u8]) -> Option<GlibcVersion> {
    let version = std::str::from_utf8(name).ok()?.strip_prefix("GLIBC_")?;
    match version {
        // Packed relative relocations: a mark instead of a number, which glibc knows since 2.36.
        "ABI_DT_RELR" => Some(GlibcVersion { major: 2, minor: 36 }),
        number => number.parse().ok(),
    }
}
