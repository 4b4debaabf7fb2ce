//! `examples/quickstart`, README's first command, where there is no daemon.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::environment::install_script;

/// The b2i of the tests.
fn b2i() -> PathBuf {
    env!("CARGO_BIN_EXE_b2i").into()
}

/// Runs it without default sockets and without a network, after `prepare`; `set` sets its variables.
fn quickstart(unshare: &[&str], prepare: &str, set: impl FnOnce(&mut Command)) -> Output {
    let cache = tempfile::tempdir().expect("a temporary directory can be made");
    let script = format!("mount -t tmpfs none /run && {prepare} exec \"$@\"");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("unshare");
    command
        .args(unshare)
        .args(["--mount", "--net", "sh", "-c", &script, "sh"])
        .arg(root.join("examples/quickstart"))
        .env("B2I_CACHE_DIR", cache.path())
        .env_remove("DOCKER_HOST")
        .env_remove("CONTAINER_HOST")
        .env_remove("XDG_RUNTIME_DIR");
    set(&mut command);
    command.output().expect("unshare can be started")
}

/// A `cargo` that builds nothing and reports, as the real one does, a program below `CARGO_TARGET_DIR`.
fn cargo_that_has_built(directory: &Path) {
    let program = directory.join("elsewhere/release/b2i");
    std::fs::create_dir_all(program.parent().expect("it is in a directory")).expect("makes");
    std::os::unix::fs::symlink(b2i(), &program).expect("links");
    let script = "#!/bin/sh\n\
        [ \"$*\" = 'build --release --locked --message-format=json-render-diagnostics' ] || exit 1\n\
        echo '{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"clap\"},\"executable\":null,\"fresh\":true}'\n\
        echo '{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"b2i\"},'\\\n\
        '\"executable\":\"'\"$CARGO_TARGET_DIR\"'/release/b2i\",\"fresh\":true}'\n\
        echo '{\"reason\":\"build-finished\",\"success\":true}'\n";
    install_script(&directory.join("bin/cargo"), script);
}

/// One test, because all write to the same directory.
#[test]
fn the_program_runs_or_an_archive_is_left() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    cargo_that_has_built(directory.path());
    let path = std::env::var("PATH").expect("there is a PATH");
    let built = quickstart(&[], "", |command| {
        let bin = directory.path().join("bin");
        command.env("PATH", format!("{}:{path}", bin.display())).env_remove("B2I");
        command.env("CARGO_TARGET_DIR", directory.path().join("elsewhere"));
    });
    let (out, err) = (String::from_utf8_lossy(&built.stdout), String::from_utf8_lossy(&built.stderr));
    assert!(built.status.success() && out.ends_with("I am process 1.\n"), "{out}{err}");

    let runs = quickstart(&[], "", |command| {
        let program = b2i();
        let above = program.parent().expect("it is in a directory").parent().expect("Cargo's directory");
        let relative = program.strip_prefix(above).expect("it is below");
        command.current_dir(above).env("B2I", Path::new(".").join(relative));
    });
    let (out, err) = (String::from_utf8_lossy(&runs.stdout), String::from_utf8_lossy(&runs.stderr));
    assert!(runs.status.success(), "{out}{err}");
    assert!(out.ends_with("Hello, you and everybody else! I am process 1.\n"), "{out}{err}");
    assert!(out.starts_with("greeter:1.0 sha256:") && err.contains("b2i's sandbox"), "{out}{err}");

    let forbid = "echo 0 > /proc/sys/user/max_user_namespaces &&";
    let loads = quickstart(&["--user", "--map-root-user"], forbid, |command| {
        command.env("B2I", b2i());
    });
    let (out, err) = (String::from_utf8_lossy(&loads.stdout), String::from_utf8_lossy(&loads.stderr));
    assert!(loads.status.success(), "{out}{err}");
    assert!(!out.contains("Hello") && err.contains("docker load -i greeter.tar"), "{out}{err}");
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/quickstart/greeter.tar");
    assert!(archive.is_file());
}
