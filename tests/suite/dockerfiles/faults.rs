//! Writing a Dockerfile that is cut short leaves nothing half-made, and what was there as it was.

use std::path::Path;

use crate::environment::{B2iCommand, SmallDisk, TestEnvironment};
use crate::failures::{assert_clean, assert_fails, files};

/// A command that writes a Dockerfile of sources, of so many bytes, to `target`.
fn of_sources(target: &str, size: u64) -> B2iCommand {
    let builder = TestEnvironment::get().image("s2i-sclorg:1");
    let command = B2iCommand::new().daemon(&TestEnvironment::get().docker()).args([
        "build",
        "sources",
        "--source-builder",
        &builder,
        "--dockerfile",
        target,
    ]);
    let sources = command.directory().join("work/sources");
    std::fs::create_dir(&sources).expect("makes");
    let large = std::fs::File::create(sources.join("large")).expect("makes");
    // A hole, but for whoever copies it.
    large.set_len(size).expect("a file may have holes");
    command
}

/// More than a small disk takes.
const LARGE: u64 = 200 << 20;

/// So much that nobody has copied it before somebody else has seen that it was begun.
const ENDLESS: u64 = 16 << 30;

#[test]
fn a_kill_leaves_what_was_there() {
    for before in
        [None, Some("# Written by b2i, which replaces this directory when it is told to write here again.\n")]
    {
        let command = of_sources("out", ENDLESS);
        let work = command.directory().join("work");
        if let Some(text) = before {
            std::fs::create_dir(work.join("out")).expect("makes");
            std::fs::write(work.join("out/Dockerfile"), text).expect("writes");
        }
        let mut running = command.spawn();
        let is_half = |name: &String| name != "sources" && name != "out";
        running.wait_until("a part of the large file", |_| {
            let half = files(&work).into_iter().find(is_half);
            let large = half.map(|half| work.join(half).join("upload/src/large").metadata());
            large.is_some_and(|large| large.is_ok_and(|large| large.len() > 0))
        });
        running.kill();
        assert!(files(&work).iter().any(is_half), "a killed run cleans nothing up");
        let now = std::fs::read_to_string(work.join("out/Dockerfile")).ok();
        assert_eq!(now.as_deref(), before, "nothing is replaced before all is there");
        // The next run tidies up, and writes all of it.
        let mut next = B2iCommand::new()
            .daemon(&TestEnvironment::get().docker())
            .env("XDG_CACHE_HOME", command.directory().join("cache"))
            .current_dir(&work)
            .args(["build", "--dockerfile", "next"])
            .arg(TestEnvironment::get().fixture("program"));
        assert_eq!(next.run().code, Some(0));
        assert_clean(&command.cache());
        assert!(
            files(&work).iter().all(|name| ["sources", "out", "next"].contains(&name.as_str())),
            "{:?}",
            files(&work)
        );
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names = files(directory);
    names.sort();
    names
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    let disk = SmallDisk::new(2000);
    let target = disk.path().join("out");
    let mut fails = of_sources(&target.display().to_string(), LARGE);
    assert_fails(&mut fails, 7, &["no space left", "hint: free some space"]);
    assert_eq!(files(disk.path()), [""; 0]);

    let program = TestEnvironment::get().fixture("program");
    let mut small = B2iCommand::without_daemon().args(["build", "--dockerfile"]).arg(&target).arg(program);
    let written = small.run();
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    let before = (names(&target), std::fs::read(target.join("Dockerfile")).expect("readable"));
    assert_fails(&mut fails, 7, &["no space left"]);
    assert_eq!(files(disk.path()), ["out"]);
    assert_eq!((names(&target), std::fs::read(target.join("Dockerfile")).expect("readable")), before);
}

#[test]
fn the_directory_that_the_user_stands_in_is_not_replaced() {
    for target in [".", "../work"] {
        let mut command = B2iCommand::without_daemon().args(["build", "--dockerfile", target]);
        command = command.arg(TestEnvironment::get().fixture("program"));
        let output = command.run();
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{target}: {}", output.stderr);
        assert!(output.stderr.contains("working directory"), "{target}: {}", output.stderr);
        assert_eq!(files(&command.directory().join("work")), [""; 0], "{target}");
        assert_clean(&command.cache());
    }
}
