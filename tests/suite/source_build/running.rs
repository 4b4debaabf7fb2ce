//! `--run` on what sources became: the result's program is process 1 wherever the result is, and its exit code is b2i's.

use serde_json::{Value, json};

use super::{Place, Sources, b2i_build, everywhere};
use crate::environment::TestEnvironment;
use crate::s2i_command;

fn sources() -> Sources {
    Sources::new().with_script(".s2i/bin/run", "exec ./program --exit 37 \"$GREETING\"")
}

/// Checks that the program's report is all that standard output has.
fn assert_ran(stdout: &str, stderr: &str) {
    let report: Value =
        serde_json::from_str(stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
    assert_eq!(report["arguments"], json!(["--exit", "37", "hi  there"]));
    assert_eq!(report["pid"], 1, "the script handed its place on");
}

#[test]
fn the_result_runs_at_once_and_ends_b2i_with_its_code() {
    let sources = sources();
    everywhere("s2i-sclorg:1", |place, builder| {
        let command = b2i_build(place, builder, &sources).args(["--run", "--env", "GREETING=hi  there"]);
        let name = match place {
            Place::Daemon(daemon) => Some(daemon.owned_image("sources-run")),
            Place::Sandbox => None,
        };
        let mut command = match &name {
            Some(name) => command.args(["--tag", name.reference()]),
            None => command.args(["--output", "docker-archive:image.tar"]),
        };
        let output = command.run();
        assert_eq!(output.code, Some(37), "{}: {}", place.name(), output.stderr);
        assert_ran(&output.stdout, &output.stderr);
        crate::failures::assert_clean(&command.cache());
    });
}

#[test]
fn a_network_that_the_program_will_not_have_is_refused_before_assemble() {
    let sources = sources();
    everywhere("s2i-sclorg:1", |place, builder| {
        let command = b2i_build(place, builder, &sources).args(["--run", "--network", "bridge"]);
        let mut command = command.args(["-o", "docker-archive:image.tar"]);
        let output = command.run();
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(2), ""),
            "{}: {}",
            place.name(),
            output.stderr
        );
        assert!(output.stderr.contains("no network `bridge`"), "{}: {}", place.name(), output.stderr);
        assert!(!output.stderr.contains("Uploaded"), "{}: {}", place.name(), output.stderr);
        assert!(!command.directory().join("work/image.tar").exists(), "{}", place.name());
        crate::failures::assert_clean(&command.cache());
    });
}

#[test]
fn s2i_runs_the_result_too() {
    let environment = TestEnvironment::get();
    let name = environment.docker().owned_image("s2i-run");
    let sources = sources();
    let path = sources.path().display().to_string();
    let builder = environment.image("s2i-sclorg:1");
    let call = ["build", &path, &builder, name.reference(), "--run", "-e", "GREETING=hi  there"];
    let ended = s2i_command::Place::new().s2i(&call);
    assert_eq!(ended.code, 37, "{}", ended.stderr);
    assert_ran(&ended.stdout, &ended.stderr);
}
