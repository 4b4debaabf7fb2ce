//! `kill -9` at random moments of a push of several platforms: a tag is there with everything, or not at all, and the
//! next run works.

use std::time::Instant;

use super::super::interrupted::{random_part, wait_until_gone};
use super::*;
use crate::registry::noise;
use crate::soak::Soak;

/// Executables for two platforms, large enough that a push takes its time.
fn large_programs() -> Programs {
    let programs = Programs::new();
    for (seed, path) in (21..).zip(programs.both()) {
        let program = std::fs::read(&path).expect("a fixture");
        std::fs::write(path, [program, noise(seed, 4 << 20)].concat()).expect("writes");
    }
    programs
}

/// Whether the tag means something; then all of it has to be there.
fn is_published(name: &str) -> bool {
    let place = format!("docker://{name}");
    let asked = std::process::Command::new("skopeo")
        .args(["inspect", "--raw", "--tls-verify=false", &place])
        .output()
        .expect("skopeo starts");
    if !asked.status.success() {
        let error = String::from_utf8_lossy(&asked.stderr);
        assert!(error.contains("manifest unknown") || error.contains("name unknown"), "{error}");
        return false;
    }
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let copy = format!("dir:{}", directory.path().join("copy").display());
    skopeo(&["copy", "--quiet", "--all", "--src-tls-verify=false", &place, &copy]);
    assert_eq!(platforms(&place), [AMD64, ARM64]);
    true
}

#[test]
fn a_push_of_an_index_that_is_killed() {
    let soak = Soak::of("kill-index", 13, 8);
    let (directory, programs) =
        (tempfile::tempdir().expect("a temporary directory can be made"), large_programs());
    let cache = directory.path().join("cache");
    let command = |name: &str| {
        B2iCommand::without_daemon()
            .env("XDG_CACHE_HOME", &cache)
            .args(["build", "--push", "--no-memo", "--tag", name])
            .args(programs.both())
    };
    let from = Instant::now();
    let name = result_name("interrupted-index");
    let expected = printed_digest(&command(&name).run(), &name);
    let whole = from.elapsed();
    let (mut published, mut absent) = (0, 0);
    for seed in soak.seeds() {
        // A repository that has nothing yet, so that every blob is on the way.
        let name = result_name("interrupted-index");
        let running = command(&name).spawn();
        std::thread::sleep(random_part(whole, &seed));
        running.kill();
        wait_until_gone(directory.path());
        *(if is_published(&name) { &mut published } else { &mut absent }) += 1;
        assert_eq!(printed_digest(&command(&name).run(), &name), expected);
        assert!(is_published(&name));
        assert_clean(&cache.join("b2i"));
    }
    soak.conclude(&format!(
        "after the kill {published} tags had everything and {absent} were not there; every next run was good"
    ));
}
