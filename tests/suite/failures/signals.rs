//! Signals at each stage of a build: the exit code says so, and nothing is left behind.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::kills::next_run;
use super::{assert_clean, files, held_by, leases};
use crate::environment::{B2iCommand, Daemon, DaemonGate, Hold, OwnedImage, RunningB2i, TestEnvironment};
use crate::fault_server::{FaultServer, head};

/// A server that sends half of a program and then nothing more.
pub(super) fn stalling_server() -> FaultServer {
    FaultServer::start(|_, to| {
        head(to, "200 OK", &[("Content-Length", "2000000"), ("ETag", "\"1\"")])?;
        to.write_all(&[0x7f; 1_000_000])?;
        to.flush()?;
        std::thread::sleep(Duration::from_secs(600));
        Ok(())
    })
}

/// A program that takes a while to write: the static one with many zeros behind it.
pub(super) fn large_program(command: &B2iCommand) {
    let path = command.directory().join("work/large");
    std::fs::copy(TestEnvironment::get().fixture("program"), &path).expect("copies");
    let file = std::fs::OpenOptions::new().append(true).open(path).expect("opens");
    file.set_len(1 << 30).expect("a sparse file can be made");
}

/// Waits until the lease of `command`'s run is there, and returns it.
pub(super) fn lease_of(command: &B2iCommand, running: &mut RunningB2i) -> String {
    running.wait_until("a lease", |_| !leases(&command.cache()).is_empty());
    leases(&command.cache()).remove(0)
}

/// How long b2i waits, after a signal, for the daemon to finish what it was asked last; as long again for it to remove
/// what there is. A daemon that is slower is left alone, and the next run does what is left.
const PATIENCE: Duration = Duration::from_secs(4);

/// Sends the signal, checks the end, and says whether the daemon was too slow for a clean-up.
fn stopped(command: &B2iCommand, running: RunningB2i, signal: Signal, context: &str) -> bool {
    let from = Instant::now();
    running.signal(signal);
    let output = running.wait();
    let (code, name) = if signal == Signal::INT { (130, "SIGINT") } else { (143, "SIGTERM") };
    assert_eq!(output.code, Some(code), "{context}: {}", output.stderr);
    let is_told = ["error: ", "\"message\":\""]
        .iter()
        .any(|before| output.stderr.contains(&format!("{before}stopped by {name}")));
    assert!(is_told, "{context}: {}", output.stderr);
    assert_eq!(output.stdout, "", "{context}");
    let is_left = !leases(&command.cache()).is_empty();
    assert!(!is_left || from.elapsed() >= PATIENCE, "{context}: {}", output.stderr);
    is_left
}

/// Sends the signal and checks the end.
fn stop(command: &B2iCommand, running: RunningB2i, signal: Signal, context: &str) {
    assert!(!stopped(command, running, signal, context), "{context}: the lease is left");
    assert_clean(&command.cache());
}

/// Lets the next run do what a slow daemon had no time for.
fn finish(command: &B2iCommand, daemon: &Daemon, is_left: bool, context: &str) {
    if is_left {
        let mut next = next_run(&command.directory().join("cache")).daemon(daemon);
        assert_eq!(next.run().code, Some(0), "{context}");
    }
    assert_clean(&command.cache());
}

#[test]
fn during_a_download() {
    let server = stalling_server();
    for signal in [Signal::INT, Signal::TERM] {
        let url = server.url("/program");
        let command = B2iCommand::new().args(["build", &url, "--output", "docker-archive:out.tar"]);
        let mut running = command.spawn();
        running.wait_until("the first half", |_| temporary_bytes(&command) >= 500_000);
        stop(&command, running, signal, "download");
        assert_eq!(files(&command.directory().join("work")), [""; 0]);
    }
}

/// How much lies in the temporary part of the cache.
fn temporary_bytes(command: &B2iCommand) -> u64 {
    fn size(path: &std::path::Path) -> u64 {
        let entries = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
        let sizes = entries.map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        });
        sizes.sum()
    }
    size(&command.cache().join("tmp"))
}

/// A build with a foreign builder image behind a gate.
pub(super) fn build_behind(daemon: &Daemon, host: &str, builder: &str, image: &OwnedImage) -> B2iCommand {
    let environment = TestEnvironment::get();
    B2iCommand::new()
        .daemon(daemon)
        .env("DOCKER_HOST", host)
        .args(["build", "-v", "--builder", &environment.image(builder), "--tag", image.reference()])
        .arg(environment.fixture("program"))
}

