//! Tests of finding the artifact in archives, benign and hostile.

use std::io::{Cursor, Write};

use super::*;
use crate::detect::ElfSample as Elf;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::Digest;
use crate::input::artifact::{AddedContent, AddedDestination};

/// Bytes that begin like an ELF file of this type (2: program, 3: shared) and do not compress.
fn elf(kind: u8) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend([kind, 0, 62, 0]);
    bytes.resize(64, 0);
    let mut state = 1_u32;
    bytes.extend(
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .take(9000 - 64),
    );
    bytes
}

fn program() -> Vec<u8> {
    elf(2)
}

/// One member of a tar under construction.
#[derive(Clone)]
enum Entry<'a> {
    File(&'a str, &'a [u8]),
    Directory(&'a str),
    Link(tar::EntryType, &'a str, &'a str),
}
use ::tar;
use Entry::{Directory, File, Link};

fn tar_of(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        let (name, bytes): (&str, &[u8]) = match entry {
            File(name, bytes) => (name, bytes),
            Directory(name) => {
                header.set_entry_type(tar::EntryType::Directory);
                (name, b"")
            }
            Link(kind, name, target) => {
                header.set_entry_type(*kind);
                header.set_link_name_literal(target).expect("short");
                (name, b"")
            }
        };
        // Written as it is: the crate refuses hostile names.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, bytes).expect("writes");
    }
    builder.into_inner().expect("writes")
}

fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let options = ::zip::write::SimpleFileOptions::default();
        zip.start_file(*name, options.compression_method(::zip::CompressionMethod::Deflated))
            .expect("starts");
        zip.write_all(bytes).expect("writes");
    }
    zip.finish().expect("finishes").into_inner()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("writes");
    encoder.finish().expect("finishes")
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
    encoder.write_all(bytes).expect("writes");
    encoder.finish().expect("finishes")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).expect("writes");
    encoder.finish().expect("finishes")
}

fn lzma(bytes: &[u8]) -> Vec<u8> {
    let options = liblzma::stream::LzmaOptions::new_preset(1).expect("a preset");
    let stream = liblzma::stream::Stream::new_lzma_encoder(&options).expect("an encoder");
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(bytes).expect("writes");
    encoder.finish().expect("finishes")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 1).expect("compresses")
}

struct Run {
    directory: tempfile::TempDir,
    result: Result<Contents, InputError>,
}

impl Run {
    fn found(&self) -> &Contents {
        self.result.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    fn error(&self) -> &InputError {
        match &self.result {
            Ok(found) => panic!("found {}", found.artifact.name),
            Err(error) => error,
        }
    }

    fn text(&self) -> String {
        self.error().to_string()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut self.found().artifact.content.reader(), &mut bytes).expect("reads");
        bytes
    }

    /// Asserts that a refused archive left nothing behind, but what the lease removes.
    fn left(&self) -> usize {
        std::fs::read_dir(self.directory.path()).expect("lists").count()
    }
}

fn run(name: &str, bytes: &[u8], options: &InputOptions) -> Run {
    let directory = tempfile::tempdir().expect("temporary directory");
    let mut file = tempfile::NamedTempFile::new().expect("temporary file");
    file.write_all(bytes).expect("writes");
    let fetched = InputFile {
        name: name.to_owned(),
        size: bytes.len() as u64,
        sha256: None,
        content: FileContent::temporary(file),
    };
    let result = find_artifact(fetched, name, options, directory.path(), &Stop::default());
    Run { directory, result }
}

fn find(name: &str, bytes: &[u8]) -> Run {
    run(name, bytes, &InputOptions::default())
}

fn keep_tree() -> InputOptions {
    InputOptions { keep_tree: true, ..InputOptions::default() }
}

fn path(path: &str) -> InputOptions {
    InputOptions { member_path: Some(path.to_owned()), ..InputOptions::default() }
}

