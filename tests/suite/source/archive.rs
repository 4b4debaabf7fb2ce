//! Archives of sources of every kind, from everywhere; and those that mean harm.

use std::path::{Path, PathBuf};
use std::process::Command;

use b2i::diagnostic::{Diagnostic, FailureKind};

use super::Fetcher;
use crate::fault_server::FaultServer;

/// A directory `shop-1.2` with a small project.
fn project() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("temporary directory");
    let path = root.path().join("shop-1.2");
    std::fs::create_dir_all(path.join("src")).expect("creates");
    std::fs::create_dir_all(path.join(".git")).expect("creates");
    std::fs::write(path.join(".git/config"), "[remote]").expect("writes");
    std::fs::write(path.join("pom.xml"), "<project/>").expect("writes");
    std::fs::write(path.join("mvnw"), "#!/bin/sh\n").expect("writes");
    std::fs::set_permissions(path.join("mvnw"), std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("chmod");
    std::fs::write(path.join("src/notes.txt"), "no program").expect("writes");
    std::os::unix::fs::symlink("../pom.xml", path.join("src/link")).expect("links");
    root
}

fn pack(directory: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).current_dir(directory).output().expect("is installed");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Packs `what` in `directory` by the means of `name`'s end.
///
/// The archive must not lie in what is packed: `tar` fails if a directory changes while it reads it, which the
/// archive's own file does to it in one run of a hundred.
fn packed(directory: &Path, name: &str, what: &str) -> PathBuf {
    let place = directory.join(name);
    let path = place.to_str().expect("UTF-8");
    if name.ends_with(".zip") {
        pack(directory, "zip", &["--quiet", "--recurse-paths", "--symlinks", path, what]);
    } else {
        pack(directory, "tar", &["--auto-compress", "--create", "--file", path, what]);
    }
    place
}

const PATHS: [&str; 5] = ["mvnw", "pom.xml", "src", "src/link", "src/notes.txt"];

#[test]
fn every_kind_gives_the_same_tree() {
    for name in ["a.tar", "a.tar.gz", "a.tgz", "a.tar.xz", "a.tar.zst", "a.tar.bz2", "a.zip"] {
        let root = project();
        let archive = packed(root.path(), name, "shop-1.2");
        let fetcher = Fetcher::new();
        let fetched = fetcher.fetch(archive.to_str().expect("UTF-8"));
        let fetched = fetched.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(fetched.paths(), PATHS, "{name}");
        assert_eq!((fetched.mode("mvnw"), fetched.mode("src/notes.txt")), (0o755, 0o644), "{name}");
        assert_eq!(fetched.link("src/link"), "../pom.xml");
        assert_eq!(fetched.text("src/link"), "<project/>");
        assert_eq!((fetched.tree.name.as_str(), &fetched.tree.info.location), ("a", &None));
        assert_eq!(fetched.tree.build_file().expect("has one").name, "pom.xml");
    }
}

#[test]
fn standard_input_is_a_tar_with_or_without_a_directory_around_it() {
    let root = project();
    let around = std::fs::read(packed(root.path(), "around.tar", "shop-1.2")).expect("reads");
    let inside = root.path().join("shop-1.2");
    let without = std::fs::read(packed(&inside, "../without.tar.gz", ".")).expect("reads");
    for (bytes, name) in [(around, "shop-1.2"), (without, "source")] {
        let fetcher = Fetcher::new();
        let fetched =
            fetcher.fetch_from("-", std::io::Cursor::new(bytes)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(fetched.paths(), PATHS);
        assert_eq!(fetched.tree.name, name);
        drop(fetched);
        assert_eq!(fetcher.left(), 0);
    }
}

#[test]
fn a_download_is_checked_and_its_place_recorded_without_secrets() {
    let root = project();
    let bytes = std::fs::read(packed(root.path(), "shop.tgz", "shop-1.2")).expect("reads");
    let length = bytes.len();
    let digest = b2i::image::Digest::of(&bytes);
    let server = FaultServer::start(move |_, out| {
        write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
        out.write_all(&bytes)
    });
    let url = server.url("/files/shop.tgz?token=hunter2");
    let fetcher = Fetcher::with(|options| options.input.sha256 = Some(digest));
    let fetched = fetcher.fetch(&url).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(fetched.paths(), PATHS);
    assert_eq!(fetched.tree.name, "shop");
    assert_eq!(fetched.tree.info.location, Some(server.url("/files/shop.tgz")));
    let fetcher = Fetcher::with(|options| options.input.sha256 = Some(b2i::image::Digest::of(b"other")));
    assert!(fetcher.failure(&url).contains("SHA-256 digest of"));
    let fetcher = Fetcher::with(|options| options.input.offline = true);
    let error = fetcher.fetch(&url).map(|_| ()).expect_err("no network");
    assert_eq!(error.kind(), FailureKind::Input, "{error}");
}

#[test]
fn a_zip_without_modes_has_programs_by_their_first_bytes() {
    let root = tempfile::tempdir().expect("temporary directory");
    let path = root.path().join("a.zip");
    // `-X` and a made-by of FAT: as Windows writes it.
    let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1], 'w')\nfor n, t in (('gradlew', '#!/bin/sh'), ('build.gradle', 'x'), ('empty', '')):\n    i = zipfile.ZipInfo(n)\n    i.create_system = 0\n    i.external_attr = 0x20\n    z.writestr(i, t)\nz.close()\n";
    pack(root.path(), "python3", &["-c", script, path.to_str().expect("UTF-8")]);
    let fetcher = Fetcher::new();
    let fetched = fetcher.fetch(path.to_str().expect("UTF-8")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((fetched.mode("gradlew"), fetched.mode("build.gradle")), (0o755, 0o644));
    assert_eq!(fetched.text("gradlew"), "#!/bin/sh");
}

