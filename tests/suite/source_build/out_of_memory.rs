//! Memory that ran out is told, however long the script took: the daemon is asked when the script has ended, by a call
//! of its own. A server before the daemon's socket says what a real one says only under pressure.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::{Place, Sources, b2i_build};
use crate::environment::{B2iOutput, Daemon, TestEnvironment};
use crate::failures::assert_clean;
use crate::request_log::pass_requests;

/// What the daemon says of a container that had memory enough, and what the server makes of it: of the same length.
const ENOUGH: &[u8] = b"\"OOMKilled\":false";
const TOO_LITTLE: &[u8] = b"\"OOMKilled\":true ";

/// What becomes of the call that asks how a container ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Its memory ran out.
    OutOfMemory,
    /// Nobody answers.
    Cut,
}

/// A socket before a daemon's.
struct Watching {
    directory: tempfile::TempDir,
    seen: Arc<Mutex<Vec<&'static str>>>,
}

impl Watching {
    fn new(daemon: &Daemon, asked: Asked) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let listener = UnixListener::bind(directory.path().join("watching.sock")).expect("binds");
        let path = daemon.host().strip_prefix("unix://").expect("the tests' daemons have sockets");
        let (path, seen) = (PathBuf::from(path), Arc::new(Mutex::new(Vec::new())));
        let noted = Arc::clone(&seen);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (path, noted) = (path.clone(), Arc::clone(&noted));
                std::thread::spawn(move || {
                    pass(client, UnixStream::connect(path).expect("it listens"), asked, &noted)
                });
            }
        });
        Self { directory, seen }
    }

    fn host(&self) -> String {
        format!("unix://{}", self.directory.path().join("watching.sock").display())
    }

    fn seen(&self) -> Vec<&'static str> {
        self.seen.lock().expect("not poisoned").clone()
    }
}

fn pass(mut client: UnixStream, mut daemon: UnixStream, asked: Asked, seen: &Arc<Mutex<Vec<&'static str>>>) {
    let (answers, to_client) = (daemon.try_clone().expect("cloned"), client.try_clone().expect("cloned"));
    let (cut, noted) = (client.try_clone().expect("cloned"), Arc::clone(seen));
    std::thread::spawn(move || pass_answers(answers, to_client, &noted));
    pass_requests(&mut client, &mut daemon, |method, target| {
        if method == "GET" && target.contains("/containers/") && target.ends_with("/json") {
            seen.lock().expect("not poisoned").push("asked");
            if asked == Asked::Cut {
                drop(cut.shutdown(Shutdown::Both));
            }
        }
    });
    drop(daemon.shutdown(Shutdown::Write));
}

/// Passes answers on; a text that two pieces share waits for the second.
fn pass_answers(mut from: UnixStream, mut to: UnixStream, seen: &Mutex<Vec<&'static str>>) {
    let (mut held, mut piece) = (Vec::new(), [0; 64 * 1024]);
    while let Some(count) = from.read(&mut piece).ok().filter(|count| *count > 0) {
        held.extend_from_slice(&piece[..count]);
        if held.windows(13).any(|text| text == b"\"StatusCode\":") {
            seen.lock().expect("not poisoned").push("ended");
        }
        while let Some(at) = held.windows(ENOUGH.len()).position(|text| text == ENOUGH) {
            held[at..at + ENOUGH.len()].copy_from_slice(TOO_LITTLE);
        }
        let begun = (1..ENOUGH.len()).rev().find(|length| held.ends_with(&ENOUGH[..*length])).unwrap_or(0);
        let rest = held.split_off(held.len() - begun);
        if to.write_all(&held).is_err() {
            break;
        }
        held = rest;
    }
    drop(to.write_all(&held));
    drop(to.shutdown(Shutdown::Both));
}

/// Builds what ends with 3 behind a server, and gives what the server saw.
fn build(daemon: &Daemon, asked: Asked) -> (B2iOutput, Vec<&'static str>) {
    let sources = Sources::new().with_script(".s2i/bin/assemble", "echo the compiler is gone; exit 3");
    let watching = Watching::new(daemon, asked);
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    let command = b2i_build(&Place::Daemon(daemon.clone()), &builder, &sources);
    let mut command = command.env("DOCKER_HOST", watching.host()).args(["-o", "docker-archive:out.tar"]);
    let output = command.run();
    assert_eq!(output.code, Some(6), "{}: {}", daemon.name, output.stderr);
    for word in ["exit code 3", "the compiler is gone"] {
        assert!(output.stderr.contains(word), "{}: no {word:?} in {}", daemon.name, output.stderr);
    }
    assert_clean(&command.cache());
    (output, watching.seen())
}

#[test]
fn the_daemon_is_asked_after_the_end_and_believed_whatever_the_exit_code() {
    for daemon in TestEnvironment::get().daemons() {
        let (output, seen) = build(&daemon, Asked::OutOfMemory);
        assert_eq!(seen, ["ended", "asked"], "{}", daemon.name);
        for word in ["more memory than allowed", "--memory"] {
            assert!(output.stderr.contains(word), "{}: no {word:?} in {}", daemon.name, output.stderr);
        }
    }
}

#[test]
fn without_an_answer_the_scripts_own_end_is_told() {
    for daemon in TestEnvironment::get().daemons() {
        let (output, seen) = build(&daemon, Asked::Cut);
        assert_eq!((seen.first(), seen.contains(&"asked")), (Some(&"ended"), true), "{}", daemon.name);
        assert!(!output.stderr.contains("memory"), "{}: {}", daemon.name, output.stderr);
    }
}