fn release() -> Vec<u8> {
    tar_of(&[
        Directory("tool-1.2/"),
        File("tool-1.2/README.md", b"hello"),
        File("tool-1.2/completions/tool", b"#!/bin/bash\n"),
        File("tool-1.2/install.sh", b"#!/bin/sh\n"),
        File("tool-1.2/bin/tool", &program()),
        File("tool-1.2/lib/libx.so.1", &elf(3)),
        Link(tar::EntryType::Symlink, "tool-1.2/tool", "bin/tool"),
        Link(tar::EntryType::Symlink, "tool-1.2/lib/libx.so", "libx.so.1"),
        Link(tar::EntryType::Link, "tool-1.2/hard", "tool-1.2/bin/tool"),
    ])
}

#[test]
fn finds_the_program_in_every_format() {
    let tar = release();
    for (name, bytes) in [
        ("t.tar", tar.clone()),
        ("t.tar.gz", gzip(&tar)),
        ("t.tar.xz", xz(&tar)),
        ("t.tar.lzma", lzma(&tar)),
        ("t.tar.zst", zstd(&tar)),
        ("t.tar.bz2", bzip2(&tar)),
        ("no suffix", gzip(&tar)),
        ("t.zip", zip_of(&[("tool-1.2/README", b"x"), ("tool-1.2/bin/tool", &program())])),
    ] {
        let run = find(name, &bytes);
        assert_eq!(run.found().artifact.name, "tool", "{name}");
        assert_eq!(run.found().artifact.sha256, Some(Digest::of(&program())), "{name}");
        assert_eq!(run.bytes(), program(), "{name}");
        assert_eq!(run.left(), 1, "{name}: only the artifact is unpacked");
    }
}

#[test]
fn unpacks_single_files() {
    for (name, bytes) in [
        ("tool.gz", gzip(&program())),
        ("tool.xz", xz(&program())),
        ("tool.lzma", lzma(&program())),
        ("tool.zst", zstd(&program())),
        ("tool.bz2", bzip2(&program())),
    ] {
        let run = find(name, &bytes);
        assert_eq!((run.found().artifact.name.as_str(), run.bytes()), ("tool", program()));
    }
    let twice = [gzip(b"one "), gzip(b"two")].concat();
    assert_eq!(find("a.txt.gz", &twice).bytes(), b"one two");
    for behind in [&[0; 1000][..], b"signature\n", b"\x1e"] {
        assert_eq!(find("a.txt.gz", &[&twice, behind].concat()).bytes(), b"one two");
        let tar = [&gzip(&release()), behind].concat();
        assert_eq!(find("t.tar.gz", &tar).bytes(), program());
    }
}

#[test]
fn takes_what_is_no_archive_as_it_is() {
    let jar = zip_of(&[("META-INF/MANIFEST.MF", b"Main-Class: A\n")]);
    let war = zip_of(&[("WEB-INF/web.xml", b"<web-app/>")]);
    let odd = zip_of(&[("A.class", b"")]);
    for (name, bytes) in [
        ("tool", program()),
        ("download", jar.clone()),
        ("x.zip", war),
        ("odd.JAR", odd),
        ("cut.zip", jar[..40].to_vec()),
        ("empty", Vec::new()),
        ("page.jar", b"<html>".to_vec()),
    ] {
        let run = find(name, &bytes);
        assert_eq!((run.found().artifact.name.as_str(), run.bytes()), (name, bytes));
        assert_eq!(run.left(), 0);
    }
    assert!(matches!(
        run("app.jar", &jar, &path("x")).error(),
        InputError::Archive(ArchiveError::NotAnArchive { option: "--path", .. })
    ));
}

#[test]
fn several_candidates_are_listed_and_path_picks() {
    let entries: Vec<_> = (0..15).map(|index| format!("./bin/tool{index}")).collect();
    let program = program();
    let entries: Vec<_> = entries.iter().map(|name| File(name, &program)).collect();
    let archive = gzip(&tar_of(&entries));
    let several = find("t.tar.gz", &archive);
    assert_eq!(several.error().kind(), FailureKind::Artifact);
    assert!(several.text().contains("15 files") && several.text().contains("bin/tool0 (9000 bytes)"));
    assert!(several.text().contains("and 5 more") && several.error().hints()[0].contains("--path"));
    for wanted in ["bin/tool7", "./bin/tool7"] {
        assert_eq!(run("t.tar.gz", &archive, &path(wanted)).found().artifact.name, "tool7");
    }
    for (wanted, part) in [("bin/tool99", "is missing"), ("bin", "a directory"), ("../x", "`..`")] {
        let run = run("t.tar.gz", &archive, &path(wanted));
        assert!(run.text().contains(part), "{}", run.text());
    }
}

