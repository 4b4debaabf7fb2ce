use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use ::zip::write::{SimpleFileOptions, ZipWriter};
use proptest::prelude::*;

use super::elf::tests::sample::Elf;
use super::*;
use crate::diagnostic::{Diagnostic, FailureKind};

fn look(name: &str, bytes: &[u8]) -> Result<Facts, DetectError> {
    detect(name, bytes.len() as u64, Cursor::new(bytes), &DetectOptions::default())
}

fn rejection(name: &str, bytes: &[u8]) -> Rejection {
    match look(name, bytes).expect_err("a rejection") {
        DetectError::Refused { rejection, .. } => rejection,
        error => panic!("{error:?}"),
    }
}

/// The message as the user reads it.
fn message(name: &str, bytes: &[u8]) -> String {
    let error = look(name, bytes).expect_err("a rejection");
    assert_eq!(error.kind(), FailureKind::Artifact);
    assert!(!error.hints().is_empty() && error.hints().iter().all(|hint| !hint.is_empty()), "{error}");
    error.to_string()
}

fn windows_program(machine: u16, flags: u16) -> Vec<u8> {
    let mut bytes = b"MZ".to_vec();
    bytes.resize(0x3c, 0);
    bytes.extend(0x40u32.to_le_bytes());
    bytes.extend(b"PE\0\0");
    bytes.extend(machine.to_le_bytes());
    bytes.resize(0x40 + 22, 0);
    bytes.extend(flags.to_le_bytes());
    bytes
}

