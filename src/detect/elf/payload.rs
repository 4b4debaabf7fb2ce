//! Owns what tools put into executables beside machine code: programs of other languages, and file systems that unpack
//! themselves. Must not unpack anything, nor search a whole file.

use std::io;

use super::super::bounded_reader::{BoundedReader, holds, little_u64};
use super::super::facts::Payload;
use super::layout::Headers;

/// The part at the end of a file that is searched. The payload is before it, and a table of sections may follow.
const TAIL: u64 = 64 * 1024;
/// The part of the initialised data that is searched. The host of .NET has about 100 kB.
const LONGEST_DATA: u64 = 4 * 1024 * 1024;

/// The cookie of a PyInstaller archive (`bootloader/src/pyi_archive.h`).
const PYINSTALLER: &[u8] = b"MEI\x0c\x0b\x0a\x0b\x0e";
/// The end of a standalone program of an older Bun (`src/StandaloneModuleGraph.zig`).
const BUN: &[u8] = b"\n---- Bun! ----\n";
/// The mark around the data of `deno compile` (`cli/standalone/binary.rs`).
const DENO: &[u8] = b"d3n0l4nd";
/// The entry point of the prelude that `pkg` adds.
const PKG: &[u8] = b"pkg/prelude/";
/// The name of the ELF note that `postject` adds for Node.js.
const NODE_SEA: &[u8] = b"NODE_SEA_BLOB";
/// SHA-256 of `.net core bundle`: the offset of the bundle's header is before it, and 0 without a bundle
/// (`corehost/apphost/bundle_marker.cpp`).
const DOTNET: [u8; 32] = [
    0x8b, 0x12, 0x02, 0xb9, 0x6a, 0x61, 0x20, 0x38, 0x72, 0x7b, 0x93, 0x02, 0x14, 0xd7, 0xa0, 0x32, 0x13,
    0xf5, 0xb9, 0xe6, 0xef, 0xae, 0x33, 0x18, 0xee, 0x3b, 0x2d, 0xce, 0x24, 0xb3, 0x6a, 0xae,
];

/// The payload of an executable. `notes` are the owners of its ELF notes.
pub(super) fn payload(
    headers: &Headers,
    notes: &[u8],
    view: &mut BoundedReader<'_>,
) -> io::Result<Option<Payload>> {
    // The AppImage specification puts its magic where ELF has padding.
    match view.read(8, 3)?[..] {
        [b'A', b'I', 1] => return Ok(Some(Payload::AppImage { release: 1 })),
        [b'A', b'I', 2] => return Ok(Some(Payload::AppImage { release: 2 })),
        _ => {}
    }
    if headers.section(".staticx.archive").is_some() {
        return Ok(Some(Payload::Staticx));
    }
    // Since Bun 1.3 the program is in a section, in which `bun` itself has the length 0.
    if headers.section(".bun").is_some_and(|section| section.size > 8) {
        return Ok(Some(Payload::Bun));
    }
    if holds(notes, NODE_SEA) {
        return Ok(Some(Payload::NodeSea));
    }
    let size = view.size();
    let tail = view.read(size.saturating_sub(TAIL), TAIL)?;
    let by_tail = [
        (PYINSTALLER, Payload::PyInstaller),
        (BUN, Payload::Bun),
        (DENO, Payload::Deno),
        (PKG, Payload::Pkg),
    ];
    if let Some((_, payload)) = by_tail.into_iter().find(|(mark, _)| holds(&tail, mark)) {
        return Ok(Some(payload));
    }
    if is_nuitka(&tail, view)? {
        return Ok(Some(Payload::Nuitka));
    }
    Ok(has_dotnet_bundle(headers, view)?.then_some(Payload::DotNet))
}

/// Whether the last eight bytes are the size of a payload that begins with `KAX` or, if it is compressed, `KAY`
/// (Nuitka's `OnefileBootstrap.c`).
fn is_nuitka(tail: &[u8], view: &mut BoundedReader<'_>) -> io::Result<bool> {
    let Some(length) = tail.len().checked_sub(8).and_then(|at| little_u64(tail, at)) else {
        return Ok(false);
    };
    let Some(start) = view.size().checked_sub(8).and_then(|end| end.checked_sub(length)) else {
        return Ok(false);
    };
    Ok(length > 3 && start > 0 && matches!(&view.read(start, 3)?[..], b"KAX" | b"KAY"))
}

fn has_dotnet_bundle(headers: &Headers, view: &mut BoundedReader<'_>) -> io::Result<bool> {
    let Some(data) = headers.section(".data") else { return Ok(false) };
    let bytes = view.read(data.offset, data.size.min(LONGEST_DATA))?;
    let mark = bytes.windows(DOTNET.len()).position(|window| window == DOTNET);
    let header = mark.and_then(|at| at.checked_sub(8)).and_then(|at| little_u64(&bytes, at));
    Ok(header.is_some_and(|header| header > 0 && header < view.size()))
}