#[test]
fn links_named_by_path_are_followed_inside_the_archive() {
    let archive = gzip(&release());
    for wanted in ["tool-1.2/tool", "tool-1.2/hard"] {
        assert_eq!(run("t.tar.gz", &archive, &path(wanted)).bytes(), program());
    }
    let hostile =
        tar_of(&[Link(tar::EntryType::Symlink, "tool", "/bin/sh"), Link(tar::EntryType::Symlink, "a", "a")]);
    for wanted in ["tool", "a"] {
        assert_eq!(run("t.tar", &hostile, &path(wanted)).error().kind(), FailureKind::Artifact);
    }
}

#[test]
fn libraries_and_sources_do_not_compete_with_the_application() {
    let jar = zip_of(&[("META-INF/MANIFEST.MF", b"")]);
    let all = [
        File("x/lib/a.jar", &jar),
        File("x/app-sources.jar", &jar),
        File("x/app.jar", &jar),
        File("x/run.sh", b"#!/bin/sh"),
    ];
    assert_eq!(find("t.tar", &tar_of(&all)).found().artifact.name, "app.jar");
    assert_eq!(find("t.tar", &tar_of(&all[..1])).found().artifact.name, "a.jar");
}

#[test]
fn a_distribution_is_its_start_script_with_the_whole_tree() {
    let jar = zip_of(&[("META-INF/MANIFEST.MF", b"")]);
    let sh = b"#!/bin/sh\n";
    for (script, library) in [
        ("app-1.0/bin/app", "app-1.0/lib/app.jar"),
        ("app-1.0/bin/app", "app-1.0/repo/org/app/1/app-1.jar"),
        ("allure/bin/allure", "allure/lib/main.jar"),
        ("bin/run.sh", "libs/main.jar"),
    ] {
        let all = [File(script, sh), File("app-1.0/README", b"x"), File(library, &jar)];
        let members = [&all[..1], if script.starts_with("app") { &all[1..] } else { &all[2..] }].concat();
        for archive in [tar_of(&members), zip_of(&[(script, sh), (library, &jar)])] {
            let run = find("app.archive", &archive);
            assert_eq!(run.found().artifact.name, script.rsplit('/').next().expect("a name"));
            let tree = run.found().tree.as_ref().expect("a tree");
            assert!(tree.artifact.starts_with("bin/"), "{}", tree.artifact);
            let library = library.rsplit('/').next().expect("a name");
            assert!(tree.files.iter().any(|file| file.destination.file_name() == library), "{library}");
        }
    }
}

#[test]
fn of_several_start_scripts_the_one_with_the_name_of_the_release_starts() {
    let jar = zip_of(&[("META-INF/MANIFEST.MF", b"")]);
    let sh = b"#!/bin/sh\n";
    let scripts = [File("apache-ant-1.10/bin/antRun", sh), File("apache-ant-1.10/bin/ant", sh)];
    let libraries: Vec<_> = (0..109).map(|number| format!("apache-ant-1.10/lib/{number}.jar")).collect();
    let mut members: Vec<_> = libraries.iter().map(|path| File(path, &jar)).collect();
    members.extend(scripts);
    assert_eq!(find("ant.tar", &tar_of(&members)).found().artifact.name, "ant");
    members.pop();
    members.push(File("apache-ant-1.10/bin/other", sh));
    let several = find("ant.tar", &tar_of(&members));
    assert!(
        several.text().contains("2 files") && several.text().contains("bin/antRun"),
        "{}",
        several.text()
    );
    assert!(!several.text().contains(".jar"), "{}", several.text());
    let chosen = run("ant.tar", &tar_of(&members), &path("apache-ant-1.10/bin/other"));
    assert!(chosen.found().tree.is_some());
    members.truncate(109);
    members.extend(["bin/mvnDebug", "bin/mvn", "bin/mvnyjp"].map(|script| File(script, sh)));
    assert_eq!(find("maven.tar", &tar_of(&members)).found().artifact.name, "mvn");
}