fn tar(names: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for name in names {
        let mut header = vec![0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(b"00000000003");
        header[257..263].copy_from_slice(b"ustar\0");
        bytes.extend(header);
        bytes.extend([b'x'; 512]);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

#[test]
fn foreign_files_are_named_for_what_they_are() {
    let compressed = b"\x1f\x8b\x08\0\0\0\0\0\0\x03";
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a", Vec::new(), "`a` is empty (0 bytes)"),
        ("t.exe", windows_program(0x8664, 0), "a Windows program (PE, x86-64)"),
        ("t.dll", windows_program(0xaa64, 0x2000), "a Windows library (PE, ARM64)"),
        ("t", b"\xcf\xfa\xed\xfe\x0c\0\0\x01".to_vec(), "a macOS program (Mach-O, ARM64)"),
        ("t", b"\xca\xfe\xba\xbe\0\0\0\x02".to_vec(), "a macOS universal program"),
        ("A.class", b"\xca\xfe\xba\xbe\0\0\0\x41".to_vec(), "a single Java class file (Java 21)"),
        (
            "app.jar",
            b"<!DOCTYPE html>\n<html><head><title>404\n Not Found</title>".to_vec(),
            "it begins: 404 Not Found",
        ),
        ("app.jar", b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>".to_vec(), "NoSuchKey"),
        ("app.war", b"{\"errors\":[{\"status\":404}]}".to_vec(), "a JSON document"),
        ("a.tar", tar(&["tool", "README"]), "a tar archive"),
        ("i.tar", tar(&["oci-layout", "index.json", "blobs/"]), "already a container image (OCI"),
        ("i.tar", tar(&["manifest.json", "repositories"]), "already a container image (docker save)"),
        ("a.gz", compressed.to_vec(), "a gzip file"),
        ("a.deb", b"!<arch>\ndebian-binary   ".to_vec(), "a Debian package"),
        ("a.rpm", b"\xed\xab\xee\xdb\x03".to_vec(), "an RPM package"),
        ("a.wasm", b"\0asm\x01\0\0\0".to_vec(), "a WebAssembly module"),
        ("a.bc", b"BC\xc0\xde".to_vec(), "LLVM bitcode"),
        ("a.a", b"!<arch>\nmain.o/".to_vec(), "a static library"),
        (
            "a.jar",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1234\n".to_vec(),
            "of 1234 bytes",
        ),
        ("notes", b"some notes\n".to_vec(), "plain text"),
        ("run.bat", b"@echo off\r\n".to_vec(), "a Windows script"),
        ("x", vec![0x01, 0x02, 0xfe, 0x00], "01 02 fe 00"),
        ("s.sh", b"#!/bin/sh\r\necho\r\n".to_vec(), "CR LF"),
    ];
    for (name, bytes, expected) in cases {
        let message = message(name, &bytes);
        assert!(message.contains(expected), "{message:?} should contain {expected:?}");
    }
}

#[test]
fn messages_cannot_steer_a_terminal() {
    let message = message("app\x1b[31m.jar", b"<html><title>\x1b]0;evil\x07</title>");
    assert!(!message.chars().any(char::is_control), "{message:?}");
}

#[test]
fn a_failing_source_is_an_input_error() {
    let error = detect("x", 100, Cursor::new(b"\x7fELF"), &DetectOptions::default()).expect_err("too short");
    assert_eq!(error.kind(), FailureKind::Input);
    assert!(matches!(rejection("x", b"\x7fELF"), Rejection::TruncatedElf { .. }));
}

#[test]
fn facts_are_flat_in_json() {
    let facts =
        look("tool", &Elf { needed: vec!["libc.so.6"], ..Elf::default() }.bytes()).expect("a program");
    let json = serde_json::to_value(&facts).expect("serialises");
    assert_eq!(json["kind"], "executable");
    assert_eq!(json["platform"], "linux/amd64");
    assert_eq!(json["linkage"], "dynamic");
    assert_eq!(json["libc"], "glibc");
    assert_eq!(json["size"], facts.size);
    let script = serde_json::to_value(look("s", b"#!/bin/sh\n").expect("a script")).expect("serialises");
    assert_eq!((&script["kind"], &script["program"]), (&"script".into(), &"sh".into()));
}

/// Counts what is read, to see that detection stays away from the bulk of a file.
struct Counted<R> {
    inner: R,
    bytes: u64,
    calls: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        self.calls += 1;
        Ok(count)
    }
}

impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

fn archive(members: &[(String, Vec<u8>)], method: ::zip::CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(name.as_str(), options).expect("starts");
        writer.write_all(content).expect("writes");
    }
    writer.finish().expect("finishes").into_inner()
}

#[test]
fn large_archives_are_read_in_small_parts() {
    let class = b"\xca\xfe\xba\xbe\0\0\0\x3d".to_vec();
    let library: Vec<_> = (0..200).map(|index| (format!("org/p{index}/C.class"), class.clone())).collect();
    let library = archive(&library, ::zip::CompressionMethod::Deflated);
    let mut members: Vec<_> =
        vec![("META-INF/MANIFEST.MF".to_owned(), b"Main-Class: A\nStart-Class: B\n".to_vec())];
    members.extend((0..300).map(|index| (format!("BOOT-INF/lib/l{index}.jar"), library.clone())));
    members.push(("BOOT-INF/classes/big.bin".into(), vec![7; 60 << 20]));
    members.extend(
        (0..20_000).map(|index| (format!("BOOT-INF/classes/q{}/C{index}.class", index / 9), class.clone())),
    );
    let bytes = archive(&members, ::zip::CompressionMethod::Stored);
    let mut source = Counted { inner: Cursor::new(&bytes), bytes: 0, calls: 0 };
    let facts = detect("app.jar", bytes.len() as u64, &mut source, &DetectOptions::default()).expect("a JAR");
    let facts::Kind::Jar(facts) = facts.kind else { panic!("no JAR") };
    assert_eq!((facts.java, facts.libraries.len()), (Some(17), 300));
    assert!(source.bytes < 8 << 20, "{} of {} bytes read", source.bytes, bytes.len());
    assert!(source.calls < 8_000, "{} reads", source.calls);
}

fn valid_files() -> Vec<(&'static str, Vec<u8>)> {
    let class = |release: u8| vec![0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, release + 44];
    let library = archive(&[("a/Filter.class".into(), class(8))], ::zip::CompressionMethod::Deflated);
    let jar = [
        ("META-INF/MANIFEST.MF".to_owned(), b"Main-Class: a.A\nSpring-Boot-Version: 3\n".to_vec()),
        ("BOOT-INF/classes/a/A.class".into(), class(17)),
        ("BOOT-INF/lib/l.jar".into(), library.clone()),
    ];
    let war = [
        ("WEB-INF/web.xml".to_owned(), b"<web-app xmlns=\"https://jakarta.ee/xml/ns/jakartaee\"/>".to_vec()),
        ("WEB-INF/lib/l.jar".into(), library),
    ];
    let elf = Elf {
        needed: vec!["libc.so.6"],
        versions: vec![("GLIBC_2.34", false), ("GLIBC_2.17", true)],
        note: Some("GNU\0"),
        sections: vec![
            (".comment", 1, b"rustc version 1.89.0 (x)\0".to_vec()),
            (".go.buildinfo", 1, vec![0; 40]),
        ],
        ..Elf::default()
    };
    vec![
        ("tool", elf.bytes()),
        ("tool32", Elf { wide: false, big: true, machine: 8, ..elf }.bytes()),
        ("app.jar", archive(&jar, ::zip::CompressionMethod::Stored)),
        ("shop.war", archive(&war, ::zip::CompressionMethod::Deflated)),
        ("tool.exe", windows_program(0x8664, 0)),
        ("image.tar", tar(&["oci-layout", "index.json"])),
        ("run.sh", b"#!/usr/bin/env -S python3 -u\n".to_vec()),
        ("A.class", class(21)),
    ]
}

/// Detects, and checks that the effort is in proportion whatever the outcome.
fn check(name: &str, bytes: &[u8]) {
    let mut source = Counted { inner: Cursor::new(bytes), bytes: 0, calls: 0 };
    let options = DetectOptions { main_class: None };
    match detect(name, bytes.len() as u64, &mut source, &options) {
        Ok(facts) => drop(serde_json::to_string(&facts).expect("serialises")),
        Err(DetectError::Refused { .. }) => {}
        Err(error) => panic!("a whole file is readable: {error:?}"),
    }
    assert!(source.calls < 20_000, "{} reads", source.calls);
    let _ = candidate_strength(&bytes[..bytes.len().min(HEAD as usize)], name);
}

proptest! {
    // The same cases each time; `PROPTEST_CASES` asks for more of them.
    #![proptest_config(ProptestConfig {
        rng_seed: proptest::test_runner::RngSeed::Fixed(2),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_survived(
        magic in prop::sample::select(vec![&b""[..], b"\x7fELF\x02\x01\x01", b"\x7fELF\x01\x02\x01", b"PK\x03\x04", b"#!/usr/bin/env", b"MZ", b"<html", b"\xca\xfe\xba\xbe"]),
        rest in prop::collection::vec(any::<u8>(), 0..600),
        name in prop::sample::select(vec!["a", "a.jar", "a.war", "a.so"]),
    ) {
        check(name, &[magic, &rest].concat());
    }

    #[test]
    fn changed_files_are_survived(
        which in 0usize..8,
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(vec![0u8, 1, 4, 0x7f, 0x80, 0xff])), 1..12),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let (name, mut bytes) = valid_files().swap_remove(which);
        for (index, value) in changes {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()) + 1);
        }
        check(name, &bytes);
    }
}

#[test]
fn the_unchanged_files_are_what_they_are_meant_to_be() {
    let kinds: Vec<bool> = valid_files().iter().map(|(name, bytes)| look(name, bytes).is_ok()).collect();
    assert_eq!(kinds, [true, true, true, true, false, false, true, false]);
}
