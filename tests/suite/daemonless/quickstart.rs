//! `examples/quickstart`, README's first command, where there is no daemon.

use std::path::Path;
use std::process::{Command, Output};

/// Runs it with the b2i of the tests, in a place without default sockets, after `prepare`.
fn quickstart(unshare: &[&str], prepare: &str) -> Output {
    let cache = tempfile::tempdir().expect("a temporary directory can be made");
    let script = format!("mount -t tmpfs none /run && {prepare} exec \"$@\"");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("unshare")
        .args(unshare)
        .args(["--mount", "sh", "-c", &script, "sh"])
        .arg(root.join("examples/quickstart"))
        .env("B2I", env!("CARGO_BIN_EXE_b2i"))
        .env("B2I_CACHE_DIR", cache.path())
        .env_remove("DOCKER_HOST")
        .env_remove("CONTAINER_HOST")
        .env_remove("XDG_RUNTIME_DIR")
        .output();
    output.expect("unshare can be started")
}

/// One test, because both write to the same place.
#[test]
fn the_program_runs_or_an_archive_is_left() {
    let runs = quickstart(&[], "");
    let (out, err) = (String::from_utf8_lossy(&runs.stdout), String::from_utf8_lossy(&runs.stderr));
    assert!(runs.status.success(), "{out}{err}");
    assert!(out.ends_with("Hello, you and everybody else! I am process 1.\n"), "{out}{err}");
    assert!(out.starts_with("greeter:1.0 sha256:") && err.contains("b2i's sandbox"), "{out}{err}");

    let forbid = "echo 0 > /proc/sys/user/max_user_namespaces &&";
    let loads = quickstart(&["--user", "--map-root-user"], forbid);
    let (out, err) = (String::from_utf8_lossy(&loads.stdout), String::from_utf8_lossy(&loads.stderr));
    assert!(loads.status.success(), "{out}{err}");
    assert!(!out.contains("Hello") && err.contains("docker load -i greeter.tar"), "{out}{err}");
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/quickstart/greeter.tar");
    assert!(archive.is_file());
}