#[test]
fn a_package_of_npm_with_a_program_is_an_artifact() {
    let manifest = File("package/package.json", b"{}");
    let program = program();
    let packed = tar_of(&[manifest.clone(), File("package/bin/tool", &program)]);
    assert_eq!(find("tool.tgz", &packed).found().artifact.name, "tool");
    let with_script = tar_of(&[manifest.clone(), File("package/cli.js", b"#!/usr/bin/env node\n")]);
    assert!(matches!(find("tool.tgz", &with_script).error(), InputError::SourceTree { .. }));
    let foreign_root = [File("tool-linux/package.json", b"{}"), File("tool-linux/bin/tool", &program)];
    assert_eq!(find("tool.tgz", &tar_of(&foreign_root)).found().artifact.name, "tool");
    let jar = zip_of(&[("META-INF/MANIFEST.MF", b"")]);
    let script = File("package/bin/server", b"#!/usr/bin/env node\n");
    let java = tar_of(&[manifest.clone(), script, File("package/lib/server.jar", &jar)]);
    assert_eq!(find("server.tgz", &java).found().artifact.name, "server.jar");
    let source = File("app/index.js", b"require('child_process')");
    let tree = tar_of(&[File("app/package.json", b"{}"), File("app/bin/tool", &program), source]);
    assert!(matches!(find("app.tgz", &tree).error(), InputError::SourceTree { .. }));
}

#[test]
fn a_script_counts_when_there_is_nothing_better() {
    let archive = tar_of(&[File("x/run", b"#!/bin/sh\n"), File("x/README", b"x")]);
    assert_eq!(find("t.tar", &archive).found().artifact.name, "run");
}

#[test]
fn says_what_is_inside_when_there_is_no_artifact() {
    let empty = vec![0; 1024];
    for (name, bytes, part) in [
        ("t.tar", tar_of(&[File("a.txt", b"x"), File("b.txt", b"y")]), "it contains `a.txt`, `b.txt`"),
        ("t.tar", tar_of(&[File("tool.exe", b"MZ\x90\0\x03")]), "`tool.exe` is a Windows program"),
        ("t.tgz", gzip(&tar_of(&[File("in.tar.gz", &gzip(b"x"))])), "another archive, `in.tar.gz`"),
        ("t.zip", zip_of(&[]), "it contains no files"),
        ("t.tar", empty, "it contains no files"),
    ] {
        let run = find(name, &bytes);
        assert_eq!(run.error().kind(), FailureKind::Artifact);
        assert!(run.text().contains(part), "{}", run.text());
    }
}

#[test]
fn a_source_tree_is_said_to_be_one() {
    for root in ["", "project-1.0/"] {
        let (build_file, gradle) = (format!("{root}pom.xml"), format!("{root}sub/build.gradle"));
        let archive = tar_of(&[File(&build_file, b"<project/>"), File(&gradle, b""), File("x", b"")][..2]);
        let run_it = find("src.tar", &archive);
        assert!(
            matches!(run_it.error(), InputError::SourceTree { build_file, .. } if build_file == "pom.xml"),
            "{}",
            run_it.text()
        );
        let options =
            InputOptions { treat_as: Some(super::super::TreatAs::Artifact), ..InputOptions::default() };
        assert!(run("src.tar", &archive, &options).text().contains("contains no artifact"));
    }
    let nested = tar_of(&[File("a/x/pom.xml", b""), File("tool", &program())]);
    assert_eq!(find("t.tar", &nested).found().artifact.name, "tool");
}

