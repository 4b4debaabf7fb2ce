//! Marks of tools in an executable → the payload, the base, and the libraries that it lacks. The first three bytes choose
//! the mark and its place, so that no mark of 32 bytes must be guessed; the rest is the executable.
#![no_main]

use std::io::Cursor;
use std::sync::LazyLock;

use b2i::builder::{Catalog, CatalogSettings, SelectionRequest, select};
use b2i::detect::facts::{Kind, Payload};
use b2i::detect::{self, DetectOptions};
use b2i::input::Neighbours;
use libfuzzer_sys::fuzz_target;

/// The SHA-256 that .NET searches for, behind the offset of its bundle.
const DOTNET: &[u8] = b"\x10\0\0\0\0\0\0\0\x8b\x12\x02\xb9\x6a\x61\x20\x38\x72\x7b\x93\x02\x14\xd7\xa0\x32\x13\xf5\xb9\xe6\xef\xae\x33\x18\xee\x3b\x2d\xce\x24\xb3\x6a\xae";
const APPIMAGE: &[u8] = b"AI\x02";
const MARKS: [&[u8]; 9] = [
    b"MEI\x0c\x0b\x0a\x0b\x0e",
    DOTNET,
    APPIMAGE,
    b"\n---- Bun! ----\n",
    b"d3n0l4nd",
    b"pkg/prelude/",
    b"NODE_SEA_BLOB\0",
    b"KAY",
    b".staticx.archive\0.bun\0",
];

static CATALOG: LazyLock<Catalog> =
    LazyLock::new(|| Catalog::new(&CatalogSettings::default()).expect("the built-in catalog"));

fuzz_target!(|input: &[u8]| {
    let [mark, low, high, program @ ..] = input else { return };
    let mark = MARKS[usize::from(*mark) % MARKS.len()];
    let mut bytes = program.to_vec();
    if bytes.len() < mark.len() {
        return;
    }
    let at = match mark {
        APPIMAGE => 8.min(bytes.len() - mark.len()),
        _ => usize::from(u16::from_le_bytes([*low, *high])) % (bytes.len() - mark.len() + 1),
    };
    bytes[at..at + mark.len()].copy_from_slice(mark);

    let facts =
        match detect::detect("tool", bytes.len() as u64, Cursor::new(&bytes), &DetectOptions::default()) {
            Ok(facts) => facts,
            Err(error) => return drop(error.to_string()),
        };
    let Kind::Executable(executable) = &facts.kind else { return };
    if mark == APPIMAGE && at == 8 {
        assert!(matches!(executable.payload, Some(Payload::AppImage { release: 2 })));
    }
    let selected = select(
        &CATALOG,
        &SelectionRequest {
            artifact: "tool",
            facts: &facts,
            builder: None,
            platform: None,
            allow_missing: low % 2 == 0,
            tree_path: None,
            neighbours: &Neighbours::default(),
            environment: &[],
            base: None,
        },
    );
    match selected {
        Ok(selection) => drop(format!("{:?}", selection.base())),
        Err(error) => drop(error.to_string()),
    }
});
