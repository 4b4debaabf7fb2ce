//! `--run` starts what was built and is to the caller what the program is: its streams, its signals, its exit code.

use super::*;

/// Says whether a daemon has a container, running or not, of the image with this ID.
fn has_container_of(daemon: &Daemon, id: &str) -> bool {
    let list = daemon.text(&["ps", "--all", "--no-trunc", "--quiet"]);
    list.lines().any(|container| {
        // One of another test may be gone by now.
        let image = daemon.output(&["inspect", "--format", "{{.Image}}", container]).stdout;
        String::from_utf8_lossy(&image).contains(id.trim_start_matches("sha256:"))
    })
}

fn built_id(daemon: &Daemon, reference: &str) -> String {
    let image = daemon.inspect_image(reference).expect("it was built");
    image["Id"].as_str().expect("an image has an ID").to_owned()
}

#[test]
fn streams_and_exit_code_are_the_programs() {
    for daemon in TestEnvironment::get().daemons() {
        let name = daemon.owned_image("run");
        let mut command = b2i(&daemon).args(["build", "--quiet", &fixture("program"), "--run"]);
        command = command.args(["-t", name.reference(), "--", "--exit", "37", "a \"b\""]);
        let ended = command.run();
        assert_eq!(ended.code, Some(37), "{}", ended.stderr);
        let report: Value = serde_json::from_str(&ended.stdout).expect("nothing but the report is printed");
        assert_eq!(words(&report, "arguments"), ["--exit", "37", "a \"b\""]);
        assert!(!has_container_of(&daemon, &built_id(&daemon, name.reference())), "{}", daemon.name);

        let script = command.directory().join("work/both");
        write(&script, "#!/bin/sh\nread -r line\necho \"out $line\"\necho err >&2\n");
        let name = daemon.owned_image("run");
        let mut command = b2i(&daemon).stdin("typed\nnot read\n").args(["build", "--quiet", "--run", "-t"]);
        command = command.args([name.reference(), script.to_str().expect("the path is UTF-8")]);
        let ended = command.run();
        assert_eq!(
            (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
            (Some(0), "out typed\n", "err\n")
        );
    }
}

#[test]
fn a_signal_to_b2i_stops_the_program() {
    // Waits until the program shows itself, then asks b2i to end and hands its code through.
    let script =
        "\"$@\" >out & b2i=$!; until grep -q pid out; do sleep 0.1; done; kill -TERM $b2i; wait $b2i";
    for daemon in TestEnvironment::get().daemons() {
        let name = daemon.owned_image("run");
        let mut command = replace_bases(B2iCommand::through(&["sh", "-c", script, "sh"])).daemon(&daemon);
        command =
            command.args(["build", &fixture("program"), "--run", "-t", name.reference(), "--", "--sleep"]);
        let ended = command.run();
        assert_eq!(ended.code, Some(0), "the program ends with 0 when it gets SIGTERM: {}", ended.stderr);
        assert!(!has_container_of(&daemon, &built_id(&daemon, name.reference())), "{}", daemon.name);
    }
}
