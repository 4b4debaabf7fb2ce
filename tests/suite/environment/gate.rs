//! Owns a socket before a daemon's socket that stops at a chosen request, so that a test can interrupt b2i exactly there.
//!
//! Bytes pass unchanged and uninterpreted, but for the search for the request.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::{B2iCommand, Daemon, RunningB2i};

/// What is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The request: the daemon never sees it.
    Request,
    /// The answer: the daemon has begun to answer, and b2i does not know.
    Answer,
    /// Nothing of it: the request is on its way and b2i waits for the answer.
    Nothing,
    /// From the request on, everything on all connections: the daemon seems to be gone.
    Everything,
}

/// The socket. Closed when it is dropped.
#[derive(Debug)]
pub(crate) struct DaemonGate {
    directory: tempfile::TempDir,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    daemon: PathBuf,
    request: &'static str,
    hold: Hold,
    reached: AtomicBool,
    closed: Mutex<bool>,
    closing: Condvar,
}

impl DaemonGate {
    /// Opens a socket before `daemon` that stops at the first request whose bytes contain `request`.
    pub(crate) fn new(daemon: &Daemon, request: &'static str, hold: Hold) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let listener = UnixListener::bind(directory.path().join("gate.sock")).expect("binds");
        let path = daemon.host().strip_prefix("unix://").expect("the tests' daemons have sockets");
        let state = Arc::new(State {
            daemon: path.into(),
            request,
            hold,
            reached: AtomicBool::new(false),
            closed: Mutex::new(false),
            closing: Condvar::new(),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if *shared.closed.lock().expect("not poisoned") {
                    break;
                }
                let state = Arc::clone(&shared);
                std::thread::spawn(move || state.connect(client));
            }
        });
        Self { directory, state }
    }

    /// Its address, as `DOCKER_HOST` takes it.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.directory.path().join("gate.sock").display())
    }

    /// Starts `command`, whose daemon is this gate, and waits until its run is held here; gives the run and its lease.
    pub(crate) fn reach(&self, command: &B2iCommand, context: &str) -> (RunningB2i, String) {
        let mut running = command.spawn();
        let mut lease = None;
        running.wait_until(context, |_| {
            let mut leases = std::fs::read_dir(command.cache().join("leases")).into_iter().flatten();
            let found = leases.find_map(|entry| entry.ok()?.file_name().into_string().ok());
            lease = found.or(lease.take());
            self.is_reached()
        });
        (running, lease.expect("a run has one"))
    }

    /// Whether the request has come (and with [`Hold::Answer`] its answer).
    pub(crate) fn is_reached(&self) -> bool {
        self.state.reached.load(Ordering::Acquire)
    }
}

impl Drop for DaemonGate {
    fn drop(&mut self) {
        *self.state.closed.lock().expect("not poisoned") = true;
        self.state.closing.notify_all();
        drop(UnixStream::connect(self.directory.path().join("gate.sock")));
    }
}

impl State {
    fn connect(self: Arc<Self>, mut client: UnixStream) {
        if self.hold == Hold::Everything && self.reached.load(Ordering::Acquire) {
            return self.hold_back();
        }
        let mut daemon = UnixStream::connect(&self.daemon).expect("the daemon listens");
        let holds_answer = Arc::new(AtomicBool::new(false));
        let (mut answers, mut to_client) =
            (daemon.try_clone().expect("cloned"), client.try_clone().expect("cloned"));
        let (state, holds) = (Arc::clone(&self), Arc::clone(&holds_answer));
        std::thread::spawn(move || {
            let mut buffer = [0; 64 * 1024];
            while let Some(count) = answers.read(&mut buffer).ok().filter(|count| *count > 0) {
                if holds.load(Ordering::Acquire) {
                    state.reached.store(true, Ordering::Release);
                    return state.hold_back();
                }
                if to_client.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            drop(to_client.shutdown(Shutdown::Both));
        });
        let (mut buffer, mut is_held) = ([0; 64 * 1024], false);
        while let Some(count) = client.read(&mut buffer).ok().filter(|count| *count > 0) {
            let bytes = &buffer[..count];
            let is_wanted = !self.reached.load(Ordering::Acquire)
                && bytes.windows(self.request.len()).any(|part| part == self.request.as_bytes());
            if is_wanted {
                match self.hold {
                    Hold::Answer => holds_answer.store(true, Ordering::Release),
                    Hold::Nothing => {}
                    Hold::Request | Hold::Everything => is_held = true,
                }
            }
            if !is_held && daemon.write_all(bytes).is_err() {
                break;
            }
            if is_wanted && self.hold != Hold::Answer {
                self.reached.store(true, Ordering::Release);
            }
        }
        drop(daemon.shutdown(Shutdown::Both));
    }

    fn hold_back(&self) {
        let mut closed = self.closed.lock().expect("not poisoned");
        while !*closed {
            closed = self.closing.wait_timeout(closed, Duration::from_secs(60)).expect("not poisoned").0;
        }
    }
}