#[test]
fn keeps_the_tree_as_it_is() {
    let run = run("t.tar.gz", &gzip(&release()), &keep_tree());
    let tree = run.found().tree.as_ref().expect("a tree");
    assert_eq!(tree.artifact, "bin/tool");
    let tree: Vec<_> = tree
        .files
        .iter()
        .map(|file| {
            let AddedDestination::Beside(path) = &file.destination else { panic!("absolute") };
            let what = match &file.content {
                AddedContent::Directory => "/".to_owned(),
                AddedContent::Symlink { target } => format!(" -> {target}"),
                AddedContent::File { executable, size, .. } => format!(" {size} {executable}"),
            };
            format!("{path}{what}")
        })
        .collect();
    assert_eq!(
        tree,
        [
            "README.md 5 false",
            "bin/",
            "completions/",
            "completions/tool 12 true",
            "hard 9000 true",
            "install.sh 10 true",
            "lib/",
            "lib/libx.so -> libx.so.1",
            "lib/libx.so.1 9000 true",
            "tool -> bin/tool",
        ]
    );
    assert_eq!(run.bytes(), program());
    assert_eq!(run.found().artifact.sha256, Some(Digest::of(&program())));
}

#[test]
fn keeps_a_tree_without_a_common_root() {
    let entries: [(&str, &[u8]); 2] = [("bin/tool", &program()), ("conf/a.yml", b"a: 1")];
    let run = run("t.zip", &zip_of(&entries), &keep_tree());
    let tree = run.found().tree.as_ref().expect("a tree");
    let paths: Vec<_> = tree.files.iter().map(|file| file.destination.clone()).collect();
    let beside = |path: &str| AddedDestination::Beside(path.to_owned());
    assert_eq!(tree.artifact, "bin/tool");
    assert_eq!(paths, [beside("bin"), beside("conf"), beside("conf/a.yml")]);
}

#[test]
fn a_link_leads_to_the_file_that_is_the_artifact() {
    let entries = [
        File("t/versions/1.2/bin/tool", &program()),
        Link(tar::EntryType::Symlink, "t/current", "versions/1.2"),
        Link(tar::EntryType::Symlink, "t/tool", "current/bin/tool"),
        File("t/start", b"data that only its mode makes executable"),
    ];
    for member in ["t/tool", "t/current/bin/tool"] {
        let run = run("t.tar", &tar_of(&entries), &InputOptions { keep_tree: true, ..path(member) });
        let tree = run.found().tree.as_ref().expect("a tree");
        assert_eq!(tree.artifact, "versions/1.2/bin/tool", "{member}");
        assert_eq!(run.bytes(), program());
        assert!(tree.files.iter().all(|file| file.destination.to_string() != tree.artifact));
    }
}

#[test]
fn a_file_of_the_tree_stays_executable() {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, mode, bytes) in
        [("t/tool", 0o755, program()), ("t/app.pyz", 0o755, b"PK".to_vec()), ("t/data", 0o644, b"x".to_vec())]
    {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, &bytes[..]).expect("writes");
    }
    let run = run("t.tar", &builder.into_inner().expect("writes"), &keep_tree());
    let executable = |name: &str| {
        let files = &run.found().tree.as_ref().expect("a tree").files;
        let file = files.iter().find(|file| file.destination.to_string() == name).expect(name);
        matches!(file.content, AddedContent::File { executable: true, .. })
    };
    assert!(executable("app.pyz") && !executable("data"));
}

/// A JAR whose manifest names a class path.
fn jar(class_path: &str) -> Vec<u8> {
    let manifest = format!("Manifest-Version: 1.0\nMain-Class: a.Main\nClass-Path: {class_path}\n");
    zip_of(&[("META-INF/MANIFEST.MF", manifest.as_bytes())])
}

/// The paths that come along, and the number of files that do not.
fn along(run: &Run) -> (Vec<String>, u64) {
    let files = run.found().tree.as_ref().map(|tree| &tree.files[..]).unwrap_or_default();
    (files.iter().map(|file| file.destination.to_string()).collect(), run.found().left_out)
}

