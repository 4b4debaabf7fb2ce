//! Owns native executables: which ELF files are programs, and their facts.
//! Must not read code, only headers and a few small sections.
//!
//! Source: System V ABI (gABI), Linux Standard Base.

mod dynamic;
mod layout;
mod linked;
mod payload;
mod platform;
mod toolchain;

#[cfg(test)]
pub(super) mod tests;

use dynamic::Dynamic;
use layout::{Headers, PT_LOAD, SHT_NOBITS, cut_short};
pub use linked::{LinkedFile, linked_file};
pub use platform::program_architecture;

use super::bounded_reader::{BoundedReader, big_u16, holds, little_u16, text};
use super::diagnosis::ElfNoProgram;
use super::facts::{ExecutableFacts, Libc, Linkage};
use super::rejection::{Rejection, Stop};

pub(super) const MAGIC: &[u8] = b"\x7fELF";

const ET_REL: u16 = 1;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const ET_CORE: u16 = 4;
const PT_INTERP: u32 = 3;
const SHT_SYMTAB: u32 = 2;
/// The mark of UPX follows the program headers.
const UPX_SEARCH: u64 = 1024;
const LONGEST_PATH: u64 = 4096;

/// The facts of an executable. Other ELF files, and programs of other systems, are refused.
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
        run_path: [dynamic.inherited_path, dynamic.own_path].concat(),
        packed: holds(&view.read(0, UPX_SEARCH)?, b"UPX!"),
        payload: payload::payload(&headers, &notes, view)?,
        built_by: toolchain::built_by(&headers, view)?,
        stripped: !headers.sections.iter().any(|section| section.kind == SHT_SYMTAB),
    })
}

/// Whether a file with this beginning may be a program: ELF of a type that can be started. Libraries have this type,
/// too; the name and [`detect`] distinguish them.
pub(super) fn may_be_program(head: &[u8]) -> bool {
    let number = if head.get(5) == Some(&2) { big_u16(head, 16) } else { little_u16(head, 16) };
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
    let segments = headers.segments.iter().filter(|segment| segment.file_size > 0);
    match segments.map(|segment| segment.offset.saturating_add(segment.file_size)).max() {
        Some(end) if end > view.size() => Err(cut_short("last segment", end, view.size())),
        _ => Ok(()),
    }
}

fn interpreter(headers: &Headers, view: &mut BoundedReader<'_>) -> Result<Option<String>, Stop> {
    let Some(segment) = headers.segment(PT_INTERP) else { return Ok(None) };
    let bytes = view.read(segment.offset, segment.file_size.min(LONGEST_PATH))?;
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
    let needs = |prefix: &str| dynamic.libraries.iter().any(|library| library.starts_with(prefix));
    let of_glibc = file.starts_with("ld-linux")
        || matches!(file, "ld64.so.1" | "ld64.so.2" | "ld.so.1" | "ld-lsb.so.3" | "ld-lsb-x86-64.so.3");
    if file.starts_with("ld-musl") || needs("libc.musl-") {
        Libc::Musl
    } else if of_glibc || dynamic.glibc.is_some() || dynamic.libraries.iter().any(|name| name == "libc.so.6")
    {
        Libc::Glibc
    } else {
        Libc::Other
    }
}
