//! Defects of S2I's own program that have no better place: what it leaves behind after a signal, stores several times,
//! prints where nobody looks for it, or takes from a command line in silence.

use rustix::process::Signal;
use serde_json::Value;

use super::made_builders::{launcher, without_shell};
use super::{Image, Place, Sources, b2i_build};
use crate::environment::{B2iCommand, DaemonGate, Hold, RunningB2i, TestEnvironment};
use crate::failures::{assert_clean, files, held_by};
use crate::source::git_server::{GitServer, Kind};
use crate::source::repository::Repository;

/// Both command lines, from these sources to this image.
fn both(source: &str, image: &str) -> [B2iCommand; 2] {
    let environment = TestEnvironment::get();
    let builder = environment.image("s2i-kubesphere:1");
    let command = || B2iCommand::new().daemon(&environment.docker());
    [
        command().args(["build", "--source-builder", &builder, "--tag", image, source]),
        command().args(["s2i", "build", source, &builder, image]),
    ]
}

/// Sends the signal, and checks the code and that nothing is left on this machine.
fn stop(command: &B2iCommand, running: RunningB2i, signal: Signal, context: &str) {
    running.signal(signal);
    let output = running.wait();
    let code = if signal == Signal::INT { 130 } else { 143 };
    assert_eq!(output.code, Some(code), "{context}: {}", output.stderr);
    assert_clean(&command.cache());
    assert_eq!(files(&command.directory().join("tmp")), [""; 0], "{context}");
}

#[test]
fn a_signal_leaves_neither_sources_nor_containers() {
    let docker = TestEnvironment::get().docker();
    let sources = Sources::new().with_script(".s2i/bin/assemble", "echo waits; sleep 1000");
    let source = sources.path().display().to_string();
    for signal in [Signal::INT, Signal::TERM] {
        let image = docker.owned_image("signals");
        for command in both(&source, image.reference()) {
            let mut running = command.spawn();
            running.wait_for("waits");
            let lease = files(&command.cache().join("leases")).remove(0);
            assert_ne!(held_by(&docker, &lease), [""; 0], "it was there");
            stop(&command, running, signal, "assemble");
            assert_eq!(held_by(&docker, &lease), [""; 0], "{signal:?}");
            assert_eq!(docker.inspect_image(image.reference()), None, "{signal:?}");
        }
    }
}

#[test]
fn a_signal_while_sources_are_fetched_leaves_none() {
    let docker = TestEnvironment::get().docker();
    let empty = tempfile::tempdir().expect("a temporary directory can be made");
    let server = GitServer::start(empty.path(), Kind::Silent);
    let image = docker.owned_image("signals");
    for command in both(&server.url("shop.git"), image.reference()) {
        let mut running = command.spawn();
        running.wait_until("a lease", |_| !files(&command.cache().join("leases")).is_empty());
        // git has asked, and waits.
        std::thread::sleep(std::time::Duration::from_secs(1));
        stop(&command, running, Signal::TERM, "git");
    }
}

#[test]
fn a_commit_that_has_begun_when_a_signal_comes_is_whole_and_its_container_goes() {
    let docker = TestEnvironment::get().docker();
    let sources = Sources::new().with_script(".s2i/bin/assemble", "cp /tmp/src/program .; echo 1 > last");
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    let place = Place::Daemon(docker.clone());
    let name = docker.owned_image("signals");
    let gate = DaemonGate::new(&docker, "/commit?", Hold::Answer);
    let command = b2i_build(&place, &builder, &sources)
        .args(["--tag", name.reference()])
        .env("DOCKER_HOST", gate.host());
    let (running, lease) = gate.reach(&command, "commit");
    running.signal(Signal::TERM);
    drop(gate);
    let output = running.wait();
    assert_eq!(output.code, Some(143), "{}", output.stderr);
    let _ = docker.inspect_image(name.reference()).map(|_| {
        let image = Image { daemon: docker.clone(), name, messages: String::new() };
        assert_eq!(image.shell("cat last"), "1", "an image that has its name is whole");
    });
    let mut next = B2iCommand::new()
        .daemon(&docker)
        .env("XDG_CACHE_HOME", command.directory().join("cache"))
        .args(["build", "--output", "docker-archive:next.tar"])
        .arg(TestEnvironment::get().fixture("program"));
    assert_eq!(next.run().code, Some(0));
    assert_eq!(held_by(&docker, &lease), [""; 0]);
}

