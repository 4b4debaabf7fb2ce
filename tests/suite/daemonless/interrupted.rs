//! `kill -9` at random moments of a push and of a sandbox's build: the next run works, and nothing stays behind.

use std::time::{Duration, Instant};

use super::*;
use crate::registry::noise;
use crate::soak::{Seed, Soak};

/// Some run of b2i, with a cache of its own or the one of another.
fn command(cache: &Path, name: &str, artifact: &Path, builder: Option<&str>) -> B2iCommand {
    let command = B2iCommand::without_daemon()
        .env("XDG_CACHE_HOME", cache)
        .args(["build", "--push", "--no-memo", "--tag", name])
        .arg(artifact);
    match builder {
        Some(builder) => command.args(["--builder", builder]),
        None => command,
    }
}

/// Processes that see a mount below `directory`, and the mounts that this process sees there.
fn traces(directory: &Path) -> Vec<String> {
    let wanted = directory.display().to_string();
    let processes = std::fs::read_dir("/proc").expect("it is there").filter_map(|entry| {
        let path = entry.expect("reads").path();
        path.file_name()?.to_str()?.parse::<u32>().ok()?;
        // A process may end at any moment.
        let mounts = std::fs::read_to_string(path.join("mountinfo")).unwrap_or_default();
        let words = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        (mounts.contains(&wanted) || words.contains(&wanted))
            .then(|| format!("{}: {words:?}", path.display()))
    });
    processes.collect()
}

pub(super) fn wait_until_gone(directory: &Path) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let left = traces(directory);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "left behind: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A moment between the start and the end of something that takes so long.
pub(super) fn random_part(whole: Duration, seed: &Seed) -> Duration {
    let random = noise(seed.number, 2);
    let part = u32::from(random[0]) * 256 + u32::from(random[1]);
    whole * part / 65536
}

/// Kills runs between their start and their end, each followed by one that has to succeed.
fn kills(soak: &Soak, builder: Option<&str>) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let artifact = directory.path().join("program");
    let program = std::fs::read(TestEnvironment::get().fixture("program")).expect("a fixture");
    std::fs::write(&artifact, [program, noise(11, 4 << 20)].concat()).expect("writes");
    let name = result_name("interrupted");
    let run = |cache: &Path| {
        let mut command = command(cache, &name, &artifact, builder);
        let digest = printed_digest(&command.run(), &name);
        assert_eq!(manifest_digest(&format!("docker://{name}")), digest);
        assert_clean(&cache.join("b2i"));
        digest
    };
    let from = Instant::now();
    let first = directory.path().join("cache-first");
    let expected = run(&first);
    let whole = from.elapsed();
    let (mut with_work_left, mut ended) = (0, 0);
    for seed in soak.seeds() {
        // Every other run begins with an empty cache, and so unpacks what it needs.
        let cache = match seed.number % 2 {
            0 => directory.path().join(format!("cache-{}", seed.number)),
            _ => first.clone(),
        };
        let moment = random_part(whole, &seed);
        let running = command(&cache, &name, &artifact, builder).spawn();
        std::thread::sleep(moment);
        running.kill();
        wait_until_gone(directory.path());
        let is_left = !files(&cache.join("b2i/leases")).is_empty();
        *(if is_left { &mut with_work_left } else { &mut ended }) += 1;
        let digest = run(&cache);
        // A script leaves files of its own time.
        assert!(builder.is_some() || digest == expected, "{digest} after {moment:?}, not {expected}");
        wait_until_gone(directory.path());
        if cache != first {
            // Room on the disk, as far as this user may.
            drop(std::fs::remove_dir_all(&cache));
        }
    }
    let said = "every next run was good and left nothing; the killed one had left something in";
    soak.conclude(&format!("{said} {with_work_left}, and had not begun or was done in {ended}"));
}

#[test]
fn a_push_that_is_killed() {
    kills(&Soak::of("kill-push", 11, 10), None);
}

#[test]
fn a_sandbox_that_is_killed() {
    let builder = PushedBase::new("s2i-kubesphere:1");
    kills(&Soak::of("kill-sandbox", 12, 10), Some(&builder.name));
}

#[test]
fn a_script_ends_with_the_run_that_is_killed() {
    let builder = PushedBase::new("s2i-foreign:hangs");
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let name = result_name("interrupted");
    let artifact = TestEnvironment::get().fixture("program");
    let command = command(&directory.path().join("cache"), &name, &artifact, Some(&builder.name));
    let mut running = command.spawn();
    running.wait_for("| waiting for a day");
    assert!(!traces(directory.path()).is_empty(), "the sandbox's mounts are seen while it runs");
    running.kill();
    wait_until_gone(directory.path());
    let next = B2iCommand::without_daemon()
        .env("XDG_CACHE_HOME", directory.path().join("cache"))
        .args(["build", "--output", "oci:next"])
        .arg(&artifact)
        .run();
    assert_eq!(next.code, Some(0), "{}", next.stderr);
    assert_clean(&directory.path().join("cache/b2i"));
}