#[test]
fn what_a_jar_names_comes_along() {
    let (app, util) = (jar("lib/util%20a.jar conf/ gone.jar /opt/x.jar"), jar("../more/b.jar"));
    let entries = [
        File("svc-1/svc.jar", &app),
        File("svc-1/lib/util a.jar", &util),
        File("svc-1/lib/unused.jar", &jar("")),
        File("svc-1/more/real.jar", &jar("../svc.jar")),
        Link(tar::EntryType::Symlink, "svc-1/more/b.jar", "real.jar"),
        File("svc-1/conf/deep/app.properties", b"k=v"),
        File("svc-1/bin/start.sh", b"#!/bin/sh\n"),
        File("svc-1/README.md", b"read me"),
        Link(tar::EntryType::Fifo, "svc-1/pipe", ""),
    ];
    let run = run("t.tar.gz", &gzip(&tar_of(&entries)), &path("svc-1/svc.jar"));
    let expected = ["conf/deep", "conf/deep/app.properties", "lib/util a.jar", "more/b.jar", "more/real.jar"];
    let (mut found, left_out) = along(&run);
    found.retain(|path| !["conf", "lib", "more"].contains(&path.as_str()));
    assert_eq!((found.iter().map(String::as_str).collect::<Vec<_>>(), left_out), (expected.to_vec(), 2));
    assert_eq!(run.found().tree.as_ref().expect("a tree").artifact, "svc.jar");
    assert_eq!(run.bytes(), app);
}

#[test]
fn directories_of_formats_that_are_always_spread_come_along() {
    let runner = jar("lib/boot/a.jar app/app.jar");
    let fast_jar: [(&str, &[u8]); 5] = [
        ("q/quarkus-run.jar", &runner),
        ("q/app/app.jar", b"PK"),
        ("q/lib/main/b.jar", b"PK"),
        ("q/quarkus/quarkus-application.dat", b"x"),
        ("q/other/file", b"x"),
    ];
    let found = run("t.zip", &zip_of(&fast_jar), &path("q/quarkus-run.jar"));
    let (mut paths, left_out) = along(&found);
    paths.retain(|path| path.contains('.'));
    assert_eq!(paths, ["app/app.jar", "lib/main/b.jar", "quarkus/quarkus-application.dat"]);
    assert_eq!(left_out, 1);
    let program = Elf::default().bytes();
    for (beside, taken) in
        [("_internal/deep/x.so", true), ("base_library.zip", true), ("internal/x.so", false)]
    {
        let beside = format!("dist/{beside}");
        let entries: [(&str, &[u8]); 3] = [("dist/tool", &program), (&beside, b"x"), ("else/data", b"x")];
        let found = run("t.zip", &zip_of(&entries), &path("dist/tool"));
        let (paths, left_out) = along(&found);
        assert_eq!((paths.contains(&beside), left_out), (taken, if taken { 1 } else { 2 }), "{beside}");
    }
}

#[test]
fn libraries_in_the_run_path_come_along() {
    let program =
        Elf { needed: vec!["liba.so.1", "libc.so.6"], run_path: Some("$ORIGIN/../lib"), ..Elf::default() };
    let library =
        Elf { interpreter: None, needed: vec!["libb.so"], run_path: Some("$ORIGIN"), ..Elf::default() };
    let (program, library) = (program.bytes(), library.bytes());
    let other = Elf { interpreter: None, ..Elf::default() }.bytes();
    let entries = [
        File("rel-1/bin/tool", &program),
        File("rel-1/lib64/liba.so.1.2", &library),
        Link(tar::EntryType::Symlink, "rel-1/lib64/liba.so.1", "liba.so.1.2"),
        Link(tar::EntryType::Symlink, "rel-1/lib", "lib64"),
        File("rel-1/lib64/libb.so", &other),
        File("rel-1/lib64/libunused.so", &other),
        File("rel-1/LICENSE", b"free"),
    ];
    let found = find("t.tar", &tar_of(&entries));
    let (paths, left_out) = along(&found);
    assert_eq!(paths, ["lib", "lib64/liba.so.1", "lib64/liba.so.1.2", "lib64/libb.so"]);
    assert_eq!((left_out, found.found().artifact.name.as_str()), (1, "tool"));
    // Without the library it is a single file, as without a run path.
    let found = find("t.tar", &tar_of(&[entries[0].clone(), File("rel-1/data", b"x")]));
    assert_eq!(along(&found), (Vec::new(), 1));
    assert!(found.found().tree.is_none());
    assert_eq!(found.bytes(), program);
}

