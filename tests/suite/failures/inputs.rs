//! Files that are no artifact, archives that are none, and options that contradict what was found.

use std::os::unix::fs::PermissionsExt;

use super::{assert_clean, assert_fails, files};
use crate::environment::{B2iCommand, TestEnvironment};

/// `b2i build` of a fixture, into an archive, without a daemon.
fn build(fixture: &str, arguments: &[&str]) -> B2iCommand {
    let command = B2iCommand::new().args(["build"]).args(OUT);
    command.arg(TestEnvironment::get().fixture(fixture)).args(arguments)
}

/// No daemon is needed for what fails before it would be.
const OUT: [&str; 2] = ["--output", "docker-archive:out.tar"];

#[test]
fn what_cannot_be_packaged_is_named_with_the_way_out() {
    for (fixture, code, words) in [
        ("foreign/tool.exe", 4, &["Windows program", "build it for Linux"][..]),
        ("foreign/tool-darwin-amd64", 4, &["macOS program", "x86-64", "build it for Linux"]),
        ("foreign/tool-darwin-arm64", 4, &["macOS program", "ARM64", "build it for Linux"]),
        ("foreign/shop.ear", 4, &["EAR", "WAR in it"]),
        ("foreign/library.jar", 4, &["library JAR", "--main-class"]),
        ("foreign/app-1.0-sources.jar", 4, &["source code", "without `-sources`"]),
        ("foreign/html.jar", 4, &["HTML page", "404 Not Found", "check the URL"]),
        ("foreign/truncated.jar", 4, &["truncated", "--sha256"]),
        ("foreign/truncated-program", 4, &["truncated", "4000", "--sha256"]),
        ("foreign/encrypted.jar", 4, &["encrypted", "again without"]),
        ("foreign/encrypted.zip", 3, &["encrypted", "unpack it yourself"]),
        ("foreign/empty", 4, &["is empty (0 bytes)", "again"]),
        ("foreign/text.txt", 4, &["plain text", "#!"]),
        ("foreign/Library.class", 4, &["Java class file", "jar --create"]),
        ("foreign/truncated.tar.gz", 3, &["truncated", "download it again"]),
        ("library.so", 4, &["shared library", "--add"]),
        ("foreign/program-riscv", 5, &["linux/riscv64", "--builder IMAGE"]),
        ("archives/documents.tar.gz", 4, &["contains no artifact", "README.md", "--path"]),
        ("archives/link.tar.gz", 4, &["contains no artifact"]),
        ("archives/traversal.tar.gz", 3, &["../../escape/tool", "refused", "safe place"]),
        ("archives/two.tar.gz", 4, &["tool-1.2/other", "tool-1.2/tool", "--path"]),
        ("archives/source-tree.tar.gz", 4, &["source tree", "pom.xml", "--as source", "--as artifact"]),
    ] {
        let output = assert_fails(&mut build(fixture, &[]), code, words);
        assert!(
            output.stderr.starts_with("error: ") || output.stderr.contains("\nerror: "),
            "{}",
            output.stderr
        );
        assert!(output.stderr.contains("\nhint: "), "{fixture}: {}", output.stderr);
    }
}

#[test]
fn inspect_refuses_the_same() {
    for (fixture, code) in [("foreign/tool.exe", 4), ("foreign/empty", 4), ("foreign/encrypted.zip", 3)] {
        let mut command = B2iCommand::new().arg("inspect").arg(TestEnvironment::get().fixture(fixture));
        assert_fails(&mut command, code, &["error: ", "hint: "]);
    }
}

#[test]
fn sources_are_sent_to_the_command_that_builds_them() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("go.mod"), "module example.com/x\n").expect("writes");
    let mut inspected = B2iCommand::new().arg("inspect").arg(directory.path());
    assert_fails(&mut inspected, 4, &["source tree", "go.mod", "hint: `b2i build` builds it"]);
    let archive = TestEnvironment::get().fixture("archives/source-tree.tar.gz");
    let mut as_source = B2iCommand::new().args(["inspect", "--as", "source"]).arg(archive);
    assert_fails(&mut as_source, 4, &["as sources", "hint: build it with `b2i build --as source`"]);
}

#[test]
fn a_directory_without_a_build_file_or_a_program_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("notes.txt"), "nothing to build\n").expect("writes");
    let mut built = B2iCommand::new().arg("build").arg(directory.path()).args(OUT);
    assert_fails(&mut built, 5, &["it has no build file that b2i knows", "--source-builder", "--add"]);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let mut missing = B2iCommand::new().args(["build", "no-such-file.jar", OUT[0], OUT[1]]);
    assert_fails(&mut missing, 3, &["`no-such-file.jar`", "No such file", "hint: "]);

    let mut pipe = B2iCommand::new().args(["build", "pipe", OUT[0], OUT[1]]);
    let path = pipe.directory().join("work/pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo starts").success());
    assert_fails(&mut pipe, 3, &["`pipe` is a pipe", "b2i build -"]);

    let mut device = B2iCommand::new().args(["build", "/dev/null", OUT[0], OUT[1]]);
    assert_fails(&mut device, 3, &["`/dev/null` is a device"]);

    let mut added = build("program", &["--add", "no-such-directory/"]);
    assert_fails(&mut added, 3, &["`no-such-directory/`", "No such file", "hint: "]);

    let empty_input = B2iCommand::new().args(["build", "-", "--output", "docker-archive:out.tar"]);
    assert_fails(&mut empty_input.stdin(""), 4, &["empty", "hint: "]);
}