#[test]
fn sources_are_stored_once_and_the_builder_is_named_as_it_was_asked_for() {
    let size = |daemon: &crate::environment::Daemon, image: &str| {
        daemon.inspect_image(image).expect("there")["Size"].as_u64().expect("a number")
    };
    let sources = Sources::new();
    let mut bytes = std::fs::read(sources.path().join("program")).expect("reads");
    bytes.extend((0..20_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8));
    std::fs::write(sources.path().join("program"), &bytes).expect("writes");
    let docker = TestEnvironment::get().docker();
    let builder = without_shell(&docker, launcher());
    let place = Place::Daemon(docker.clone());
    let image = Image::build(&place, builder.reference(), &sources, &[]);
    let more = size(&docker, image.name.reference()) - size(&docker, builder.reference());
    assert!(more < bytes.len() as u64 + 100_000, "{more} bytes for sources of {}", bytes.len());
    let named = image.label("io.openshift.s2i.build.image");
    assert_eq!(named, format!("docker.io/{}", builder.reference()));
    assert_eq!(image.label("org.opencontainers.image.base.name"), named);
}

#[test]
fn the_result_is_on_the_standard_output_and_the_script_is_not() {
    let sources =
        Sources::new().with_script(".s2i/bin/assemble", "cp /tmp/src/program .; echo of the script");
    for daemon in TestEnvironment::get().daemons() {
        let builder = TestEnvironment::get().image("s2i-kubesphere:1");
        let place = Place::Daemon(daemon.clone());
        let name = daemon.owned_image("result");
        let mut command = b2i_build(&place, &builder, &sources).args(["--tag", name.reference()]);
        let output = command.run();
        let id =
            daemon.inspect_image(name.reference()).expect("there")["Id"].as_str().expect("an ID").to_owned();
        let id = format!("sha256:{}", id.trim_start_matches("sha256:"));
        assert_eq!(output.stdout, format!("{} {id}\n", name.reference()), "{}", daemon.name);
        assert!(output.stderr.contains("of the script"));
        let mut command =
            b2i_build(&place, &builder, &sources).args(["--tag", name.reference(), "--format", "json"]);
        let output = command.run();
        let result: Value = serde_json::from_str(&output.stdout).expect("JSON and nothing else");
        let id =
            daemon.inspect_image(name.reference()).expect("there")["Id"].as_str().expect("an ID").to_owned();
        let id = format!("sha256:{}", id.trim_start_matches("sha256:"));
        assert_eq!(result["imageId"], id, "{}: {result}", daemon.name);
        assert!(result["schemaVersion"].is_number(), "{result}");
    }
}

#[test]
fn a_reference_behind_the_url_is_honoured_also_where_a_path_has_its_name() {
    let docker = TestEnvironment::get().docker();
    let assemble = "#!/bin/sh\nset -e\ncat /tmp/src/version\n";
    let repository = Repository::of(&[("version", "one\n"), (".s2i/bin/assemble", assemble)]);
    // S2I's `git checkout version` does not know which is meant.
    repository.git(&["branch", "version"]);
    repository.commit("second", &[("version", "two\n")]);
    let server = GitServer::start(repository.parent(), Kind::Smart);
    let image = docker.owned_image("reference");
    for (reference, wanted) in [("", "two"), ("#version", "one"), ("#main", "two")] {
        for mut command in both(&format!("{}{reference}", server.url("shop/.git")), image.reference()) {
            let output = command.run();
            assert_eq!(output.code, Some(0), "{reference}: {}", output.stderr);
            assert!(
                output.stderr.lines().any(|line| line.trim_start_matches([' ', '|']) == wanted),
                "{reference}: {}",
                output.stderr
            );
        }
    }
}

#[test]
fn what_is_no_image_of_a_daemon_or_registry_is_an_error_for_generate() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    for place in [format!("dir://{}", directory.path().display()), "dir:///nonexistent".into()] {
        let mut command = B2iCommand::new().daemon(&TestEnvironment::get().docker());
        command = command.env("B2I_RETRIES", "0").args(["s2i", "generate", &place, "out/Dockerfile"]);
        let output = command.run();
        assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{place}: {}", output.stderr);
        assert!(output.stderr.contains("error:") && !output.stderr.contains("panicked"), "{}", output.stderr);
        assert!(!command.directory().join("work/out").exists(), "{place}");
    }
}