#[test]
fn documents_are_left_out_in_silence() {
    let program = program();
    let entries: [(&str, &[u8]); 4] =
        [("t/tool", &program), ("t/LICENSE", b"x"), ("t/man/t.1", b"x"), ("t/completions/t.fish", b"x")];
    assert_eq!(along(&find("t.zip", &zip_of(&entries))), (Vec::new(), 0));
    let entries = [entries[0], entries[1], ("t/conf.yml", b"x"), ("t/lib/x", b"x")];
    assert_eq!(along(&find("t.zip", &zip_of(&entries))).1, 2);
    assert_eq!(along(&run("t.zip", &zip_of(&entries), &keep_tree())).1, 0);
}

#[test]
fn hostile_members_are_refused_by_name() {
    let program = program();
    let tool = || File("tool", &program);
    let symlink = tar::EntryType::Symlink;
    for (entries, name, part) in [
        (vec![tool(), File("../evil", b"x")], "../evil", "`..`"),
        (vec![tool(), File("/etc/evil", b"x")], "/etc/evil", "absolute"),
        (vec![tool(), Link(symlink, "evil", "/etc")], "evil", "points outside"),
        (vec![tool(), Link(symlink, "evil", "../x")], "evil", "points outside"),
        (
            vec![tool(), Directory("d/"), Link(symlink, "l", "d"), File("l/evil", b"x")],
            "l/evil",
            "at one of its parents is not a directory",
        ),
        (vec![tool(), Link(tar::EntryType::Link, "evil", "../../etc/passwd")], "evil", "points outside"),
        (vec![tool(), Link(tar::EntryType::Char, "evil", "")], "evil", "a device"),
        (vec![tool(), Link(tar::EntryType::Fifo, "evil", "")], "evil", "a pipe"),
        (vec![tool(), File("evil", b"x"), File("evil", b"y")], "evil", "same name"),
        (vec![tool(), File("evil\n", b"x"), File("evil\n", b"y")], "evil\\n", "same name"),
    ] {
        let run = run("t.tar", &tar_of(&entries), &keep_tree());
        assert!(run.text().contains(&format!("`{name}`")) && run.text().contains(part), "{}", run.text());
        assert_eq!(run.error().kind(), FailureKind::Input);
    }
    // Without the tree only the names matter, and that no two candidates have the same.
    for entries in [vec![tool(), File("../evil", b"x")], vec![tool(), tool()]] {
        let run = find("t.tar", &tar_of(&entries));
        assert!(run.text().contains("is refused"), "{}", run.text());
        assert_eq!(run.left(), 0);
    }
}

#[test]
fn bombs_stop_at_the_limit() {
    let zeros = vec![0; 4 * 1024 * 1024];
    let options = |keep_tree| InputOptions { max_size: 1024 * 1024, keep_tree, ..InputOptions::default() };
    let tar = tar_of(&[File("zeros", &zeros), File("tool", &program())]);
    for (name, bytes) in [
        ("t.tar.gz", gzip(&tar)),
        ("t.tar.zst", zstd(&tar)),
        ("t.tar.xz", xz(&tar)),
        ("t.tar.bz2", bzip2(&tar)),
        ("t.gz", gzip(&zeros)),
    ] {
        let run = run(name, &bytes, &options(false));
        assert!(run.text().contains("unpacks to more than the limit of 1048576 bytes"), "{}", run.text());
        assert_eq!(run.left(), 0);
    }
    let zip = zip_of(&[("zeros", &zeros), ("tool", &program())]);
    assert!(run("t.zip", &zip, &options(true)).text().contains("limit of 1048576"));
    assert_eq!(run("t.zip", &zip, &options(false)).bytes(), program(), "what is not needed is not unpacked");
}

#[test]
fn more_members_than_a_real_archive_has_are_not_listed() {
    let name = "empty";
    let mut header = tar::Header::new_ustar();
    header.set_path(name).expect("short");
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(0);
    header.set_cksum();
    let members = header.as_bytes().repeat(250_002);
    let run = find("many.tar.gz", &gzip(&members));
    assert!(run.error().to_string().contains("250000"), "{}", run.error());
}

