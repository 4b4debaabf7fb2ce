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
    /// The exit code of a command that it stops; `None` for SIGUSR1 and SIGUSR2, which are only passed on.
    pub(super) exit_code: Option<u8>,
}

/// The signals that this process receives.
pub(super) struct Signals {
    receiver: mpsc::UnboundedReceiver<Signal>,
    is_relaying: Arc<AtomicBool>,
}

/// With `--run`: b2i stops a program that ignores this number of consecutive requests to stop.
const PATIENCE: u32 = 3;

/// Longest time between consecutive requests: some programs use Ctrl-C for their own purposes.
const IN_A_ROW: Duration = Duration::from_secs(3);

impl Signals {
    /// Starts to listen.
    pub(super) fn listen() -> Result<Self, CliError> {
        let failed = |error| CliError::file(FailureKind::Unexpected, "cannot listen to signals", error);
        let (sender, receiver) = mpsc::unbounded_channel();
        let is_relaying = Arc::new(AtomicBool::new(false));
        let relaying = Arc::clone(&is_relaying);
        let (ready, is_ready) = std::sync::mpsc::channel();
        let listen = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let outcome = runtime.and_then(|runtime| {
                // Creating the sources installs the handlers, before the caller continues.
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
            // The send fails if the program has ended. Its exit code follows.
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

/// Passes every signal on, and exits if the receiver does not act on it.
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
    reason = "the user interrupted twice, or nothing else listens; a later run removes leftovers"
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
    use std::future::poll_fn;
    use std::task::Poll;

    use tokio::signal::unix::{Signal as Source, SignalKind, signal};

    use super::Signal;

    pub(super) struct Sources {
        signals: Vec<(Source, Signal)>,
        /// SIGXFSZ: a file exceeds `ulimit -f`. It is never awaited. With a handler, the write fails with an error.
        /// Without one, the signal kills b2i without clean-up.
        _file_size: Source,
    }

    pub(super) fn sources() -> std::io::Result<Sources> {
        let mut kinds = vec![
            (SignalKind::interrupt(), "SIGINT", Some(130)),
            (SignalKind::terminate(), "SIGTERM", Some(143)),
            (SignalKind::quit(), "SIGQUIT", Some(131)),
            (SignalKind::user_defined1(), "SIGUSR1", None),
            (SignalKind::user_defined2(), "SIGUSR2", None),
        ];
        // The terminal is closed. If b2i was started to outlive it, as by `nohup`, the signal stays ignored.
        if !ignores_hang_up() {
            kinds.push((SignalKind::hangup(), "SIGHUP", Some(129)));
        }
        let source = |(kind, name, exit_code)| Ok((signal(kind)?, Signal { name, exit_code }));
        let signals = kinds.into_iter().map(source).collect::<std::io::Result<_>>()?;
        let file_size = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        Ok(Sources { signals, _file_size: signal(file_size)? })
    }

    /// Whether SIGHUP was ignored when b2i was started. Only Linux reports it; elsewhere, the default handler stays.
    fn ignores_hang_up() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        // The lowest bit is signal 1.
        mask.is_none_or(|mask| mask & 1 == 1)
    }

    impl Sources {
        pub(super) async fn next(&mut self) -> Signal {
            poll_fn(|context| {
                let mut signals = self.signals.iter_mut();
                signals
                    .find_map(|(source, signal)| source.poll_recv(context).is_ready().then_some(*signal))
                    .map_or(Poll::Pending, Poll::Ready)
            })
            .await
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
