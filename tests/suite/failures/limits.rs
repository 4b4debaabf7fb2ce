//! Ends that come from outside: signals while a pipe waits for its reader, limits of the system, files that somebody
//! has open, a home that nothing can be made in.

use std::path::Path;

use rustix::process::Signal;

use super::{assert_clean, assert_fails, files, leases};
use crate::environment::{B2iCommand, RunningB2i, TestEnvironment};

/// A build into a named pipe that nobody reads yet; it waits for a reader when it has planned.
fn into_pipe(command: B2iCommand, kind: &str) -> (B2iCommand, RunningB2i) {
    let program = TestEnvironment::get().fixture("program");
    let command = command.arg("build").arg(program).args(["-o", &format!("{kind}:pipe")]);
    let pipe = command.directory().join("work/pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).expect("a pipe");
    let mut running = command.spawn();
    running.wait_for("Planned");
    (command, running)
}

#[test]
fn a_signal_ends_a_run_that_waits_for_the_reader_of_a_pipe() {
    for (kind, signal, code) in [
        ("docker-archive", Signal::TERM, 143),
        ("oci-archive", Signal::INT, 130),
        ("docker-archive", Signal::HUP, 129),
    ] {
        // Tests may be run by what ignores signals, and so would b2i.
        let default = B2iCommand::through(&["env", "--default-signal=HUP,INT"]);
        let (command, running) = into_pipe(default, kind);
        running.signal(signal);
        let output = running.wait();
        assert_eq!(output.code, Some(code), "{kind}: {}", output.stderr);
        assert_eq!(leases(&command.cache()), [""; 0], "{}", output.stderr);
        assert_clean(&command.cache());
        assert_eq!(files(&command.directory().join("work")), ["pipe"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_started_to_outlive_its_terminal_does() {
    let (command, running) =
        into_pipe(B2iCommand::through(&["env", "--ignore-signal=HUP"]), "docker-archive");
    running.signal(Signal::HUP);
    let read = std::fs::read(command.directory().join("work/pipe")).expect("reads");
    let output = running.wait();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(read.len() > 700_000, "{} bytes came", read.len());
}

/// A build of the program through a shell, in which `$@` is b2i.
#[cfg(target_os = "linux")]
fn through_shell(script: &str, arguments: &[&str]) -> B2iCommand {
    let program = TestEnvironment::get().fixture("program");
    B2iCommand::through(&["sh", "-c", script, "sh"]).arg("build").arg(program).args(arguments)
}

#[cfg(target_os = "linux")]
#[test]
fn what_somebody_has_open_is_written_to_and_not_replaced() {
    let read =
        |directory: &Path, name: &str| std::fs::read(directory.join("work").join(name)).expect("reads");
    let mut direct = through_shell("exec \"$@\"", &["-o", "docker-archive:direct.tar"]);
    assert_eq!(direct.run().code, Some(0));
    let wanted = read(direct.directory(), "direct.tar");

    // A pipe, as `>(docker load)` is in bash, and a file that is open for more than this.
    let mut piped = through_shell("\"$@\" 3>&1 >text | cat >out.tar", &["-o", "docker-archive:/dev/fd/3"]);
    let ended = piped.run();
    assert!(read(piped.directory(), "out.tar") == wanted, "{}", ended.stderr);

    let script = "{ echo before; \"$@\"; echo after; } >log";
    let mut logged = through_shell(script, &["-o", "oci:layout", "--iidfile", "/dev/stdout", "-q"]);
    let ended = logged.run();
    let log = String::from_utf8(read(logged.directory(), "log")).expect("UTF-8");
    let (first, last) = (log.starts_with("before\nsha256:"), log.ends_with("\nafter\n"));
    assert!(first && last, "{log}{}", ended.stderr);
    assert_eq!(log.matches("sha256:").count(), 2, "the file's content and the result: {log}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_not_the_end() {
    let mut command = through_shell("ulimit -f 100; exec \"$@\"", &["-o", "docker-archive:out.tar"]);
    assert_fails(&mut command, 7, &["out.tar", "File too large", "hint: raise the limit", "ulimit -f"]);
}

#[test]
fn a_place_where_no_cache_can_be_made_has_a_way_out() {
    let program = TestEnvironment::get().fixture("program");
    let mut command = B2iCommand::new().env("XDG_CACHE_HOME", "/dev/null/cache").arg("build").arg(&program);
    command = command.args(["-o", "docker-archive:out.tar"]);
    assert_fails(&mut command, 2, &["/dev/null/cache/b2i", "cannot be the cache", "hint: ", "--cache-dir"]);
}