#[test]
fn a_file_without_permission_is_named() {
    // Root may read everything, so the call is another user's.
    let mut command = B2iCommand::as_nobody().args(["build", "secret.jar"]);
    let path = command.directory().join("work/secret.jar");
    std::fs::write(&path, "PK").expect("writes");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).expect("a mode can be set");
    let output = command.run();
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    assert!(output.stderr.contains("`secret.jar`: Permission denied"), "{}", output.stderr);
    assert_clean(&command.cache());
}

#[test]
fn options_that_contradict_the_artifact_are_refused() {
    let zeros = "0".repeat(64);
    // The compiler decides what they are.
    let program = std::fs::read(TestEnvironment::get().fixture("program")).expect("reads");
    let (size, actual) =
        (program.len().to_string(), format!("actual   {}", b2i::image::Digest::of(&program)));
    for (fixture, arguments, code, words) in [
        (
            "program",
            &["--sha256", &zeros][..],
            3,
            &["SHA-256 digest of", "expected sha256:0000", &actual][..],
        ),
        ("program", &["--platform", "linux/arm64"], 4, &["linux/amd64", "linux/arm64", "--platform"]),
        ("program", &["--max-size", "1000"], 3, &["1000 bytes", &size, "--max-size"]),
        ("program", &["--builder", "tomcat"], 5, &["takes WARs", "executable", "--builder"]),
        ("program", &["--builder", "no-such-builder"], 2, &["unknown builder `no-such-builder`", "binary"]),
        ("standalone.jar", &["--builder", "java:9"], 2, &["no version `9`", "8"]),
        ("program", &["--context-path", "/x"], 2, &["no context path", "--context-path"]),
        ("program", &["--env", "ARGS=a", "--", "b"], 2, &["ARGS", "`--`", "hint: "]),
        ("program", &["--path", "x"], 2, &["is not an archive", "hint: "]),
        ("archives/two.tar.gz", &["--path", "nope"], 4, &["no file `nope`", "tool-1.2/tool", "hint: "]),
        ("archives/tool.tar.gz", &["--max-size", "100KB"], 3, &["--max-size"]),
        ("app/lib/greeter.jar", &[], 4, &["its manifest has no Main-Class", "--main-class"]),
        (
            "standalone.jar",
            &["--main-class", "no.Such"],
            4,
            &["main class `no.Such`", "--main-class", "Class-Path"],
        ),
        ("program", &["--add", "/etc/passwd:../../x"], 2, &["../../x", "hint: "]),
    ] {
        assert_fails(&mut build(fixture, arguments), code, words);
    }
}

#[test]
fn two_added_files_for_one_place_are_refused() {
    let mut command = build("program", &["--add", "one:x", "--add", "two:x"]);
    for name in ["one", "two"] {
        std::fs::write(command.directory().join("work").join(name), name).expect("writes");
    }
    assert_fails(&mut command, 2, &["x", "error: ", "hint: "]);
}

#[test]
fn outputs_that_cannot_be_written_are_named() {
    for (output, code, words) in [
        ("missing/directory/out.tar", 7, &["`missing/directory/out.tar`", "No such file"][..]),
        ("directory", 2, &["`directory` is a directory", "hint: "]),
    ] {
        let output = format!("docker-archive:{output}");
        let program = TestEnvironment::get().fixture("program");
        let mut command = B2iCommand::new().args(["build", "--output", &output]).arg(program);
        std::fs::create_dir(command.directory().join("work/directory")).expect("writes");
        assert_fails(&mut command, code, words);
    }

    let program = std::fs::read(TestEnvironment::get().fixture("program")).expect("reads");
    let mut command =
        B2iCommand::as_nobody().args(["build", "-", "--output", "docker-archive:locked/out.tar"]);
    let locked = command.directory().join("work/locked");
    std::fs::create_dir(&locked).expect("writes");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).expect("a mode can be set");
    let output = {
        command = command.stdin(program);
        command.run()
    };
    assert_eq!(output.code, Some(7), "{}", output.stderr);
    assert!(output.stderr.contains("`locked/out.tar`: Permission denied"), "{}", output.stderr);
    assert_eq!(files(&locked), [""; 0]);
}

#[test]
fn what_was_there_stays_when_a_build_fails() {
    let mut command = build("foreign/tool.exe", &[]);
    let out = command.directory().join("work/out.tar");
    std::fs::write(&out, "old").expect("writes");
    assert_fails(&mut command, 4, &["Windows program"]);
    assert_eq!(std::fs::read_to_string(out).expect("reads"), "old");
}
