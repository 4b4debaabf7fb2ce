//! Places that results cannot go to, or must not: what is read, what is written already, registries without a network.

use super::assert_fails;
use crate::environment::{B2iCommand, TestEnvironment};

/// A build in a directory that has `tool.tar`, an archive with a program; gives its bytes too.
fn beside_an_archive(command: B2iCommand) -> (B2iCommand, Vec<u8>) {
    let bytes = std::fs::read(TestEnvironment::get().fixture("archives/tool.tar")).expect("reads");
    let work = command.directory().join("work");
    std::fs::write(work.join("tool.tar"), &bytes).expect("writes");
    std::os::unix::fs::symlink("tool.tar", work.join("link")).expect("links");
    std::fs::create_dir(work.join("sub")).expect("makes");
    (command.arg("build"), bytes)
}

#[test]
fn what_would_be_replaced_is_not_the_input() {
    let program = TestEnvironment::get().fixture("program").display().to_string();
    for arguments in [
        // The default output has the artifact's name.
        &["tool.tar"][..],
        &["./tool.tar", "--output", "docker-archive:tool.tar"],
        &["tool.tar", "--output", "oci-archive:sub/../tool.tar"],
        &["link", "--path", "tool-1.2/tool", "--output", "docker-archive:tool.tar"],
        &["tool.tar", "--output", "docker-archive:link"],
        &[&program, "--add", "tool.tar", "--output", "docker-archive:tool.tar"],
        &["tool.tar", "--output", "oci:layout", "--iidfile", "tool.tar"],
        &["tool.tar", "--output", "oci:layout", "--metadata-file", "./tool.tar"],
    ] {
        let (command, bytes) = beside_an_archive(B2iCommand::without_daemon());
        let mut command = command.args(arguments);
        assert_fails(&mut command, 2, &["output `", "would overwrite an input", "hint: name another file"]);
        let kept = std::fs::read(command.directory().join("work/tool.tar")).expect("reads");
        assert!(kept == bytes, "{arguments:?}");
    }
}

#[test]
fn an_archive_of_sources_is_not_replaced_either() {
    let (command, bytes) = beside_an_archive(B2iCommand::new());
    let mut command = command.args(["tool.tar", "--as", "source", "--source-builder", "golang", "--output"]);
    command = command.arg("docker-archive:./tool.tar");
    assert_fails(&mut command, 2, &["would overwrite an input"]);
    assert!(std::fs::read(command.directory().join("work/tool.tar")).expect("reads") == bytes);
}

#[test]
fn one_file_is_written_once_however_it_is_spelled() {
    let program = TestEnvironment::get().fixture("program");
    for (one, two) in [
        ("docker-archive:a.tar", "oci-archive:./a.tar"),
        ("docker-archive:a.tar", "oci-archive:../work/a.tar"),
        ("oci:a", "oci:./a"),
    ] {
        let mut command = B2iCommand::new().arg("build").arg(&program).args(["-o", one, "-o", two]);
        assert_fails(&mut command, 2, &["is written twice"]);
    }
    // What keeps nothing loses nothing.
    let mut twice = B2iCommand::new().arg("build").arg(&program);
    twice = twice.args(["-o", "docker-archive:/dev/null", "-o", "oci-archive:/dev/null"]);
    assert_eq!(twice.run().code, Some(0));
}

#[test]
fn files_beside_the_image_are_looked_at_before_it_is_made() {
    let program = TestEnvironment::get().fixture("program");
    for flag in ["--iidfile", "--digest-file", "--metadata-file"] {
        for (path, reason) in [
            ("missing/file", "directory `missing` not found"),
            (".", "is a directory"),
            ("-", "requires a file"),
        ] {
            let mut command = B2iCommand::new().arg("build").arg(&program).args([flag, path]);
            command = command.args(["--output", "docker-archive:out.tar"]);
            assert_fails(&mut command, 2, &[flag, reason]);
        }
    }
}

#[test]
fn a_push_without_network_is_refused_before_anything_is_asked() {
    let program = TestEnvironment::get().fixture("program");
    let build = |arguments: &[&str]| B2iCommand::new().arg("build").arg(&program).args(arguments);
    let tag = "registry.invalid/team/app:1";
    let words = [tag, "`--offline`", "hint: write to `oci:DIR`"];
    assert_fails(&mut build(&["--offline", "--push", "-t", tag]), 2, &words);
    assert_fails(&mut build(&["-o", "registry", "-t", tag]).env("B2I_OFFLINE", "true"), 2, &words);
}
