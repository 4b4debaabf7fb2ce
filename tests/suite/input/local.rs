//! Files and standard input.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use b2i::diagnostic::{Diagnostic, FailureKind};
use b2i::image::Digest;
use b2i::input::{InputError, Origin, TreatAs};

use super::{Fetcher, body};
use crate::environment::SmallDisk;

#[test]
fn a_file_is_opened_where_it_is() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("app.jar");
    fs::write(&path, body(1000)).expect("writes");
    let fetcher = Fetcher::new();
    let fetched = fetcher.fetch(path.to_str().expect("UTF-8")).expect("fetches");
    assert_eq!(fetched.artifact.name, "app.jar");
    assert_eq!(fetched.artifact.sha256, None, "computed only when asked for");
    assert_eq!(fetched.artifact.origin, Origin::File { path: path.clone() });
    fs::remove_file(&path).expect("removes");
    assert_eq!(fetched.bytes(), body(1000), "opened once, whatever becomes of the name");
    drop(fetched);
    assert!(fetcher.left().is_empty());
}

#[test]
fn a_digest_is_checked() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("app.jar");
    fs::write(&path, "bytes").expect("writes");
    let path = path.to_str().expect("UTF-8");
    let right = Fetcher::with(|options| options.sha256 = Some(Digest::of(b"bytes")));
    assert_eq!(right.fetch(path).expect("fetches").artifact.sha256, Some(Digest::of(b"bytes")));
    let wrong = Fetcher::with(|options| options.sha256 = Some(Digest::of(b"other")));
    let error = wrong.fetch(path).err().expect("fails");
    assert_eq!(error.kind(), FailureKind::Input);
    for digest in [Digest::of(b"bytes"), Digest::of(b"other")] {
        assert!(error.to_string().contains(&digest.to_string()), "{error}");
    }
}

#[test]
fn what_is_not_a_file_is_named() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    fs::create_dir_all(path("source/src")).expect("creates");
    fs::write(path("source/pom.xml"), "").expect("writes");
    fs::create_dir(path("directory")).expect("creates");
    assert!(Command::new("mkfifo").arg(path("pipe")).status().expect("runs").success());
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).expect("binds");
    symlink("nowhere", path("dangling")).expect("links");
    for (name, kind, part) in [
        (path("source"), FailureKind::Artifact, "is a source tree: its root contains `pom.xml`"),
        (path("directory"), FailureKind::Artifact, "contains no artifact"),
        (path("pipe"), FailureKind::Input, "is a pipe, not a file"),
        (path("socket"), FailureKind::Input, "it is a socket"),
        (path("dangling"), FailureKind::Input, "No such file"),
        (path("missing"), FailureKind::Input, "No such file"),
        ("/dev/null".to_owned(), FailureKind::Input, "is a device, not a file"),
        (path("directory/x/"), FailureKind::Input, "No such file"),
    ] {
        let fetcher = Fetcher::new();
        let error = fetcher.fetch(&name).err().expect("fails");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(fetcher.left().is_empty());
    }
}

#[test]
fn sizes_are_limited() {
    let file = tempfile::NamedTempFile::new().expect("temporary file");
    fs::write(file.path(), body(1001)).expect("writes");
    let fetcher = Fetcher::with(|options| options.max_size = 1000);
    let error = fetcher.fetch(file.path().to_str().expect("UTF-8")).err().expect("fails");
    assert!(error.to_string().contains("limit of 1000 bytes (it has 1001)"), "{error}");
    let error = fetcher.fetch_from("-", std::io::repeat(0)).err().expect("fails");
    assert!(matches!(error, InputError::TooLarge { limit: 1000, .. }), "{error}");
    assert!(fetcher.left().is_empty());
}

#[test]
fn standard_input_is_read_to_its_end() {
    let fetcher = Fetcher::new();
    let fetched = fetcher.fetch_from("-", std::io::Cursor::new(body(300_000))).expect("fetches");
    assert_eq!(fetched.artifact.name, "artifact");
    assert_eq!(fetched.artifact.sha256, Some(Digest::of(&body(300_000))));
    assert_eq!(fetched.bytes(), body(300_000));
    drop(fetched);
    assert!(fetcher.left().is_empty());
    let wrong = Fetcher::with(|options| options.sha256 = Some(Digest::of(b"other")));
    assert!(matches!(wrong.fetch_from("-", &b"x"[..]), Err(InputError::DigestMismatch { .. })));
}

#[test]
fn source_builds_are_not_in_this_version() {
    let fetcher = Fetcher::with(|options| options.treat_as = Some(TreatAs::Source));
    let error = fetcher.fetch("app.jar").err().expect("fails");
    assert_eq!(error.kind(), FailureKind::Artifact);
}

#[test]
fn a_full_disk_is_said_to_be_one_and_nothing_is_left() {
    let server = super::super::fault_server::FaultServer::start(|_, to| {
        super::super::fault_server::answer(to, "200 OK", &[], &body(3_000_000))
    });
    let archive = tempfile::Builder::new().suffix(".gz").tempfile().expect("temporary file");
    fs::write(archive.path(), gzip_of_zeros(3_000_000)).expect("writes");
    for source in ["-", &server.url("/app.jar"), archive.path().to_str().expect("UTF-8")] {
        // A disk each: a process that another test is just starting may still hold what was removed from the last.
        let disk = SmallDisk::new(1024);
        let mut fetcher = Fetcher::new();
        fetcher.cache = tempfile::tempdir_in(disk.path()).expect("fits");
        let error = fetcher.fetch_from(source, std::io::Cursor::new(body(3_000_000))).err().expect("fails");
        assert_eq!(error.kind(), FailureKind::Input, "{error}");
        let text = error.to_string();
        assert!(text.contains("no space left in") && text.contains(" bytes"), "{text}");
        assert!(text.contains(&*disk.path().to_string_lossy()), "{text}");
        assert_eq!((fetcher.left(), fetcher.kept()), (Vec::new(), Vec::new()), "{source}");
    }
    assert_eq!(server.requests().len(), 1, "a full disk does not get larger by trying again");
}

fn gzip_of_zeros(length: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &vec![0; length]).expect("writes");
    encoder.finish().expect("finishes")
}