#[test]
fn while_the_script_runs() {
    for daemon in TestEnvironment::get().daemons() {
        for (signal, builder) in
            [(Signal::INT, "s2i-foreign:hangs"), (Signal::TERM, "s2i-foreign:ignores-term")]
        {
            let image = daemon.owned_image("signals");
            let command = build_behind(&daemon, daemon.host(), builder, &image);
            let mut running = command.spawn();
            running.wait_for("| waiting for a day");
            let lease = lease_of(&command, &mut running);
            assert_ne!(held_by(&daemon, &lease), [""; 0], "the script's container is marked");
            let is_left = stopped(&command, running, signal, builder);
            finish(&command, &daemon, is_left, builder);
            assert_eq!(held_by(&daemon, &lease), [""; 0], "{builder} on {}", daemon.name);
            assert_eq!(daemon.inspect_image(image.reference()), None);
        }
    }
}

/// Requests to the daemon at which a run is stopped, and what is held back of them: nothing where the daemon makes
/// something while b2i is told to stop.
const STAGES: [(&str, Hold); 6] = [
    ("/containers/create", Hold::Nothing),
    ("/archive?", Hold::Answer),
    ("/start", Hold::Answer),
    ("/commit?", Hold::Nothing),
    ("/images/load", Hold::Nothing),
    ("/tag?", Hold::Request),
];

/// What there is on Podman beside: the export of the change, and loading what the script made of it.
const STAGES_OF_PODMAN: [(&str, Hold); 2] = [("/get", Hold::Answer), (":committed", Hold::Nothing)];

/// The stages of a daemon.
pub(super) fn stages(daemon: &Daemon) -> impl Iterator<Item = (&'static str, Hold)> {
    let podmans = STAGES_OF_PODMAN.into_iter().filter(|_| daemon.name == "podman");
    STAGES.into_iter().chain(podmans)
}

#[test]
fn at_each_request_to_the_daemon() {
    for daemon in TestEnvironment::get().daemons() {
        for (number, (request, hold)) in stages(&daemon).enumerate() {
            let context = format!("{request} {hold:?} on {}", daemon.name);
            let image = daemon.owned_image("signals");
            let gate = DaemonGate::new(&daemon, request, hold);
            let command = build_behind(&daemon, &gate.host(), "s2i-foreign:1", &image);
            let (running, lease) = gate.reach(&command, &context);
            let signal = if number % 2 == 0 { Signal::INT } else { Signal::TERM };
            let is_left = stopped(&command, running, signal, &context);
            gate.wait_until_settled();
            finish(&command, &daemon, is_left, &context);
            assert_eq!(held_by(&daemon, &lease), [""; 0], "{context}");
            assert_eq!(daemon.inspect_image(image.reference()), None, "{context}");
        }
    }
}

#[test]
fn while_a_large_layer_goes_into_the_daemon() {
    for (daemon, signal) in TestEnvironment::get().daemons().into_iter().zip([Signal::INT, Signal::TERM]) {
        let image = daemon.owned_image("signals");
        let command = B2iCommand::new().daemon(&daemon).args(["build", "large", "--tag", image.reference()]);
        let command = command.args(["--progress", "json"]);
        large_program(&command);
        let mut running = command.spawn();
        running.wait_for("\"event\":\"step-progress\",\"step\":\"write\"");
        let lease = lease_of(&command, &mut running);
        let is_left = stopped(&command, running, signal, daemon.name);
        finish(&command, &daemon, is_left, daemon.name);
        assert_eq!(held_by(&daemon, &lease), [""; 0], "{}", daemon.name);
        assert_eq!(daemon.inspect_image(image.reference()), None);
    }
}

