//! Daemons that do not answer, and base images that are not to be had.

use std::os::unix::fs::PermissionsExt;

use super::assert_fails;
use crate::environment::{B2iCommand, TestEnvironment};

fn build(fixture: &str) -> B2iCommand {
    B2iCommand::new().arg("build").arg(TestEnvironment::get().fixture(fixture))
}

#[test]
fn a_configured_daemon_that_does_not_answer_is_an_error() {
    for (host, code, words) in [
        (
            "unix:///nonexistent/docker.sock",
            9,
            &["/nonexistent/docker.sock", "DOCKER_HOST", "does not exist"][..],
        ),
        ("tcp://127.0.0.1:1", 9, &["127.0.0.1:1", "DOCKER_HOST"]),
        ("garbage", 2, &["`garbage`", "DOCKER_HOST", "unix:///var/run/docker.sock"]),
        ("ssh://host.example", 2, &["`ssh://host.example`", "DOCKER_HOST"]),
    ] {
        // Nobody asked for an archive: none is written in the daemon's place, also where none is needed.
        let mut default = build("program").env("DOCKER_HOST", host);
        assert_fails(&mut default, code, words);
        let mut asked = build("program").env("DOCKER_HOST", host).args(["--output", "docker"]);
        assert_fails(&mut asked, code, words);
        let mut base =
            build("program-glibc").env("DOCKER_HOST", host).args(["--output", "docker-archive:o.tar"]);
        assert_fails(&mut base, code, words);
        let mut flag = build("program").env_remove("DOCKER_HOST").args(["--docker-host", host]);
        assert_fails(&mut flag, code, &[words[0], "--docker-host", "hint: "]);
    }
    let mut context = build("program").env_remove("DOCKER_HOST").env("DOCKER_CONTEXT", "no-such-context");
    assert_fails(&mut context, 2, &["no-such-context", "hint: "]);
}

#[test]
fn an_archive_that_needs_no_daemon_is_written_without_one() {
    let private = ["sh", "-c", "umask 077; exec \"$@\"", "sh"];
    let program = TestEnvironment::get().fixture("program");
    let mut command =
        B2iCommand::through(&private).args(["build", "--output", "docker-archive:o.tar"]).arg(program);
    let output = command.run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let archive = command.directory().join("work/o.tar").metadata().expect("written");
    assert_eq!(archive.permissions().mode() & 0o777, 0o600, "the umask decides");
    assert!(output.stderr.contains("Load it: docker load -i o.tar"), "{}", output.stderr);
}

#[test]
fn a_base_that_is_not_there_is_not_pulled_against_the_users_will() {
    for daemon in TestEnvironment::get().daemons() {
        let missing = "registry.invalid/team/s2i-builder:3";
        for (option, reason) in [(&["--pull", "never"][..], "--pull never"), (&["--offline"], "--offline")] {
            let mut command = build("program").daemon(&daemon).args(["--builder", missing]).args(option);
            assert_fails(&mut command, 5, &[missing, reason, "hint: "]);
            // A static executable needs neither network nor base.
            let image = daemon.owned_image("offline");
            let command = build("program").daemon(&daemon).args(["--tag", image.reference()]);
            assert_eq!(command.args(option).run().code, Some(0));
        }
        let mut pulled = build("program").daemon(&daemon).args(["--builder", missing]);
        assert_fails(&mut pulled, 5, &[missing, "could not be pulled", "hint: "]);
    }
}

#[test]
fn offline_downloads_are_refused() {
    let command = B2iCommand::new().args(["build", "http://127.0.0.1:1/a.jar", "--offline"]);
    let command = &mut command.env_remove("DOCKER_HOST").args(["--output", "docker-archive:o.tar"]);
    assert_fails(command, 3, &["http://127.0.0.1:1/a.jar", "offline", "hint: "]);
}

#[test]
fn a_base_for_another_platform_is_refused() {
    let environment = TestEnvironment::get();
    for daemon in environment.daemons() {
        let builder = environment.image("s2i-foreign:1");
        let arguments = ["--builder", &builder, "--platform", "linux/arm64", "--pull", "never"];
        let mut command = build("shell-program").daemon(&daemon).args(arguments);
        assert_fails(&mut command, 5, &["linux/amd64", "linux/arm64", "hint: "]);
    }
}

#[test]
fn limits_and_networks_that_cannot_be_had_are_refused_before_the_base_is_fetched() {
    for daemon in TestEnvironment::get().daemons() {
        let missing = ["--builder", "registry.invalid/team/s2i-builder:3", "--pull", "never"];
        for (arguments, words) in [
            (["--memory", "1k"], &["memory limit", "1024 bytes", "6m"][..]),
            (["--network", "no-such"], &["no network `no-such`", "network ls"]),
            (["--network", "../images/json?x"], &["no network `../images/json?x`"]),
            (["--network", "container:no-such"], &["no network `container:no-such`"]),
            (["--cpus", "100000"], &["100000 processors"]),
        ] {
            if arguments[0] == "--cpus" && daemon.name == "podman" {
                continue; // It takes any number.
            }
            let command = build("program").daemon(&daemon).args(missing).args(arguments);
            assert_fails(&mut { command }, 2, words);
        }
        let image = daemon.owned_image("network");
        let command = build("program").daemon(&daemon).args(["--assemble", "docker", "--network", "host"]);
        let output = command.args(["--memory", "64m", "--tag", image.reference()]).run();
        assert_eq!(output.code, Some(0), "{}", output.stderr);
    }
}
