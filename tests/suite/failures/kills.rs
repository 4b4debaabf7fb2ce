//! `kill -9` at each stage: the next run with the same cache removes what is left, and nothing of a run that lives.

use std::path::Path;

use rustix::process::Signal;

use super::signals::{build_behind, large_program, lease_of, stages, stalling_server};
use super::{assert_clean, files, held_by, leases};
use crate::environment::{B2iCommand, DaemonGate, Hold, TestEnvironment};

/// A run that only has to happen.
pub(super) fn next_run(cache: &Path) -> B2iCommand {
    B2iCommand::new()
        .daemon(&TestEnvironment::get().docker())
        .env("XDG_CACHE_HOME", cache)
        .args(["build", "--output", "docker-archive:next.tar"])
        .arg(TestEnvironment::get().fixture("program"))
}

#[test]
fn during_a_download_or_while_an_archive_is_written() {
    let server = stalling_server();
    let url = server.url("/program");
    let download = B2iCommand::new().args(["build", &url, "--output", "docker-archive:out.tar"]);
    let archive = B2iCommand::new().args(["build", "large", "--output", "docker-archive:out.tar"]);
    large_program(&archive);
    for (command, stage) in [(download, "download"), (archive, "archive")] {
        let work = command.directory().join("work");
        let mut running = command.spawn();
        let lease = lease_of(&command, &mut running);
        running.wait_until(stage, |_| match stage {
            "download" => !files(&command.cache().join("tmp").join(&lease)).is_empty(),
            _ => files(&work).iter().any(|name| name.ends_with(".partial")),
        });
        running.kill();
        assert_eq!(leases(&command.cache()), [lease], "{stage}: a killed run cleans nothing up");
        assert_eq!(next_run(&command.directory().join("cache")).run().code, Some(0));
        assert_clean(&command.cache());
        assert!(files(&work).iter().all(|name| name == "large"), "{stage}: {:?}", files(&work));
    }
}

#[test]
fn at_each_request_to_the_daemon() {
    for daemon in TestEnvironment::get().daemons() {
        // Somebody who is killed after the daemon has answered does not know of the answer either.
        let answered = ["/containers/create", "/commit?"].map(|request| (request, Hold::Answer));
        for (request, hold) in stages(&daemon).chain(answered) {
            let context = format!("{request} {hold:?} on {}", daemon.name);
            let image = daemon.owned_image("kills");
            let gate = DaemonGate::new(&daemon, request, hold);
            let command = build_behind(&daemon, &gate.host(), "s2i-foreign:1", &image);
            let (running, lease) = gate.reach(&command, &context);
            running.kill();
            gate.wait_until_settled();
            let mut next = next_run(&command.directory().join("cache")).daemon(&daemon);
            assert_eq!(next.run().code, Some(0), "{context}");
            assert_eq!(held_by(&daemon, &lease), [""; 0], "{context}");
            assert_eq!(daemon.inspect_image(image.reference()), None, "{context}");
            assert_clean(&command.cache());
        }
    }
}

#[test]
fn a_run_that_lives_keeps_what_is_its_own() {
    for daemon in TestEnvironment::get().daemons() {
        let cache = tempfile::tempdir().expect("a temporary directory can be made");
        let start = || {
            let image = daemon.owned_image("kills");
            let command = build_behind(&daemon, daemon.host(), "s2i-foreign:hangs", &image)
                .env("XDG_CACHE_HOME", cache.path());
            let mut running = command.spawn();
            running.wait_for("| waiting for a day");
            (command, running)
        };
        let shared = cache.path().join("b2i");
        let (_dead_command, dead) = start();
        let dead_lease = leases(&shared).remove(0);
        let (_live_command, live) = start();
        let live_lease =
            leases(&shared).into_iter().find(|lease| *lease != dead_lease).expect("a second one");
        let lives = held_by(&daemon, &live_lease);
        dead.kill();
        assert_eq!(next_run(cache.path()).daemon(&daemon).run().code, Some(0), "{}", daemon.name);
        assert_eq!(held_by(&daemon, &dead_lease), [""; 0], "{}", daemon.name);
        assert_eq!(held_by(&daemon, &live_lease), lives, "{}", daemon.name);
        assert_eq!(leases(&shared), [live_lease.as_str()]);
        // Another cache's leases are nobody's business either.
        let other = tempfile::tempdir().expect("a temporary directory can be made");
        assert_eq!(next_run(other.path()).daemon(&daemon).run().code, Some(0));
        assert_eq!(held_by(&daemon, &live_lease), lives, "{}", daemon.name);
        live.signal(Signal::TERM);
        assert_eq!(live.wait().code, Some(143));
        assert_eq!(held_by(&daemon, &live_lease), [""; 0], "{}", daemon.name);
        assert_clean(&shared);
    }
}