#[test]
fn while_an_archive_is_written() {
    for (signal, kind) in
        [(Signal::INT, "docker-archive"), (Signal::TERM, "docker-archive"), (Signal::TERM, "oci-archive")]
    {
        let output = format!("{kind}:out/image.tar");
        let command = B2iCommand::new().args(["build", "large", "--output", &output]);
        large_program(&command);
        let out = command.directory().join("work/out");
        std::fs::create_dir(&out).expect("writes");
        std::fs::write(out.join("image.tar"), "old").expect("writes");
        let mut running = command.spawn();
        running.wait_until("a temporary file", |_| files(&out).len() == 2);
        stop(&command, running, signal, "archive");
        assert_eq!(files(&out), ["image.tar"]);
        assert_eq!(std::fs::read_to_string(out.join("image.tar")).expect("reads"), "old");
    }
}

#[test]
fn while_a_layout_is_written() {
    // A new directory, one below another new one, an empty one, and one with an image.
    for (output, before) in [("out", ""), ("new/out", ""), ("out", "empty"), ("out", "image")] {
        let context = format!("{output} {before}");
        let command = B2iCommand::new().args(["build", "large", "--output", &format!("oci:{output}")]);
        large_program(&command);
        let work = command.directory().join("work");
        let program = TestEnvironment::get().fixture("program");
        match before {
            "empty" => std::fs::create_dir(work.join("out")).expect("creates"),
            "image" => {
                let mut first = B2iCommand::new().env("XDG_CACHE_HOME", command.directory().join("cache"));
                let output = format!("oci:{}", work.join("out").display());
                first = first.args(["build", "--output", &output]).arg(&program);
                assert_eq!(first.run().code, Some(0), "{context}");
            }
            _ => {}
        }
        let there = all_below(&work);
        let mut running = command.spawn();
        running
            .wait_until("a temporary file", |_| all_below(&work).iter().any(|path| path.contains("/.blob-")));
        stop(&command, running, Signal::INT, &context);
        assert_eq!(all_below(&work), there, "{context}");
    }
}

/// The paths of everything below a directory, sorted.
fn all_below(directory: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().filter_map(Result::ok) {
            found.push(entry.path().display().to_string());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_second_signal_ends_at_once_and_the_next_run_cleans_up() {
    let daemon = TestEnvironment::get().docker();
    let image = daemon.owned_image("signals");
    // The daemon stops answering: the clean-up waits for it.
    let gate = DaemonGate::new(&daemon, "/wait?", Hold::Everything);
    let command = build_behind(&daemon, &gate.host(), "s2i-foreign:hangs", &image);
    let mut running = command.spawn();
    running.wait_until("the script", |_| gate.is_reached());
    let lease = lease_of(&command, &mut running);
    running.signal(Signal::INT);
    running.wait_for("interrupt again to exit at once");
    let from = Instant::now();
    running.signal(Signal::INT);
    let output = running.wait();
    assert_eq!(output.code, Some(130), "{}", output.stderr);
    // By itself, the clean-up would have given up after eight seconds.
    let took = from.elapsed();
    assert!(took < Duration::from_secs(6), "took {took:?}");
    assert_ne!(held_by(&daemon, &lease), [""; 0], "nothing could be removed");

    let mut next = build_behind(&daemon, daemon.host(), "s2i-foreign:1", &image)
        .env("XDG_CACHE_HOME", command.directory().join("cache"));
    assert_eq!(next.run().code, Some(0));
    assert_eq!(held_by(&daemon, &lease), [""; 0]);
    assert_clean(&command.cache());
}

#[test]
fn a_daemon_that_is_gone_does_not_keep_the_run_from_ending() {
    let daemon = TestEnvironment::get().docker();
    let image = daemon.owned_image("signals");
    let gate = DaemonGate::new(&daemon, "/wait?", Hold::Everything);
    let command = build_behind(&daemon, &gate.host(), "s2i-foreign:hangs", &image);
    let mut running = command.spawn();
    running.wait_until("the script", |_| gate.is_reached());
    let lease = lease_of(&command, &mut running);
    running.signal(Signal::TERM);
    let output = running.wait();
    assert_eq!(output.code, Some(143), "{}", output.stderr);
    // What it could not remove it leaves to the next run, which knows of it by the lease.
    assert_eq!(leases(&command.cache()), [lease.as_str()]);
    let mut next = build_behind(&daemon, daemon.host(), "s2i-foreign:1", &image)
        .env("XDG_CACHE_HOME", command.directory().join("cache"));
    assert_eq!(next.run().code, Some(0));
    assert_eq!(held_by(&daemon, &lease), [""; 0]);
    assert_clean(&command.cache());
}
