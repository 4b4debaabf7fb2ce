//! Owns the platform of an ELF file, by the machine and the system in its header.
//! Must not guess a platform.

use super::super::bounded_reader::holds;
use super::super::rejection::{Rejection, Stop};
use super::layout::Headers;
use crate::image::Platform;

/// `e_machine` numbers (System V ABI, gABI registry) with Go's name of the architecture:
/// (32-bit little, 32-bit big, 64-bit little, 64-bit big); empty without such a name.
const ARCHITECTURES: [(u16, [&str; 4]); 14] = [
    (2, ["", "sparc", "", ""]),
    (3, ["386", "", "", ""]),
    (6, ["386", "", "", ""]),
    (8, ["mipsle", "mips", "mips64le", "mips64"]),
    (18, ["", "sparc", "", ""]),
    (20, ["", "ppc", "", ""]),
    (21, ["", "", "ppc64le", "ppc64"]),
    (22, ["", "s390", "", "s390x"]),
    (40, ["arm", "armbe", "", ""]),
    (43, ["", "", "", "sparc64"]),
    // The 32-bit form is the x32 ABI, which has its own name.
    (62, ["amd64p32", "", "amd64", ""]),
    (183, ["", "", "arm64", "arm64be"]),
    (243, ["riscv", "", "riscv64", ""]),
    (258, ["", "", "loong64", ""]),
];

/// The platform of a program. Programs of other systems and for processors without a name are refused.
pub(super) fn platform(headers: &Headers, interpreter: Option<&str>, notes: &[u8]) -> Result<Platform, Stop> {
    if let Some(system) = foreign_system(headers.os_abi, interpreter, notes) {
        return Err(Rejection::ForeignElf { system }.into());
    }
    let encoding = headers.encoding;
    let unknown =
        Rejection::UnknownProcessor { machine: headers.machine, bits: if encoding.wide { 64 } else { 32 } };
    architecture(headers.machine, encoding.wide, encoding.big)
        .map(Platform::linux)
        .ok_or_else(|| unknown.into())
}

/// Go's name of the architecture of the ELF file that begins with `head`.
pub fn program_architecture(head: &[u8]) -> Option<&'static str> {
    let header: &[u8; 20] = head.first_chunk()?;
    // EI_CLASS, EI_DATA and e_machine (System V ABI, "ELF Header").
    let (wide, big) = (header[4] == 2, header[5] == 2);
    let machine = [header[18], header[19]];
    let machine = if big { u16::from_be_bytes(machine) } else { u16::from_le_bytes(machine) };
    header.starts_with(b"\x7fELF").then(|| architecture(machine, wide, big))?
}

fn architecture(machine: u16, wide: bool, big: bool) -> Option<&'static str> {
    let column = usize::from(wide) * 2 + usize::from(big);
    let (_, words) = ARCHITECTURES.iter().find(|(number, _)| *number == machine)?;
    Some(words[column]).filter(|word| !word.is_empty())
}

/// The system if it is not Linux: by the ABI byte, by the notes that the BSDs have in each program, or by the path of
/// the dynamic linker. The ABI byte alone is not enough, because most systems leave it at 0.
fn foreign_system(os_abi: u8, interpreter: Option<&str>, notes: &[u8]) -> Option<&'static str> {
    match os_abi {
        1 => return Some("HP-UX"),
        2 => return Some("NetBSD"),
        6 => return Some("Solaris"),
        7 => return Some("AIX"),
        8 => return Some("IRIX"),
        9 => return Some("FreeBSD"),
        12 => return Some("OpenBSD"),
        _ => {}
    }
    for (owner, system) in [
        (&b"FreeBSD\0"[..], "FreeBSD"),
        (b"NetBSD\0", "NetBSD"),
        (b"OpenBSD\0", "OpenBSD"),
        (b"DragonFly\0", "DragonFly BSD"),
        (b"Android\0", "Android"),
    ] {
        if holds(notes, owner) {
            return Some(system);
        }
    }
    match interpreter? {
        "/libexec/ld-elf.so.1" | "/usr/libexec/ld-elf.so.1" => Some("FreeBSD"),
        "/libexec/ld.elf_so" | "/usr/libexec/ld.elf_so" => Some("NetBSD"),
        "/usr/libexec/ld.so" => Some("OpenBSD"),
        "/usr/libexec/ld-elf.so.2" => Some("DragonFly BSD"),
        "/usr/lib/ld.so.1" | "/lib/amd64/ld.so.1" | "/usr/lib/amd64/ld.so.1" | "/lib/64/ld.so.1" => {
            Some("Solaris")
        }
        "/system/bin/linker" | "/system/bin/linker64" => Some("Android"),
        "/system/runtime_loader" => Some("Haiku"),
        _ => None,
    }
}
