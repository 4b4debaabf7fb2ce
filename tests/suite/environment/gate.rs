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
    progress: Mutex<Progress>,
    changing: Condvar,
}

/// What the threads of a gate wait for.
#[derive(Debug, Default)]
struct Progress {
    /// The gate is being dropped.
    is_closed: bool,
    /// Whoever sent the request is gone.
    is_left: bool,
    /// The daemon has ended with the request.
    is_settled: bool,
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
            progress: Mutex::default(),
            changing: Condvar::new(),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.progress.lock().expect("not poisoned").is_closed {
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

    /// Waits until the daemon has ended with the request, whose sender is gone: what it was asked for last, it still
    /// does.
    pub(crate) fn wait_until_settled(&self) {
        const PATIENCE: Duration = Duration::from_secs(120);
        let progress = self.state.progress.lock().expect("not poisoned");
        let waited = self.state.changing.wait_timeout_while(progress, PATIENCE, |now| !now.is_settled);
        let is_settled = waited.expect("not poisoned").0.is_settled;
        assert!(is_settled, "the daemon does not end with `{}`", self.state.request);
    }

    /// Whether the request has come (and with [`Hold::Answer`] its answer).
    pub(crate) fn is_reached(&self) -> bool {
        self.state.reached.load(Ordering::Acquire)
    }
}

impl Drop for DaemonGate {
    fn drop(&mut self) {
        self.state.change(|progress| progress.is_closed = true);
        drop(UnixStream::connect(self.directory.path().join("gate.sock")));
    }
}

impl State {
    fn connect(self: Arc<Self>, mut client: UnixStream) {
        if self.hold == Hold::Everything && self.reached.load(Ordering::Acquire) {
            return self.hold_back(|_| false);
        }
        let mut daemon = UnixStream::connect(&self.daemon).expect("the daemon listens");
        let is_own = Arc::new(AtomicBool::new(false));
        let (answers, to_client) = (daemon.try_clone().expect("cloned"), client.try_clone().expect("cloned"));
        let (state, own) = (Arc::clone(&self), Arc::clone(&is_own));
        std::thread::spawn(move || state.pass_answers(answers, to_client, &own));
        let (mut buffer, mut is_held) = ([0; 64 * 1024], false);
        while let Some(count) = client.read(&mut buffer).ok().filter(|count| *count > 0) {
            let bytes = &buffer[..count];
            let is_wanted = !self.reached.load(Ordering::Acquire)
                && bytes.windows(self.request.len()).any(|part| part == self.request.as_bytes());
            if is_wanted {
                is_own.store(true, Ordering::Release);
                is_held = matches!(self.hold, Hold::Request | Hold::Everything);
            }
            if !is_held && daemon.write_all(bytes).is_err() {
                break;
            }
            if is_wanted && self.hold != Hold::Answer {
                self.reached.store(true, Ordering::Release);
            }
        }
        if is_own.load(Ordering::Acquire) {
            // The daemon sees that its client is gone, and closes the connection when it has ended with the request.
            drop(daemon.shutdown(Shutdown::Write));
            self.change(|progress| progress.is_left = true);
        } else {
            drop(daemon.shutdown(Shutdown::Both));
        }
    }

    /// Passes the daemon's answers on to its end; `is_own` says that the request is this connection's.
    fn pass_answers(&self, mut answers: UnixStream, mut to_client: UnixStream, is_own: &AtomicBool) {
        let mut buffer = [0; 64 * 1024];
        while let Some(count) = answers.read(&mut buffer).ok().filter(|count| *count > 0) {
            if self.hold == Hold::Answer && is_own.load(Ordering::Acquire) {
                self.reached.store(true, Ordering::Release);
                self.hold_back(|progress| progress.is_left);
            } else if to_client.write_all(&buffer[..count]).is_err() && !is_own.load(Ordering::Acquire) {
                break;
            }
        }
        drop(to_client.shutdown(Shutdown::Both));
        if is_own.load(Ordering::Acquire) {
            self.change(|progress| progress.is_settled = true);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().expect("not poisoned"));
        self.changing.notify_all();
    }

    /// Waits until the gate is closed, or something else is so.
    fn hold_back(&self, is_so: impl Fn(&Progress) -> bool) {
        let progress = self.progress.lock().expect("not poisoned");
        let waited = self.changing.wait_while(progress, |now| !now.is_closed && !is_so(now));
        drop(waited.expect("not poisoned"));
    }
}
