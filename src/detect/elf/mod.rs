//! Owns native executables: which ELF files are programs, and their facts.
//!
//! The structures come from the System V ABI (gABI) and the Linux Standard Base. Every offset and size is checked before
//! it is used. Must not read code, only headers and a few small sections.

mod dynamic;
mod layout;
mod platform;
mod toolchain;

#[cfg(test)]
pub(super) mod sample;
#[cfg(test)]
mod tests;

use dynamic::Dynamic;
use layout::{Headers, PT_LOAD, SHT_NOBITS, cut_short};

use super::bounded_reader::{BoundedReader, text};
use super::diagnosis::ElfNoProgram;
use super::facts::{ExecutableFacts, Libc, Linkage};
use super::rejection::{Rejection, Stop};

/// The first bytes of every ELF file.
pub(super) const MAGIC: &[u8] = b"\x7fELF";

const ET_REL: u16 = 1;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const ET_CORE: u16 = 4;
const PT_INTERP: u32 = 3;
const SHT_SYMTAB: u32 = 2;
/// The mark of UPX follows the program headers.
const UPX_SEARCH: usize = 1024;
const LONGEST_PATH: usize = 4096;

/// Reads the facts of an executable.
///
/// # Errors
/// Libraries, object files, core dumps, programs of other systems, and truncated or damaged files are refused.
pub(super) fn detect(name: &str, view: &mut BoundedReader<'_>) -> Result<ExecutableFacts, Stop> {
    let headers = Headers::read(view)?;
    refuse_by_type(&headers)?;
    refuse_cut(&headers, view)?;
    let interpreter = interpreter(&headers, view)?;
    let notes = toolchain::note_owners(&headers, view)?;
    let platform = platform::platform(&headers, interpreter.as_deref(), &notes)?;
    let dynamic = Dynamic::read(&headers, view)?;
    let linkage = linkage(name, &headers, interpreter.as_deref(), &dynamic)
        .ok_or(Rejection::ElfNoProgram { what: ElfNoProgram::SharedLibrary })?;
    let dynamically = linkage == Linkage::Dynamic;
    Ok(ExecutableFacts {
        platform,
        linkage,
        libc: dynamically.then(|| libc(interpreter.as_deref(), &dynamic)),
        glibc: dynamic.glibc.filter(|_| dynamically),
        interpreter,
        libraries: dynamic.libraries,
        run_path: dynamic.run_path,
        packed: super::bounded_reader::holds(&view.read(0, UPX_SEARCH)?, b"UPX!"),
        built_by: toolchain::built_by(&headers, view)?,
        stripped: !headers.sections.iter().any(|section| section.kind == SHT_SYMTAB),
    })
}

/// Whether a file with this beginning may be a program: ELF of a type that can be started. Libraries have this type,
/// too; the name and [`detect`] distinguish them.
pub(super) fn may_be_program(head: &[u8]) -> bool {
    let number = match head.get(5) {
        Some(2) => super::bounded_reader::big_u16(head, 16),
        _ => super::bounded_reader::little_u16(head, 16),
    };
    head.starts_with(MAGIC) && matches!(number, Some(ET_EXEC | ET_DYN))
}

/// Whether a file name is that of a shared library: `libz.so`, `libz.so.1.2`.
pub(super) fn is_library_name(name: &str) -> bool {
    let Some((stem, version)) = name.rsplit('/').next().unwrap_or(name).split_once(".so") else {
        return false;
    };
    !stem.is_empty() && version.split('.').all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn refuse_by_type(headers: &Headers) -> Result<(), Stop> {
    let what = match headers.file_type {
        ET_REL => ElfNoProgram::Relocatable,
        ET_CORE => ElfNoProgram::CoreDump,
        ET_EXEC | ET_DYN if headers.section(".text").is_some_and(|text| text.kind == SHT_NOBITS) => {
            ElfNoProgram::DebugFile
        }
        ET_EXEC | ET_DYN => return Ok(()),
        other => return Err(Rejection::DamagedElf { reason: format!("its type {other} is unknown") }.into()),
    };
    Err(Rejection::ElfNoProgram { what }.into())
}

fn refuse_cut(headers: &Headers, view: &BoundedReader<'_>) -> Result<(), Stop> {
    if !headers.segments.iter().any(|segment| segment.kind == PT_LOAD) {
        return Err(Rejection::DamagedElf { reason: "it has no segment to load".into() }.into());
    }
    let beyond = headers
        .segments
        .iter()
        .filter(|segment| segment.file_size > 0)
        .map(|segment| segment.offset.saturating_add(segment.file_size))
        .max()
        .filter(|end| *end > view.size());
    match beyond {
        Some(end) => Err(cut_short("last segment", end, view.size())),
        None => Ok(()),
    }
}

fn interpreter(headers: &Headers, view: &mut BoundedReader<'_>) -> Result<Option<String>, Stop> {
    let Some(segment) = headers.segment(PT_INTERP) else { return Ok(None) };
    let length = usize::try_from(segment.file_size).unwrap_or(usize::MAX).min(LONGEST_PATH);
    let bytes = view.read(segment.offset, length)?;
    let path = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    match path {
        [] => Err(Rejection::DamagedElf { reason: "the path of its dynamic linker is empty".into() }.into()),
        path => Ok(Some(text(path))),
    }
}

/// Distinguishes programs from libraries. Position independent programs have the ELF type of libraries.
///
/// Linkers mark programs with DF_1_PIE since about 2017. Without the mark a file is a library if its file name or soname
/// is a library's, or if it needs libraries but no dynamic linker.
fn linkage(name: &str, headers: &Headers, interpreter: Option<&str>, dynamic: &Dynamic) -> Option<Linkage> {
    match (headers.file_type, interpreter) {
        (_, Some(_)) => Some(Linkage::Dynamic),
        (ET_EXEC, None) => Some(Linkage::Static),
        _ if dynamic.marked_program => Some(Linkage::StaticPie),
        _ => {
            let library =
                headers.entry == 0 || dynamic.named || !dynamic.libraries.is_empty() || is_library_name(name);
            (!library).then_some(Linkage::StaticPie)
        }
    }
}

fn libc(interpreter: Option<&str>, dynamic: &Dynamic) -> Libc {
    let file = interpreter.and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let needs = |name: &str| dynamic.libraries.iter().any(|library| library == name);
    let of_glibc = file.starts_with("ld-linux")
        || matches!(file, "ld64.so.1" | "ld64.so.2" | "ld.so.1" | "ld-lsb.so.3" | "ld-lsb-x86-64.so.3");
    if file.starts_with("ld-musl")
        || dynamic.libraries.iter().any(|library| library.starts_with("libc.musl-"))
    {
        Libc::Musl
    } else if of_glibc || dynamic.glibc.is_some() || needs("libc.so.6") {
        Libc::Glibc
    } else {
        Libc::Other
    }
}
