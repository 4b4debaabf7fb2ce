//! Archives as the tools on a real machine write them.

use std::fs;
use std::process::{Command, Stdio};

use b2i::input::{AddRequest, AddedDestination};

use super::super::fault_server::{FaultServer, answer};
use super::Fetcher;

/// A program of this machine.
const PROGRAM: &str = "/bin/ls";

/// A release as a project publishes it.
fn release() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("temporary directory");
    let top = root.path().join("tool-1.2");
    let deep = top.join(format!("share/{}/{}", "d".repeat(100), "e".repeat(100)));
    fs::create_dir_all(&deep).expect("creates");
    fs::create_dir(top.join("bin")).expect("creates");
    fs::copy(PROGRAM, top.join("bin/tool")).expect("copies");
    fs::write(top.join("README.md"), "hello").expect("writes");
    fs::write(deep.join("данные"), "data").expect("writes");
    std::os::unix::fs::symlink("bin/tool", top.join("tool")).expect("links");
    fs::hard_link(top.join("README.md"), top.join("LICENSE")).expect("links");
    root
}

fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().expect("is installed");
    assert!(status.success(), "{command:?}");
}

#[test]
fn archives_of_gnu_tar_in_every_format() {
    let root = release();
    for (format, deep) in [("gnu", true), ("oldgnu", true), ("posix", true), ("ustar", false), ("v7", false)]
    {
        for (what, name) in [("tool-1.2", "t.tar"), (".", "t.tar.gz")] {
            let output = tempfile::tempdir().expect("temporary directory");
            let archive = output.path().join(name);
            let mut tar = Command::new("tar");
            tar.arg(format!("--format={format}")).arg("-C").arg(root.path()).arg("-caf").arg(&archive);
            if !deep {
                tar.arg("--exclude=share");
            }
            run(tar.arg(what));
            let archive = archive.to_str().expect("UTF-8");
            let fetched = Fetcher::new().fetch(archive).expect(format);
            assert_eq!(fetched.artifact.name, "tool");
            assert_eq!(fetched.bytes(), fs::read(PROGRAM).expect("reads"), "{format} {name}");
            let fetched = Fetcher::with(|options| options.keep_tree = true).fetch(archive).expect(format);
            assert_eq!(fetched.artifact.added.len(), if deep { 8 } else { 4 }, "{format} {name}");
            assert!(fetched.artifact.added.iter().all(|file| {
                matches!(&file.destination, AddedDestination::Beside(path) if !path.starts_with("tool-1.2"))
            }));
        }
    }
}

#[test]
fn an_archive_comes_from_anywhere_and_files_are_added_to_it() {
    let (root, output) = (release(), tempfile::tempdir().expect("temporary directory"));
    let archive = output.path().join("tool-1.2.tgz");
    run(Command::new("tar").arg("-C").arg(root.path()).arg("-czf").arg(&archive).arg("tool-1.2"));
    let bytes = fs::read(&archive).expect("reads");
    let mut fetcher = Fetcher::new();
    let source = root.path().join("tool-1.2/README.md");
    fetcher.options.added.push(AddRequest { source, destination: Some("/etc/tool/".to_owned()) });
    let (served, piped) = (bytes.clone(), bytes);
    let server = FaultServer::start(move |_, to| answer(to, "200 OK", &[], &served));
    for result in [
        fetcher.fetch(&server.url("/tool-1.2.tgz")),
        fetcher.fetch_from("-", std::io::Cursor::new(piped)),
        fetcher.fetch(archive.to_str().expect("UTF-8")),
    ] {
        let fetched = result.expect("fetches");
        assert_eq!((fetched.artifact.name.as_str(), fetched.artifact.added.len()), ("tool", 1));
        assert_eq!(fetched.bytes(), fs::read(PROGRAM).expect("reads"));
    }
    assert!(fetcher.left().is_empty());
}

#[test]
fn the_checksum_is_that_of_the_archive() {
    let (root, output) = (release(), tempfile::tempdir().expect("temporary directory"));
    let archive = output.path().join("tool.tgz");
    run(Command::new("tar").arg("-C").arg(root.path()).arg("-czf").arg(&archive).arg("tool-1.2"));
    let digest = b2i::image::Digest::of(&fs::read(&archive).expect("reads"));
    let fetched =
        Fetcher::with(|options| options.sha256 = Some(digest)).fetch(archive.to_str().expect("UTF-8"));
    let program = b2i::image::Digest::of(&fs::read(PROGRAM).expect("reads"));
    assert_eq!(fetched.expect("fetches").artifact.sha256, Some(program));
}
