//! Disks that are full: the archive's, the cache's.

use super::{assert_clean, assert_fails, files};
use crate::environment::{B2iCommand, SmallDisk, TestEnvironment};
use crate::fault_server::{FaultServer, answer};

#[test]
fn a_full_disk_under_the_archive_leaves_nothing_there() {
    let disk = SmallDisk::new(300);
    let target = disk.path().join("out.tar");
    let output = format!("docker-archive:{}", target.display());
    let program = TestEnvironment::get().fixture("program");
    let mut command = B2iCommand::new().args(["build", "--output", &output]).arg(&program);
    assert_fails(
        &mut command,
        7,
        &["no space left", &disk.path().display().to_string(), "hint: free some space"],
    );
    assert_eq!(files(disk.path()), [""; 0]);

    // An older archive of that name stays.
    std::fs::write(&target, "old").expect("writes");
    assert_fails(&mut command, 7, &["no space left"]);
    assert_eq!(files(disk.path()), ["out.tar"]);
    assert_eq!(std::fs::read_to_string(&target).expect("reads"), "old");

    // What is written in place is a full disk, too.
    let mut device = B2iCommand::new().args(["build", "--output", "docker-archive:/dev/full"]).arg(&program);
    assert_fails(&mut device, 7, &["no space left", "/dev"]);
}

#[test]
fn a_full_disk_under_a_layout_leaves_nothing_there() {
    let disk = SmallDisk::new(300);
    let program = TestEnvironment::get().fixture("program");
    for path in ["out", "new/out", ""] {
        let output = format!("oci:{}", disk.path().join(path).display());
        let mut command = B2iCommand::new().args(["build", "--output", &output]).arg(&program);
        assert_fails(&mut command, 7, &["no space left", "hint: free some space"]);
        assert_eq!(files(disk.path()), [""; 0], "{path}");
    }
}

#[test]
fn a_full_disk_under_the_cache_leaves_nothing_there() {
    let program = std::fs::read(TestEnvironment::get().fixture("program")).expect("reads");
    let server = FaultServer::start(move |_, to| answer(to, "200 OK", &[], &program));
    let disk = SmallDisk::new(300);
    let shown = disk.path().display().to_string();
    let download = server.url("/program");
    for (source, stdin) in [(download.as_str(), ""), ("-", "\u{7f}ELF")] {
        let mut input = stdin.as_bytes().to_vec();
        input.resize(700_000, 0);
        let mut command = B2iCommand::new()
            .env("XDG_CACHE_HOME", disk.path())
            .args(["build", source, "--output", "docker-archive:out.tar"])
            .stdin(input);
        assert_fails(&mut command, 3, &["no space left", &shown, "hint: free some space"]);
        assert_clean(&disk.path().join("b2i"));
        assert_eq!(files(&disk.path().join("b2i/downloads-v1/blobs/sha256")), [""; 0]);
    }

    // A member of an archive needs room for itself.
    let archive = TestEnvironment::get().fixture("archives/tool.tar.xz");
    let mut command = B2iCommand::new()
        .env("XDG_CACHE_HOME", disk.path())
        .args(["build", "--output", "docker-archive:out.tar"])
        .arg(archive);
    assert_fails(&mut command, 3, &["no space left", &shown, "hint: free some space"]);
    assert_clean(&disk.path().join("b2i"));
}