#[test]
fn damage_is_noticed_wherever_it_is() {
    let (tar, zip) = (release(), zip_of(&[("bin/tool", &program()), ("a", b"x")]));
    for (name, whole) in [
        ("t.tar.gz", gzip(&tar)),
        ("t.tar.xz", xz(&tar)),
        ("t.tar.zst", zstd(&tar)),
        ("t.tar.bz2", bzip2(&tar)),
        ("tool.gz", gzip(&program())),
    ] {
        for length in (0..whole.len()).step_by(whole.len() / 17 + 1).skip(1).chain([whole.len() - 1]) {
            let run = find(name, &whole[..length]);
            // A stream cut within its first bytes is no archive; detection says what it is not.
            if let Ok(found) = &run.result {
                assert!(found.artifact.size <= 9 && length <= 9, "{name} cut at {length}");
                continue;
            }
            assert_eq!(run.error().kind(), FailureKind::Input, "{name} cut at {length}: {}", run.text());
            assert_eq!(run.left(), 0);
        }
    }
    let cut = find("t.tar", &tar[..tar.len() / 2]);
    assert!(cut.text().contains("truncated"), "{}", cut.text());
    let mut flipped = zip.clone();
    flipped[8000] ^= 0xff;
    assert_eq!(find("t.zip", &flipped).error().kind(), FailureKind::Input);
}

#[test]
fn long_names_are_read_and_absurd_ones_refused() {
    let directory = "d".repeat(150);
    let name = format!("{directory}/{}", "t".repeat(120));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(9000);
    builder.append_data(&mut header, &name, &program()[..]).expect("writes");
    let run = find("t.tar", &builder.into_inner().expect("writes"));
    assert_eq!(run.found().artifact.name, "t".repeat(120));

    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions([("path", "a/я".as_bytes())]).expect("writes");
    let mut header = tar::Header::new_ustar();
    header.set_path("short").expect("short");
    header.set_size(9000);
    header.set_cksum();
    builder.append(&header, &program()[..]).expect("writes");
    assert_eq!(find("t.tar", &builder.into_inner().expect("writes")).found().artifact.name, "я");

    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(2 * 1024 * 1024);
    header.set_cksum();
    let mut absurd = header.as_bytes().to_vec();
    absurd.resize(3 * 1024 * 1024, b'a');
    assert!(find("t.tar", &absurd).text().contains("more than 1 MiB"));
}

#[test]
fn a_zip_with_two_members_of_one_name_is_refused() {
    let mut zip = zip_of(&[("tool1", &program()), ("tool2", &program())]);
    for start in 0..zip.len() - 5 {
        if &zip[start..start + 5] == b"tool2" {
            zip[start + 4] = b'1';
        }
    }
    assert!(find("t.zip", &zip).text().contains("several members of the same name"));
}

#[test]
fn an_encrypted_zip_is_named() {
    // The flag alone decides; nothing is decrypted.
    let mut zip = zip_of(&[("bin/tool", &program())]);
    let central = zip.windows(4).position(|window| window == b"PK\x01\x02").expect("has one");
    zip[6] |= 1;
    zip[central + 8] |= 1;
    let run = find("t.zip", &zip);
    assert!(run.text().contains("member `bin/tool` of `t.zip` is encrypted"), "{}", run.text());
}

#[test]
fn a_zip_that_states_absurd_numbers_is_refused_before_it_is_read() {
    let mut zip = zip_of(&[("tool", &program())]);
    let end = zip.len() - 22;
    zip[end + 12..end + 16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(find("t.zip", &zip).text().contains("central directory has 4294967295 bytes"));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(200))]
    #[test]
    fn damaged_bytes_never_panic(position in 0_usize..12_000, value: u8, which in 0_usize..3) {
        let mut bytes = match which {
            0 => release(),
            1 => gzip(&release()),
            _ => zip_of(&[("bin/tool", &program()), ("a", b"x")]),
        };
        let position = position % bytes.len();
        bytes[position] = value;
        let _ = run("t", &bytes, &keep_tree()).result;
    }
}
