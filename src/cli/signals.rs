//! Owns signals: the first one stops a command, the second one exits; with `--run` they are passed to the program.
//!
//! Must not depend on the main thread: a thread of its own receives signals while the main thread computes. Commands that
//! leave nothing behind keep the default handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::failure::CliError;
use crate::diagnostic::FailureKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signal {
    pub(super) name: &'static str,
    /// The exit code of a command that it stops; nothing for SIGUSR1 and SIGUSR2, which are only passed on.
    pub(super) exit_code: Option<u8>,
}

/// The signals that this process receives.
pub(super) struct Signals {
    receiver: mpsc::UnboundedReceiver<Signal>,
    is_relaying: Arc<AtomicBool>,
}

/// With `--run`: number of consecutive requests to stop after which b2i stops a program that ignores them.
const PATIENCE: u32 = 3;

/// Longest time between consecutive requests: some programs use Ctrl-C for their own purposes.
const IN_A_ROW: Duration = Duration::from_secs(3);

impl Signals {
    /// Starts to listen.
    ///
    /// # Errors
    /// An unexpected failure if the system has no thread or handler left.
    pub(super) fn listen() -> Result<Self, CliError> {
        let failed = |error| CliError::file(FailureKind::Unexpected, "cannot listen to signals", error);
        let (sender, receiver) = mpsc::unbounded_channel();
        let is_relaying = Arc::new(AtomicBool::new(false));
        let relaying = Arc::clone(&is_relaying);
        let (ready, is_ready) = std::sync::mpsc::channel();
        let listen = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let outcome = runtime.and_then(|runtime| {
                // The handlers are installed when the sources are made, before the caller goes on.
                let sources = runtime.block_on(async { sources() })?;
                Ok((runtime, sources))
            });
            match outcome {
                Ok((runtime, sources)) => {
                    let _ = ready.send(Ok(()));
                    runtime.block_on(forward(sources, &sender, &relaying));
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(listen).map_err(failed)?;
        match is_ready.recv() {
            Ok(outcome) => outcome.map_err(failed)?,
            Err(error) => return Err(failed(std::io::Error::other(error))),
        }
        Ok(Self { receiver, is_relaying })
    }

    /// Waits for a signal that stops a command.
    pub(super) async fn end(&mut self) -> CliError {
        loop {
            match self.receiver.recv().await {
                Some(Signal { name, exit_code: Some(code) }) => {
                    return CliError::Stopped { code, signal: name };
                }
                Some(Signal { exit_code: None, .. }) => {}
                // The thread has ended: no signal will come.
                None => std::future::pending().await,
            }
        }
    }

    /// Passes every signal on, by name. Returns after [`PATIENCE`] consecutive requests to stop: the caller then stops the
    /// program.
    pub(super) async fn relay_to(&mut self, sender: mpsc::UnboundedSender<&'static str>) -> CliError {
        self.is_relaying.store(true, Ordering::Release);
        let mut requests = Requests::default();
        while let Some(signal) = self.receiver.recv().await {
            if let Some(code) = signal.exit_code
                && requests.count() >= PATIENCE
            {
                return CliError::Stopped { code, signal: signal.name };
            }
            // A program that has ended needs no signals; its exit code is on its way.
            let _ = sender.send(signal.name);
        }
        std::future::pending().await
    }
}

/// Counts consecutive requests to stop.
#[derive(Default)]
struct Requests {
    number: u32,
    last: Option<Instant>,
}

impl Requests {
    fn count(&mut self) -> u32 {
        if self.last.is_some_and(|last| last.elapsed() > IN_A_ROW) {
            self.number = 0;
        }
        self.last = Some(Instant::now());
        self.number += 1;
        self.number
    }
}

/// Sends every signal on, and exits if the receiver does not act on it.
async fn forward(mut sources: Sources, sender: &mpsc::UnboundedSender<Signal>, is_relaying: &AtomicBool) {
    let mut building = 0;
    let mut running = Requests::default();
    loop {
        let signal = sources.next().await;
        if sender.send(signal).is_err() {
            // The command has ended; only the process is left.
            exit_at_once(signal);
        }
        if signal.exit_code.is_none() {
            continue;
        }
        let is_too_often = if is_relaying.load(Ordering::Acquire) {
            running.count() > PATIENCE
        } else {
            building += 1;
            building > 1
        };
        if is_too_often {
            exit_at_once(signal);
        }
    }
}

#[expect(
    clippy::exit,
    reason = "the user asked twice, or nothing else listens; a later run removes leftovers"
)]
fn exit_at_once(signal: Signal) {
    if let Some(code) = signal.exit_code {
        std::process::exit(code.into());
    }
}

#[cfg(unix)]
use unix::{Sources, sources};

#[cfg(unix)]
mod unix {
    use tokio::signal::unix::{Signal as Source, SignalKind, signal};

    use super::Signal;

    /// One source a signal.
    pub(super) struct Sources {
        interrupt: Source,
        terminate: Source,
        /// The terminal is closed. Not handled if b2i was started to outlive it, as by `nohup`.
        hang_up: Option<Source>,
        quit: Source,
        user_1: Source,
        user_2: Source,
        /// A file exceeds `ulimit -f`. Never awaited: with a handler installed, the write fails with an error instead of
        /// killing b2i without clean-up.
        _file_size: Source,
    }

    pub(super) fn sources() -> std::io::Result<Sources> {
        Ok(Sources {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: if ignores_hang_up() { None } else { Some(signal(SignalKind::hangup())?) },
            quit: signal(SignalKind::quit())?,
            user_1: signal(SignalKind::user_defined1())?,
            user_2: signal(SignalKind::user_defined2())?,
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// Whether SIGHUP was ignored when b2i was started. Only Linux tells; elsewhere, the default handler stays.
    fn ignores_hang_up() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        // The lowest bit is signal 1.
        mask.is_none_or(|mask| mask & 1 == 1)
    }

    async fn hung_up(source: &mut Option<Source>) {
        match source {
            Some(source) => drop(source.recv().await),
            None => std::future::pending().await,
        }
    }

    impl Sources {
        pub(super) async fn next(&mut self) -> Signal {
            tokio::select! {
                _ = self.interrupt.recv() => Signal { name: "SIGINT", exit_code: Some(130) },
                _ = self.terminate.recv() => Signal { name: "SIGTERM", exit_code: Some(143) },
                () = hung_up(&mut self.hang_up) => Signal { name: "SIGHUP", exit_code: Some(129) },
                _ = self.quit.recv() => Signal { name: "SIGQUIT", exit_code: Some(131) },
                _ = self.user_1.recv() => Signal { name: "SIGUSR1", exit_code: None },
                _ = self.user_2.recv() => Signal { name: "SIGUSR2", exit_code: None },
            }
        }
    }
}

#[cfg(not(unix))]
use other::{Sources, sources};

#[cfg(not(unix))]
mod other {
    use super::Signal;

    /// Only Ctrl-C.
    pub(super) struct Sources;

    pub(super) fn sources() -> std::io::Result<Sources> {
        Ok(Sources)
    }

    impl Sources {
        pub(super) async fn next(&mut self) -> Signal {
            match tokio::signal::ctrl_c().await {
                Ok(()) => Signal { name: "SIGINT", exit_code: Some(130) },
                Err(_) => std::future::pending().await,
            }
        }
    }
}
