//! What goes wrong in an assemble that runs in the sandbox: as the Docker engine says it, with its code, in time, and
//! nothing left behind.

use super::*;

/// Builds with a foreign builder and gives what came of it; nothing may be left or pushed unless it succeeded.
fn build_with(builder: &'static str, command: B2iCommand, options: &[&str]) -> B2iOutput {
    let builder = PushedBase::new(builder);
    let name = result_name("failures");
    let mut command = command
        .args(["build", "--push", "--builder", &builder.name, "--tag", &name])
        .arg(TestEnvironment::get().fixture("program"))
        .args(options);
    let output = command.run();
    assert_clean(&command.cache());
    if output.code != Some(0) {
        assert_eq!(output.stdout, "", "{}", output.stderr);
        let inspected = std::process::Command::new("skopeo")
            .args(["inspect", "--tls-verify=false", &format!("docker://{name}")])
            .output();
        assert!(
            !inspected.expect("skopeo starts").status.success(),
            "nothing is published: {}",
            output.stderr
        );
    }
    output
}

/// Does the same as root and as an ordinary user.
fn as_both(check: impl Fn(&dyn Fn() -> B2iCommand)) {
    check(&B2iCommand::without_daemon);
    check(&B2iCommand::as_nobody);
}

fn assert_says(output: &B2iOutput, code: i32, words: &[&str]) {
    assert_eq!(output.code, Some(code), "{}", output.stderr);
    for word in words {
        assert!(output.stderr.contains(word), "no {word:?} in {}", output.stderr);
    }
}

#[test]
fn a_script_that_fails_is_quoted_with_its_code() {
    as_both(|command| {
        let output = build_with("s2i-foreign:fails", command(), &[]);
        let last = "fatal: the compiler of this builder has no disk left";
        assert_says(&output, 6, &["`/usr/local/s2i/assemble`", "exit code 37", last]);
        let quiet = build_with("s2i-foreign:fails", command(), &["--quiet"]);
        assert_says(&quiet, 6, &["exit code 37", "out line 5", "err line 5", last]);
    });
}

#[test]
fn a_script_that_hangs_is_killed_in_time() {
    as_both(|command| {
        for (builder, line) in [
            ("s2i-foreign:hangs", "waiting for a day"),
            ("s2i-foreign:ignores-term", "waiting for a day, deaf"),
        ] {
            // It must begin before the time is over, also on a slow machine.
            let output = build_with(builder, command(), &["--timeout", "3s", "--quiet"]);
            assert_says(&output, 6, &["`/usr/local/s2i/assemble`", "longer than 3 s", "--timeout", line]);
        }
    });
}

#[test]
fn a_script_finds_no_input_no_network_and_no_privileges() {
    as_both(|command| {
        let stdin = build_with("s2i-foreign:reads-stdin", command(), &[]);
        assert_says(&stdin, 0, &["read 0 bytes from standard input"]);
        let network = build_with("s2i-foreign:network", command(), &[]);
        assert_says(&network, 0, &["capabilities: 0000000000000000\n", "no-new-privileges: 1\n"]);
        assert!(
            ["interfaces: lo \n", "interfaces: \n"].iter().any(|line| network.stderr.contains(line)),
            "{}",
            network.stderr
        );
    });
}

#[test]
fn a_network_that_only_a_daemon_has_is_refused() {
    let output = build_with("s2i-foreign:1", B2iCommand::without_daemon(), &["--network", "bridge"]);
    assert_says(&output, 2, &["`bridge`", "`host`", "--assemble docker"]);
}

#[test]
fn a_process_that_the_script_leaves_is_gone() {
    as_both(|command| {
        let output = build_with("s2i-foreign:leaves-process", command(), &[]);
        assert_says(&output, 0, &["leaving a process behind"]);
    });
}

#[test]
fn what_cannot_work_is_an_error_of_the_plan() {
    let fixture = TestEnvironment::get().fixture("program");
    let plan = |arguments: &[&str]| {
        let command = B2iCommand::without_daemon().args(["build", "--dry-run"]).arg(&fixture);
        command.args(arguments).run()
    };
    for (arguments, words) in [
        (&["--health-cmd", "true"][..], "has no shell"),
        (&["--user", "app"], "the built-in base has only the accounts root, default and nobody"),
        (&["--user", "nobody:staff"], "the built-in base has only the accounts"),
        (&["--platform", "linux/arm46"], "did you mean `linux/arm64`?"),
        (&["--platform", "linux/arm/v9"], "the platform `linux/arm/v9` is unknown"),
    ] {
        let refused = plan(arguments);
        assert_eq!(
            (refused.code, refused.stdout.as_str()),
            (Some(2), ""),
            "{arguments:?}: {}",
            refused.stderr
        );
        assert!(refused.stderr.contains(words), "{arguments:?}: {}", refused.stderr);
    }
    for arguments in [&["--user", "nobody"][..], &["--user", "1234:5"], &["--health-cmd", ""]] {
        let planned = plan(arguments);
        assert_eq!(planned.code, Some(0), "{arguments:?}: {}", planned.stderr);
    }
}

#[test]
fn an_empty_directory_is_no_artifact() {
    let mut command = B2iCommand::without_daemon().args(["build", "empty"]);
    std::fs::create_dir(command.directory().join("work/empty")).expect("makes");
    let output = command.run();
    assert_says(&output, 4, &["`empty` is empty", "hint:"]);
}
