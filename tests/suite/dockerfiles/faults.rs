//! Writing a Dockerfile that is cut short leaves nothing half-made, and what was there as it was.

use std::path::Path;

use crate::environment::{B2iCommand, SmallDisk, TestEnvironment};
use crate::failures::{assert_clean, assert_fails, files};

/// A command that writes a Dockerfile of sources, `LARGE` bytes of them, to `out`.
fn of_sources(target: &str) -> B2iCommand {
    sources_for(B2iCommand::new(), target)
}

fn sources_for(command: B2iCommand, target: &str) -> B2iCommand {
    let builder = TestEnvironment::get().image("s2i-sclorg:1");
    let command = command.daemon(&TestEnvironment::get().docker()).args([
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
    large.set_len(LARGE).expect("a file may have holes");
    command
}

const LARGE: u64 = 200 << 20;

#[test]
fn a_kill_leaves_what_was_there() {
    for before in
        [None, Some("# Written by b2i, which replaces this directory when it is told to write here again.\n")]
    {
        // The system kills it in the middle of the large file: it may write no more than half of that.
        let limit = format!("ulimit -c 0; ulimit -f {}; exec \"$@\"", LARGE / 2 / 512);
        let mut command = sources_for(B2iCommand::through(&["sh", "-c", &limit, "sh"]), "out");
        let work = command.directory().join("work");
        if let Some(text) = before {
            std::fs::create_dir(work.join("out")).expect("makes");
            std::fs::write(work.join("out/Dockerfile"), text).expect("writes");
        }
        let output = command.run();
        assert_eq!(output.code, None, "a signal ends it: {}", output.stderr);
        let is_half = |name: &String| name != "sources" && name != "out";
        let half = files(&work).into_iter().find(is_half).expect("a directory that is half written");
        let written = work.join(half).join("upload/src/large").metadata().expect("the large file").len();
        assert_eq!(written, LARGE / 2);
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
    let mut fails = of_sources(&target.display().to_string());
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
