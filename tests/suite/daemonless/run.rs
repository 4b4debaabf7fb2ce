//! `--run` where no daemon has the image: the program runs in the sandbox and is to the caller what the program is, as
//! root and as an ordinary user; and nothing stays behind, however it ends.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::interrupted::wait_until_gone;
use super::*;
use crate::environment::RunningB2i;

/// Does the same as root and as an ordinary user.
fn as_both(check: impl Fn(&dyn Fn() -> B2iCommand)) {
    check(&B2iCommand::without_daemon);
    check(&B2iCommand::as_nobody);
}

/// A shell program of the test's, and the base that it runs on.
struct Script {
    base: PushedBase,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Script {
    fn new(text: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).expect("mode");
        let path = directory.path().join("script");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("the directory is the test's");
        Self { base: PushedBase::new("glibc:12"), path, _directory: directory }
    }

    fn command(&self, command: B2iCommand) -> B2iCommand {
        self.base.replaces_public(command).args(["build", "--run"]).arg(&self.path)
    }
}

fn report(output: &B2iOutput) -> Value {
    serde_json::from_str(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", output.stdout, output.stderr))
}

#[test]
fn a_program_for_a_machine_that_there_is_none_of_is_said_to_be_one() {
    let mut command = B2iCommand::without_daemon().args(["build", "--run", "--add", "strange"]);
    let program = TestEnvironment::get().fixture("program");
    let mut bytes = std::fs::read(&program).expect("reads");
    // ELF's number of the machine. Nothing emulates this one.
    bytes[18..20].copy_from_slice(&[0xfe, 0xfe]);
    std::fs::write(command.directory().join("work/strange"), bytes).expect("writes");
    command = command.args(["--entrypoint", "/opt/app-root/bin/strange"]).arg(&program);
    let output = command.run();
    assert_eq!(output.code, Some(5), "{}", output.stderr);
    for part in ["`/opt/app-root/bin/strange`", "Exec format error", "hint: ", "qemu-user-static"] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
}

#[test]
fn a_program_runs_as_the_image_says_and_ends_b2i_with_its_code() {
    as_both(|command| {
        let program = TestEnvironment::get().fixture("program");
        let mut command = command().args(["build", "--run"]).arg(&program);
        command = command.args(["--env", "COLOR=red", "--workdir", "/srv", "--port", "8080"]);
        command = command.args(["--", "--exit", "37", "a \"b\" $(id)"]);
        for _ in 0..2 {
            let output = command.run();
            assert_eq!(output.code, Some(37), "{}", output.stderr);
            let report = report(&output);
            assert_eq!(report["arguments"], serde_json::json!(["--exit", "37", "a \"b\" $(id)"]));
            let numbers = ["pid", "ppid", "uid", "gid"].map(|name| report[name].as_i64());
            assert_eq!(numbers, [1, 0, 1001, 0].map(Some));
            assert_eq!((&report["directory"], &report["built"]), (&"/srv".into(), &"static".into()));
            let environment = report["environment"].as_array().expect("a list");
            for variable in ["COLOR=red", "HOME=/opt/app-root", "HOSTNAME=sandbox", "APP_ROOT=/opt/app-root"]
            {
                assert!(environment.contains(&variable.into()), "{variable}: {environment:?}");
            }
            for part in ["Running program:latest", "sandbox", "no network", "8080/tcp", "`--network host`"] {
                assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
            }
            assert_clean(&command.cache());
        }
        // A file that nobody named would only be left behind.
        assert!(files(&command.directory().join("work")).is_empty());
    });
}

#[test]
fn streams_are_the_programs() {
    let script = Script::new(
        "read -r line; echo \"out $line\"; printf 'tail'; echo err >&2; cat > /dev/stderr; exit 3",
    );
    as_both(|command| {
        let output = script.command(command()).arg("--quiet").stdin("typed\n\u{1}rest").run();
        assert_eq!(
            (output.code, output.stdout.as_str(), output.stderr.as_str()),
            (Some(3), "out typed\ntail", "err\n\u{1}rest")
        );
    });
}

#[test]
fn what_a_program_prints_is_seen_at_once() {
    let script = Script::new("printf 'no end of line'; sleep 3000");
    let waits =
        "\"$@\" > out & b2i=$!; until grep -q 'no end of line' out; do sleep 0.1; done; kill -KILL $b2i";
    let command = B2iCommand::through(&["sh", "-c", waits, "sh"]);
    let mut command = script.command(command).args(["-o", "oci:image"]);
    let output = command.run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    wait_until_gone(command.directory());
}

#[test]
fn signals_are_handed_on_and_three_end_a_program_that_is_deaf() {
    let obeys = Script::new("trap 'echo caught >&2; exit 9' TERM; echo up >&2; while :; do sleep 0.05; done");
    let deaf = Script::new("trap 'echo heard >&2' TERM INT; echo up >&2; while :; do sleep 0.05; done");
    as_both(|command| {
        let command = obeys.command(command());
        let mut running = command.spawn();
        running.wait_for("up\n");
        running.signal(Signal::TERM);
        let output = running.wait();
        assert_eq!(output.code, Some(9), "{}", output.stderr);
        assert!(output.stderr.ends_with("caught\n"), "{}", output.stderr);
        assert_clean(&command.cache());
        wait_until_gone(command.directory());
    });
    as_both(|command| {
        let command = deaf.command(command());
        let mut running = command.spawn();
        running.wait_for("up\n");
        // Each when the one before has arrived: two that come at once are one to whom they are sent.
        for heard in 1..3 {
            running.signal(Signal::INT);
            running.wait_until("what the program says", |running| {
                running.stderr().matches("heard\n").count() == heard
            });
        }
        running.signal(Signal::INT);
        let output = running.wait();
        assert_eq!(output.code, Some(130), "{}", output.stderr);
        assert_clean(&command.cache());
        wait_until_gone(command.directory());
    });
}

#[test]
fn a_run_that_is_killed_leaves_nothing() {
    let script = Script::new("mkdir -m 0 /tmp/closed; (trap '' TERM; sleep 3000) & echo up >&2; sleep 3000");
    as_both(|again| {
        let command = script.command(again());
        let mut running: RunningB2i = command.spawn();
        running.wait_for("up\n");
        running.kill();
        wait_until_gone(command.directory());
        let cache = command.cache();
        // The sandbox empties its own directory; the lease's is the next run's to remove.
        let in_containers = || {
            let leases = files(&cache.join("tmp")).into_iter().map(|lease| cache.join("tmp").join(lease));
            let all = leases.flat_map(|lease| files(&lease).into_iter().map(move |name| lease.join(name)));
            let containers = all.filter(|path| path.to_string_lossy().contains("/container-"));
            containers.flat_map(|container| files(&container)).collect::<Vec<String>>()
        };
        let until = std::time::Instant::now() + Duration::from_secs(30);
        while !in_containers().is_empty() {
            assert!(std::time::Instant::now() < until, "left behind: {:?}", in_containers());
            std::thread::sleep(Duration::from_millis(20));
        }
        let program = TestEnvironment::get().fixture("program");
        let next = again().env("B2I_CACHE_DIR", &cache);
        let output = next.args(["build", "-o", "oci:next"]).arg(program).run();
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert_clean(&cache);
    });
}

#[test]
fn the_hosts_network_is_given_on_demand_and_announced() {
    let script = Script::new("exec 3<> /dev/tcp/127.0.0.1/$1 && echo connected");
    let text = std::fs::read_to_string(&script.path).expect("reads").replace("/bin/sh", "/bin/bash");
    std::fs::write(&script.path, text).expect("writes");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listens");
    let port = listener.local_addr().expect("an address").port().to_string();
    std::thread::spawn(move || listener.incoming().flatten().for_each(drop));
    as_both(|command| {
        let without = script.command(command()).args(["--", &port]).run();
        assert_eq!((without.code, without.stdout.as_str()), (Some(1), ""), "{}", without.stderr);
        let with = script.command(command()).args(["--network", "host", "--", &port]).run();
        assert_eq!((with.code, with.stdout.as_str()), (Some(0), "connected\n"), "{}", with.stderr);
        assert!(with.stderr.contains("has the network of this machine"), "{}", with.stderr);
        assert!(!with.stderr.contains("have no effect"), "{}", with.stderr);
    });
}

#[test]
fn a_network_that_the_program_will_not_have_is_refused_before_anything_is_built() {
    let script = Script::new("echo started");
    let docker = TestEnvironment::get().docker();
    let archive = ["-o", "docker-archive:script.tar"];
    for (call, words) in
        [(B2iCommand::without_daemon(), &[][..]), (B2iCommand::new().daemon(&docker), &archive[..])]
    {
        let mut command = script.command(call).args(["--network", "bridge"]).args(words);
        let refused = command.run();
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{words:?}: {}", refused.stderr);
        for part in ["`bridge`", "--network host", "--output docker"] {
            assert!(refused.stderr.contains(part), "{words:?}: {part}: {}", refused.stderr);
        }
        assert_eq!(files(&command.directory().join("work")), [""; 0], "{words:?}");
        assert_clean(&command.cache());
    }
}

#[test]
fn every_output_can_be_run() {
    let docker = TestEnvironment::get().docker();
    let base = PushedBase::new("glibc:12");
    let program = TestEnvironment::get().fixture("program-glibc");
    let name = result_name("run");
    let runs = |command: B2iCommand, options: &[&str]| {
        let command = base.replaces_public(command).args(["build", "--run"]).arg(&program).args(options);
        let output = command.args(["--tag", &name, "--", "--print", "x"]).run();
        assert_eq!(output.code, Some(0), "{options:?}: {}", output.stderr);
        assert!(output.stderr.contains("b2i's sandbox"), "{options:?}: {}", output.stderr);
        assert_eq!(report(&output)["arguments"], serde_json::json!(["--print", "x"]), "{options:?}");
    };
    for command in [B2iCommand::without_daemon, B2iCommand::as_nobody] {
        runs(command(), &["--push", "-o", "oci:layout"]);
        runs(command(), &["-o", "oci-archive:image.tar"]);
        runs(command(), &["--push", "--assemble", "sandbox"]);
    }
    // A daemon that is there, and does not get the image.
    docker.stdout(&["pull", &base.name]);
    for options in [&["-o", "docker-archive:image.tar"][..], &["-o", "oci:layout", "--assemble", "docker"]] {
        runs(B2iCommand::new().daemon(&docker), options);
    }
}

#[test]
fn a_jar_runs() {
    let base = PushedBase::new("jre:17");
    let jar = TestEnvironment::get().fixture("executable.jar");
    for command in [B2iCommand::without_daemon, B2iCommand::as_nobody] {
        let command = base.replaces_public(command()).args(["build", "--run"]).arg(&jar);
        let output = command.args(["-o", "oci:image", "--", "--print", "a b"]).run();
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert!(output.stdout.contains("\"--print\",\"a b\""), "{}", output.stdout);
    }
}

#[test]
fn where_there_is_no_sandbox_the_setting_and_the_ways_out_are_named() {
    let forbid = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"";
    let forbidden = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"];
    let hide = format!("mount -t tmpfs none /run && {forbid}");
    let wrapper = [&forbidden[..], &[&hide, "sh"]].concat();
    let command = B2iCommand::through(&wrapper).env_remove("DOCKER_HOST");
    let program = TestEnvironment::get().fixture("program");
    let mut command = command.args(["build", "--run"]).arg(program);
    let output = command.run();
    assert_eq!((output.code, output.stdout.as_str()), (Some(9), ""), "{}", output.stderr);
    for part in ["sysctl user.max_user_namespaces", "`--output docker-archive:FILE` instead of `--run`"] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
    assert!(!output.stderr.contains("--assemble"), "that is for scripts: {}", output.stderr);
    assert!(files(&command.directory().join("work")).is_empty());
    assert_clean(&command.cache());
}
