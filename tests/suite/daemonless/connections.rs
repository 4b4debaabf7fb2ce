//! No network means no connection: system calls are counted, so that no resolver and no child process is missed.

use super::*;
use crate::build::{fixture, replace_bases};

/// Names where nothing listens. A request would be a connection.
const ABSENT: &str = "127.0.0.1:1/absent:1";

/// A command with the calls that it and its children made to the network.
struct Traced {
    output: B2iOutput,
    calls: Vec<String>,
}

impl Traced {
    fn new(directory: &Path, daemon: Option<&Daemon>, arguments: &[&str]) -> Self {
        let trace = directory.join("calls");
        let file = trace.display().to_string();
        let calls = "trace=connect,sendto,sendmsg,sendmmsg";
        let command =
            B2iCommand::through(&["strace", "-f", "--seccomp-bpf", "-qq", "-e", calls, "-o", &file]);
        let command = match daemon {
            Some(daemon) => replace_bases(command).daemon(daemon),
            None => replace_bases_by(command, |_| Some(ABSENT.to_owned())),
        };
        let output = command.current_dir(directory).args(arguments).stdin("password").run();
        let calls = std::fs::read_to_string(trace).expect("strace writes");
        let calls = calls.lines().filter(|line| line.contains("AF_INET")).map(str::to_owned).collect();
        Self { output, calls }
    }

    /// Runs a command that has to end with `code`, without a connection.
    fn none(directory: &Path, daemon: Option<&Daemon>, arguments: &[&str], code: i32) {
        let Self { output, calls } = Self::new(directory, daemon, arguments);
        assert_eq!(output.code, Some(code), "{arguments:?}: {}{}", output.stdout, output.stderr);
        assert_eq!(calls, Vec::<String>::new(), "{arguments:?}: {}", output.stderr);
    }
}

#[test]
fn without_the_network_a_build_connects_to_the_daemon_only() {
    let environment = TestEnvironment::get();
    let docker = environment.docker();
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let (program, dynamic) = (fixture("program"), fixture("program-glibc"));
    let builder = environment.image("s2i-foreign:1");
    // What is counted is seen: the same command with the network.
    let with_network = Traced::new(directory.path(), None, &["build", &dynamic, "-o", "oci:with-network"]);
    assert!(!with_network.calls.is_empty(), "{}", with_network.output.stderr);
    for (number, option) in [&["--offline"][..], &["--pull", "never"]].into_iter().enumerate() {
        let with = |arguments: &[&str]| -> Vec<String> {
            arguments.iter().chain(option).map(|word| (*word).to_owned()).collect()
        };
        let image = docker.owned_image("offline");
        let tag = image.reference();
        let layout = format!("oci:layout-{number}");
        for (arguments, code) in [
            (with(&["build", &dynamic, "-t", tag]), 0),
            (with(&["build", &dynamic, "-t", tag, "--assemble", "docker"]), 0),
            (with(&["build", &dynamic, "-t", tag, "--dry-run"]), 0),
            (with(&["build", &program, "-t", tag, "--builder", &builder]), 0),
            (with(&["build", &program, "--builder", &builder, "--assemble", "sandbox", "-o", &layout]), 0),
            (with(&["build", &program, "--builder", ABSENT, "-t", tag]), 5),
            (with(&["build", &dynamic, "--base", ABSENT, "-t", tag]), 5),
            (with(&["build", &dynamic, "-t", tag, "--dockerfile", &format!("context-{number}")]), 0),
        ] {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            Traced::none(directory.path(), Some(&docker), &arguments, code);
        }
        let absent = format!("oci:absent-{number}");
        let archive = format!("oci-archive:absent-{number}.tar");
        for (arguments, code) in [
            (with(&["build", &program, "-o", &format!("oci:static-{number}")]), 0),
            (with(&["build", &dynamic, "-o", &absent]), 5),
            (with(&["build", &dynamic, "-o", &archive]), 5),
            (with(&["build", &dynamic, "-o", &absent, "--base", ABSENT]), 5),
            (with(&["build", &program, "-o", &absent, "--builder", ABSENT, "--assemble", "sandbox"]), 5),
        ] {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            Traced::none(directory.path(), None, &arguments, code);
        }
    }
}

#[test]
fn without_the_network_no_other_command_connects() {
    let environment = TestEnvironment::get();
    let docker = environment.docker();
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let program = fixture("program");
    let builder = environment.image("s2i-foreign:1");
    let image = docker.owned_image("offline");
    let tag = image.reference();
    let in_daemon = format!("docker-daemon:{builder}");
    std::fs::create_dir(directory.path().join("sources")).expect("the directory is the test's");
    std::fs::write(directory.path().join("sources/main.txt"), "text").expect("the directory is the test's");
    for (arguments, code) in [
        (&["--offline", "inspect", &program][..], 0),
        (&["--offline", "inspect", "http://127.0.0.1:1/app.jar"], 3),
        (&["--offline", "build", "http://127.0.0.1:1/app.jar", "-t", tag], 3),
        (&["--offline", "build", "https://absent.example/sources.git", "-t", tag], 3),
        (&["--offline", "copy", &in_daemon, "oci:copy"], 0),
        (&["--offline", "copy", ABSENT, "oci:absent"], 5),
        (&["--offline", "copy", "oci:copy", ABSENT], 2),
        (&["--offline", "build", &program, "-t", ABSENT, "--push"], 2),
        (&["--offline", "s2i", "build", "sources", &builder, tag], 0),
        (&["s2i", "build", "sources", &builder, tag, "--pull-policy", "never"], 0),
        (&["--offline", "s2i", "build", "sources", ABSENT, tag], 1),
        (&["--offline", "s2i", "usage", &builder], 0),
        (&["--offline", "builders", "list"], 0),
        (&["--offline", "builders", "show", "java"], 0),
        (&["--offline", "builders", "check", "java:17"], 0),
        (&["--offline", "cache", "info"], 0),
        (&["--offline", "cache", "prune"], 0),
        (&["--offline", "config", "show"], 0),
        (&["--offline", "doctor"], 0),
        (&["--offline", "login", "127.0.0.1:1", "-u", "a", "--password-stdin"], 2),
    ] {
        Traced::none(directory.path(), Some(&docker), arguments, code);
    }
}
