pub(crate) mod sample;

use std::io::Cursor;

use super::super::facts::{ExecutableFacts, GlibcVersion, Kind, Libc, Linkage, Payload};
use super::super::{DetectError, DetectOptions, ElfNoProgram, Rejection, detect};
use sample::Elf;

const SYMTAB: u32 = 2;
const PROGBITS: u32 = 1;
const DF_1_PIE: u64 = 0x0800_0000;

fn look(name: &str, bytes: &[u8]) -> Result<ExecutableFacts, Rejection> {
    match detect(name, bytes.len() as u64, Cursor::new(bytes), &DetectOptions::default()) {
        Ok(facts) => match facts.kind {
            Kind::Executable(facts) => Ok(facts),
            other => panic!("{other:?}"),
        },
        Err(DetectError::Refused { rejection, .. }) => Err(rejection),
        Err(error) => panic!("{error:?}"),
    }
}

fn facts(elf: &Elf) -> ExecutableFacts {
    look("server", &elf.bytes()).expect("a program")
}

fn rejection(name: &str, elf: &Elf) -> Rejection {
    look(name, &elf.bytes()).expect_err("no program")
}

fn static_program() -> Elf {
    Elf { file_type: 2, interpreter: None, ..Elf::default() }
}

#[test]
fn a_dynamic_program() {
    let facts = facts(&Elf {
        needed: vec!["libssl.so.3", "libc.so.6"],
        run_path: Some("$ORIGIN/../lib::/opt/lib"),
        versions: vec![
            ("GLIBC_2.2.5", false),
            ("GLIBC_2.34", false),
            ("GLIBC_2.9", false),
            ("OPENSSL_3.0.0", false),
        ],
        ..Elf::default()
    });
    assert_eq!(facts.platform.to_string(), "linux/amd64");
    assert_eq!(facts.linkage, Linkage::Dynamic);
    assert_eq!(facts.interpreter.as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
    assert_eq!(facts.libc, Some(Libc::Glibc));
    assert_eq!(facts.glibc, Some(GlibcVersion { major: 2, minor: 34 }));
    assert_eq!(facts.libraries, ["libssl.so.3", "libc.so.6"]);
    assert_eq!(facts.run_path, ["$ORIGIN/../lib", "/opt/lib"]);
    assert!(facts.stripped && !facts.packed);
}

#[test]
fn versions_that_count() {
    let highest = |versions: &[(&'static str, bool)]| {
        facts(&Elf { versions: versions.to_vec(), ..Elf::default() }).glibc.map(|version| version.to_string())
    };
    assert_eq!(highest(&[("GLIBC_2.17", false), ("GLIBC_2.38", true)]).as_deref(), Some("2.17"));
    assert_eq!(highest(&[("GLIBC_2.17", false), ("GLIBC_ABI_DT_RELR", false)]).as_deref(), Some("2.36"));
    assert_eq!(highest(&[("GLIBC_PRIVATE", false)]), None);
    assert_eq!(highest(&[]), None);
}

#[test]
fn libc_by_interpreter() {
    let libc = |interpreter| facts(&Elf { interpreter: Some(interpreter), ..Elf::default() }).libc;
    assert_eq!(libc("/lib/ld-musl-x86_64.so.1"), Some(Libc::Musl));
    assert_eq!(libc("/nix/store/abc-glibc-2.40/lib/ld-linux-x86-64.so.2"), Some(Libc::Glibc));
    assert_eq!(libc("/lib/ld64.so.1"), Some(Libc::Glibc));
    assert_eq!(libc("/lib/ld-uClibc.so.0"), Some(Libc::Other));
}

#[test]
fn static_programs() {
    let plain = facts(&static_program());
    assert_eq!((plain.linkage, plain.libc, plain.interpreter), (Linkage::Static, None, None));
    let marked = Elf { interpreter: None, flags_1: Some(DF_1_PIE), ..Elf::default() };
    assert_eq!(facts(&marked).linkage, Linkage::StaticPie);
    let unmarked = Elf { interpreter: None, ..Elf::default() };
    assert_eq!(facts(&unmarked).linkage, Linkage::StaticPie);
}

#[test]
fn libraries_are_no_programs() {
    let library = Rejection::ElfNoProgram { what: ElfNoProgram::SharedLibrary };
    let base = || Elf { interpreter: None, ..Elf::default() };
    assert_eq!(rejection("libz.so.1.3", &base()), library);
    assert_eq!(rejection("plugin", &Elf { entry: 0, ..base() }), library);
    assert_eq!(rejection("plugin", &Elf { soname: Some("libz.so.1"), ..base() }), library);
    assert_eq!(rejection("plugin", &Elf { needed: vec!["libc.so.6"], ..base() }), library);
    // libc.so.6 can be started and says its version.
    assert!(look("libc.so.6", &Elf { soname: Some("libc.so.6"), ..Elf::default() }.bytes()).is_ok());
}

#[test]
fn other_elf_files_are_named() {
    let what = |elf: &Elf| match rejection("x", elf) {
        Rejection::ElfNoProgram { what } => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(what(&Elf { file_type: 1, ..Elf::default() }), ElfNoProgram::Relocatable);
    assert_eq!(what(&Elf { file_type: 4, ..Elf::default() }), ElfNoProgram::CoreDump);
    let debug = Elf { sections: vec![(".text", 8, Vec::new())], ..Elf::default() };
    assert_eq!(what(&debug), ElfNoProgram::DebugFile);
}

#[test]
fn platforms() {
    for (machine, wide, big, expected) in [
        (3, false, false, "linux/386"),
        (40, false, false, "linux/arm"),
        (183, true, false, "linux/arm64"),
        (21, true, false, "linux/ppc64le"),
        (21, true, true, "linux/ppc64"),
        (22, true, true, "linux/s390x"),
        (8, false, true, "linux/mips"),
        (243, true, false, "linux/riscv64"),
        (258, true, false, "linux/loong64"),
    ] {
        let elf = Elf {
            machine,
            wide,
            big,
            needed: vec!["libc.so.6"],
            versions: vec![("GLIBC_2.28", false)],
            ..Elf::default()
        };
        let facts = facts(&elf);
        assert_eq!(facts.platform.to_string(), expected);
        assert_eq!(facts.libraries, ["libc.so.6"], "{expected}");
        assert_eq!(facts.glibc, Some(GlibcVersion { major: 2, minor: 28 }), "{expected}");
    }
    let unknown = Elf { machine: 9999, ..Elf::default() };
    assert_eq!(rejection("x", &unknown), Rejection::UnknownProcessor { machine: 9999, bits: 64 });
}

#[test]
fn programs_of_other_systems() {
    let system = |elf: &Elf| match rejection("x", elf) {
        Rejection::ForeignElf { system } => system,
        other => panic!("{other:?}"),
    };
    assert_eq!(system(&Elf { os_abi: 9, ..static_program() }), "FreeBSD");
    assert_eq!(system(&Elf { note: Some("OpenBSD\0"), ..static_program() }), "OpenBSD");
    assert_eq!(system(&Elf { interpreter: Some("/usr/libexec/ld.elf_so"), ..Elf::default() }), "NetBSD");
    assert_eq!(system(&Elf { interpreter: Some("/system/bin/linker64"), ..Elf::default() }), "Android");
    assert!(look("x", &Elf { os_abi: 3, note: Some("GNU\0"), ..Elf::default() }.bytes()).is_ok());
}

#[test]
fn toolchains_leave_marks() {
    let rust = Elf {
        sections: vec![
            (
                ".comment",
                PROGBITS,
                b"GCC: (Debian 12.2.0)\0rustc version 1.89.0 (29483883e 2025-08-04)\0".to_vec(),
            ),
            (".symtab", SYMTAB, Vec::new()),
        ],
        ..Elf::default()
    };
    let facts_of_rust = facts(&rust);
    assert_eq!(facts_of_rust.built_by.as_deref(), Some("rustc 1.89.0"));
    assert!(!facts_of_rust.stripped);

    let mut information = b"\xff Go buildinf:\x08\x02".to_vec();
    information.resize(32, 0);
    information.push(8);
    information.extend(b"go1.24.1\x10path\tcmd/x");
    let go = Elf { sections: vec![(".go.buildinfo", PROGBITS, information)], ..static_program() };
    assert_eq!(facts(&go).built_by.as_deref(), Some("go1.24.1"));
    assert_eq!(facts(&static_program()).built_by, None);
}

#[test]
fn go_before_1_18_points_to_its_version() {
    // The only section stands behind the file header, which is loaded at 0x400000.
    let at = 0x40_0000 + 64;
    let mut information = b"\xff Go buildinf:\x08\x00".to_vec();
    for value in [at + 32, 0, at + 48, 8] {
        information.extend(u64::to_le_bytes(value));
    }
    information.extend(b"go1.17.5");
    let go = Elf { sections: vec![(".go.buildinfo", PROGBITS, information)], ..static_program() };
    assert_eq!(facts(&go).built_by.as_deref(), Some("go1.17.5"));
}

#[test]
fn payloads_are_known_by_their_marks() {
    let with = |tail: &[u8]| {
        let mut bytes = Elf::default().bytes();
        bytes.extend_from_slice(&[0; 100]);
        bytes.extend_from_slice(tail);
        look("app", &bytes).expect("a program").payload
    };
    let cookie = [&b"MEI\x0c\x0b\x0a\x0b\x0e"[..], &[0; 16], b"libpython3.11.so.1.0", &[0; 44]].concat();
    assert_eq!(with(&cookie), Some(Payload::PyInstaller));
    // A table of sections follows if the archive is a section.
    assert_eq!(with(&[&cookie[..], &[0; 4000]].concat()), Some(Payload::PyInstaller));
    assert_eq!(with(&[&cookie[..], &[0; 1 << 16]].concat()), None);
    assert_eq!(with(b"\n---- Bun! ----\n\0\0\0\0\0\0\0\0"), Some(Payload::Bun));
    assert_eq!(with(b"d3n0l4nd\0\0\0\0"), Some(Payload::Deno));
    assert_eq!(with(b"require('pkg/prelude/bootstrap.js')"), Some(Payload::Pkg));
    assert_eq!(with(b"KAYdata\x07\0\0\0\0\0\0\0"), Some(Payload::Nuitka));
    for odd in [&b"KAYdata\xff\xff\xff\xff\xff\xff\xff\xff"[..], b"KAYdata\0\0\0\0\0\0\0\0", b"MEI", b""] {
        assert_eq!(with(odd), None, "{odd:?}");
    }
    for release in [1, 2] {
        let mut bytes = static_program().bytes();
        bytes[8..11].copy_from_slice(&[b'A', b'I', release]);
        assert_eq!(look("app", &bytes).expect("a program").payload, Some(Payload::AppImage { release }));
    }
    let section = |name, content| facts(&Elf { sections: vec![(name, PROGBITS, content)], ..Elf::default() });
    assert_eq!(section(".staticx.archive", vec![1]).payload, Some(Payload::Staticx));
    assert_eq!(section(".bun", vec![1; 207]).payload, Some(Payload::Bun));
    assert_eq!(section(".bun", vec![0; 8]).payload, None, "bun itself");
    let note = facts(&Elf { note: Some("NODE_SEA_BLOB"), ..Elf::default() });
    assert_eq!(note.payload, Some(Payload::NodeSea));
    // The host of a .NET program has the mark in any case; the offset of the bundle is before it.
    let mark: Vec<u8> = (0..64)
        .step_by(2)
        .map(|at| {
            let hex = "8b1202b96a612038727b930214d7a03213f5b9e6efae3318ee3b2dce24b36aae";
            u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits")
        })
        .collect();
    for (offset, expected) in [(64_u64, Some(Payload::DotNet)), (0, None), (u64::MAX, None)] {
        let data = [&offset.to_le_bytes()[..], &mark, &[0; 8]].concat();
        assert_eq!(section(".data", data).payload, expected, "{offset}");
    }
    assert_eq!(section(".data", mark).payload, None);
}

#[test]
fn upx_hides_what_is_needed() {
    let packed = Elf { sections: vec![(".x", PROGBITS, b"UPX!".to_vec())], ..static_program() };
    assert!(facts(&packed).packed);
}

#[test]
fn cut_files_are_named_at_every_length() {
    let elf = Elf {
        needed: vec!["libc.so.6"],
        versions: vec![("GLIBC_2.34", false)],
        sections: vec![(".comment", PROGBITS, b"x".to_vec())],
        ..Elf::default()
    };
    let whole = elf.bytes();
    assert!(look("x", &whole).is_ok());
    for length in 4..whole.len() {
        match look("x", &whole[..length]).expect_err("cut") {
            Rejection::TruncatedElf { end, size, .. } => {
                assert_eq!(size, length as u64);
                assert!(end > size && end <= whole.len() as u64, "{end} of {}", whole.len());
            }
            other => panic!("{length}: {other:?}"),
        }
    }
}

#[test]
fn endless_chains_end() {
    // A version chain that goes round through shared ends: every record leads four bytes on.
    let mut bytes = Elf { versions: vec![("GLIBC_2.17", true); 200], ..Elf::default() }.bytes();
    let at = bytes.windows(4).rposition(|window| window == 16u32.to_le_bytes()).expect("a chain");
    bytes[at..at + 4].copy_from_slice(&1u32.to_le_bytes());
    assert!(look("x", &bytes).is_ok());
}

#[test]
fn real_programs() {
    let path = std::env::current_exe().expect("the path of this test");
    let file = std::fs::File::open(&path).expect("opens");
    let size = file.metadata().expect("has a size").len();
    let facts = detect("suite", size, file, &DetectOptions::default());
    if cfg!(target_os = "linux") {
        let Kind::Executable(facts) = facts.expect("a program").kind else { panic!("no executable") };
        assert_eq!(facts.platform, crate::image::Platform::host());
        assert!(facts.built_by.expect("a mark").starts_with("rustc 1."));
        if cfg!(all(target_env = "gnu", not(target_feature = "crt-static"))) {
            assert_eq!((facts.linkage, facts.libc), (Linkage::Dynamic, Some(Libc::Glibc)));
            assert!(facts.glibc.expect("a version") >= GlibcVersion { major: 2, minor: 17 });
            assert!(facts.libraries.contains(&"libc.so.6".to_owned()));
        }
    }
}