#[test]
fn what_is_no_archive_of_sources_is_told_what_it_is() {
    let root = tempfile::tempdir().expect("temporary directory");
    let write = |name: &str, bytes: &[u8]| {
        let path = root.path().join(name);
        std::fs::write(&path, bytes).expect("writes");
        path.to_str().expect("UTF-8").to_owned()
    };
    let script = write("tool", b"#!/bin/sh\necho hello\n");
    let message = Fetcher::new().failure(&script);
    assert!(
        message.contains("finished artifact") && message.contains(&format!("b2i build {script}")),
        "{message}"
    );
    let text = write("README.md", b"# hello\n");
    assert!(Fetcher::new().failure(&text).contains("not an archive of sources"));
    let message = Fetcher::new().failure(&write("broken.tar.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\0xx"));
    assert!(message.contains("broken.tar.gz"), "{message}");
    let message = Fetcher::new().failure(root.path().join("missing.tgz").to_str().expect("UTF-8"));
    assert!(message.contains("missing.tgz") && message.contains("check the path"), "{message}");
    let message = Fetcher::new().failure("/dev/null");
    assert!(message.contains("neither a file nor a directory"), "{message}");
}

/// A tar with one member whose name and target no program would write.
fn hostile(name: &str, kind: tar::EntryType, target: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append(&header, content).expect("writes to memory");
    builder.into_inner().expect("writes to memory")
}

#[test]
fn hostile_archives_write_nothing_outside_and_leave_nothing() {
    use tar::EntryType::{Block, Link, Regular, Symlink};
    for (name, kind, target) in [
        ("../outside", Regular, ""),
        ("/tmp/outside", Regular, ""),
        ("a/../../outside", Regular, ""),
        ("link", Symlink, "/etc/passwd"),
        ("link", Symlink, "../../outside"),
        ("link", Link, "../../../../etc/passwd"),
        ("device", Block, ""),
    ] {
        let bytes = hostile(name, kind, target, b"");
        let fetcher = Fetcher::new();
        let error = fetcher.fetch_from("-", std::io::Cursor::new(bytes)).map(|_| ()).expect_err(name);
        let message = error.to_string();
        assert_eq!(error.kind(), FailureKind::Input, "{message}");
        assert!(message.contains(name) || message.contains("special"), "{name}: {message}");
        assert_eq!(fetcher.left(), 0);
    }
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    let root = tempfile::tempdir().expect("temporary directory");
    std::fs::create_dir(root.path().join("bomb")).expect("creates");
    let file = std::fs::File::create(root.path().join("bomb/zeros")).expect("creates");
    file.set_len(64 * 1024 * 1024).expect("sparse");
    for name in ["bomb.tar.gz", "bomb.tar.zst", "bomb.tar.xz", "bomb.zip"] {
        let archive = packed(root.path(), name, "bomb");
        let fetcher = Fetcher::with(|options| options.input.max_size = 8 * 1024 * 1024);
        let message = fetcher.failure(archive.to_str().expect("UTF-8"));
        assert!(message.contains("8388608 bytes") && message.contains("--max-size"), "{name}: {message}");
        assert_eq!(fetcher.left(), 0);
    }
}

#[test]
fn ignore_rules_and_the_context_directory_count_in_archives_too() {
    let root = project();
    std::fs::write(root.path().join("shop-1.2/.s2iignore"), "src/*.txt\n").expect("writes");
    let archive = packed(root.path(), "a.tar", "shop-1.2");
    let text = archive.to_str().expect("UTF-8");
    let fetcher = Fetcher::new();
    let fetched = fetcher.fetch(text).unwrap_or_else(|error| panic!("{error}"));
    assert!(!fetched.paths().contains(&"src/notes.txt"), "{:?}", fetched.paths());
    // In the context directory, the link leads out.
    let fetcher = Fetcher::with(|options| options.context_directory = Some("src".to_owned()));
    assert!(fetcher.failure(text).contains("leads out of the sources"));
}
