//! What works without a daemon, and what says that it needs one.

use super::*;

#[test]
fn a_static_executable_needs_no_daemon() {
    // The image gets the artifact's name, which is to be nobody else's in the daemons.
    let stem = format!("program-{}", std::process::id());
    let mut command = B2iCommand::without_daemon();
    let artifact = command.directory().join(&stem);
    std::fs::copy(fixture("program"), &artifact).expect("the directory is the test's");
    command = command.arg("build").arg(artifact).args(["--", "default"]);
    let ended = command.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let hint = format!("Load it: docker load -i {stem}.tar");
    assert!(ended.stderr.contains(&hint), "{}", ended.stderr);
    let (name, id) = ended.stdout.trim_end().split_once(' ').expect("a name and an ID");
    assert_eq!(name, format!("{stem}:latest"));
    let work = command.directory().join("work");
    let names: Vec<_> = std::fs::read_dir(&work).expect("the directory is the test's").collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let archive = work.join(format!("{stem}.tar")).display().to_string();
    for daemon in TestEnvironment::get().daemons() {
        let _loaded = daemon.adopted_image(name);
        daemon.stdout(&["load", "--input", &archive]);
        let report = daemon.run(&[id, "--print"]).stdout;
        let report = String::from_utf8_lossy(&report).into_owned();
        assert!(report.contains("[\"default\",\"--print\"]"), "{}: {report}", daemon.name);
    }
}

#[test]
fn what_needs_a_base_says_where_it_looked() {
    for artifact in ["standalone.jar", "shop-javax.war", "program-glibc", "shell-program"] {
        let command = replace_bases(B2iCommand::without_daemon()).env("B2I_RETRIES", "0");
        let mut command = command.args(["build", &fixture(artifact)]);
        let ended = command.run();
        assert_eq!(ended.code, Some(5), "{artifact}: {}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.stdout, "");
        for part in ["error: cannot read `b2i-test/", "from its registry", "hint: "] {
            assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
        }
        let left = std::fs::read_dir(command.directory().join("work")).expect("the directory is the test's");
        assert_eq!(left.count(), 0, "{artifact}");
    }
}

#[test]
fn a_daemon_that_is_configured_must_answer() {
    let mut command = B2iCommand::new().args(["build", &fixture("program")]);
    let ended = command.run();
    assert_eq!(ended.code, Some(9), "{}{}", ended.stdout, ended.stderr);
    assert!(
        ended.stderr.contains("no-daemon.sock") && ended.stderr.contains("DOCKER_HOST"),
        "{}",
        ended.stderr
    );
}
