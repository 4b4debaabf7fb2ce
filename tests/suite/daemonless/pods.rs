//! b2i where little is writable, as in a pod with a read-only root.

use super::*;

/// Runs b2i in a container without rights, with a read-only root and these options of `docker run`.
fn in_container(options: &[&str], words: &[&str]) -> (Option<i32>, String) {
    let (code, messages, _) = all_of_container(options, words);
    (code, messages)
}

/// The exit code, the messages and what b2i printed.
fn all_of_container(options: &[&str], words: &[&str]) -> (Option<i32>, String, String) {
    let environment = TestEnvironment::get();
    let docker = environment.docker();
    let program = format!("{}:/b2i:ro", env!("CARGO_BIN_EXE_b2i"));
    let artifact = format!("{}:/program:ro", environment.fixture("program").display());
    let image = environment.image("glibc:12");
    let rights = ["--read-only", "--user", "65532:65532", "--cap-drop", "ALL", "--network", "none"];
    let mounts = ["-v", &program, "-v", &artifact, "--entrypoint", "/b2i"];
    let output = docker.output(&[&["run", "--rm"], &rights[..], &mounts, options, &[&image], words].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stderr), text(&output.stdout))
}

#[test]
fn a_build_that_needs_no_cache_goes_on_without_one() {
    let build = ["build", "/program", "-o", "oci:/dev/shm/image"];
    let (code, messages) = in_container(&[], &build);
    assert_eq!(code, Some(0), "{messages}");
    assert_eq!(
        messages.matches("using `/dev/shm` for this run, and keeping nothing").count(),
        1,
        "{messages}"
    );
    assert!(messages.contains("`/var/cache/b2i` cannot be the cache"), "{messages}");
    // In a container without a home directory, HOME is `/`.
    let scratch = ["--tmpfs", "/scratch:mode=1777", "-e", "TMPDIR=/scratch"];
    let (code, messages) = in_container(&scratch, &build);
    assert_eq!((code, messages.contains("for this run")), (Some(0), false), "{messages}");
    let (code, messages) = in_container(&[&scratch[..], &["-e", "HOME=/home/app"]].concat(), &build);
    assert_eq!(code, Some(0), "{messages}");
    assert!(messages.contains("`/home/app/.cache/b2i` cannot be the cache"), "{messages}");
    assert!(messages.contains("using `/scratch` for this run"), "{messages}");
    // A volume that belongs to root is used by a directory in it.
    let volume = ["--tmpfs", "/volume:mode=0777"];
    let (code, messages) = in_container(&volume, &[&build[..], &["--cache-dir", "/volume"]].concat());
    assert_ne!(code, Some(0), "{messages}");
    assert!(messages.contains("`--cache-dir /volume/b2i`"), "{messages}");
    let (code, messages) = in_container(&volume, &[&build[..], &["--cache-dir", "/volume/b2i"]].concat());
    assert_eq!((code, messages.contains("for this run")), (Some(0), false), "{messages}");
}

#[test]
fn doctor_knows_what_goes_on_without_a_cache() {
    let (_, _, report) = all_of_container(&[], &["doctor"]);
    for part in
        ["note     cache", "builds go on without a cache; the sandbox needs one", "the seccomp profile"]
    {
        assert!(report.contains(part), "{part}: {report}");
    }
}

#[test]
fn what_cannot_be_written_or_run_is_named_with_a_way_out() {
    let (code, messages) = in_container(&[], &["build", "/program"]);
    assert_eq!(code, Some(7), "{messages}");
    assert!(messages.contains("choose a directory that you can write to"), "{messages}");
    // Neither a daemon nor a sandbox can run it, so nothing is built.
    let (code, messages) = in_container(&[], &["build", "/program", "--run"]);
    assert_eq!(code, Some(9), "{messages}");
    for part in ["the seccomp profile of this container", "`--output docker-archive:FILE` instead of `--run`"]
    {
        assert!(messages.contains(part), "{part}: {messages}");
    }
    assert!(!messages.contains("program.tar"), "{messages}");
}

#[test]
fn a_build_that_needs_a_cache_names_the_option() {
    let sandbox = ["build", "/program", "--assemble", "sandbox", "-o", "oci:/dev/shm/image"];
    let (code, messages) = in_container(&[], &sandbox);
    assert_ne!(code, Some(0), "{messages}");
    assert!(messages.contains("--cache-dir DIR"), "{messages}");
    // In a container, a refused namespace is a matter of seccomp.
    let cache = ["--tmpfs", "/volume:mode=0777"];
    let (code, messages) = in_container(&cache, &[&sandbox[..], &["--cache-dir", "/volume/b2i"]].concat());
    assert_ne!(code, Some(0), "{messages}");
    assert!(messages.contains("the seccomp profile of this container"), "{messages}");
}

#[test]
fn without_a_daemon_the_archive_is_announced_once() {
    let mut command =
        B2iCommand::without_daemon().args(["build"]).arg(TestEnvironment::get().fixture("program"));
    let output = command.run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let note = "no Docker or Podman daemon was found: writing the image to `program.tar`";
    assert_eq!(output.stderr.matches(note).count(), 1, "{}", output.stderr);
    let named = command.args(["-o", "oci:image"]).run();
    assert!(!named.stderr.contains("no Docker or Podman daemon"), "{}", named.stderr);
}
