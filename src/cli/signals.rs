//! Owns signals: the first asks a command to end, the next ends it at once; with `--run` they are handed on.
//!
//! They are received by a thread of their own, so that they arrive even while the main thread computes. Commands
//! that hold nothing that could stay behind do not use this and end as every program does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::failure::CliError;
use crate::diagnostic::FailureKind;

/// A signal that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signal {
    /// Its name.
    pub(super) name: &'static str,
    /// The exit code of a command that it ends; nothing for a signal that only programs know what to do with.
    pub(super) exit_code: Option<u8>,
}

/// The signals of this process, from now on.
pub(super) struct Signals {
    receiver: mpsc::UnboundedReceiver<Signal>,
    is_relaying: Arc<AtomicBool>,
}

/// With `--run`: so many requests to end in a row end the program and b2i, in case the program ignores them.
const PATIENCE: u32 = 3;

/// Requests with more time between them are not in a row: some programs use Ctrl-C for things of their own.
const IN_A_ROW: Duration = Duration::from_secs(3);

impl Signals {
    /// Starts listening.
    ///
    /// # Errors
    /// An unexpected failure if the system gives no thread or no handler.
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

    /// Waits for a signal that asks for the end.
    pub(super) async fn end(&mut self) -> CliError {
        loop {
            match self.receiver.recv().await {
                Some(Signal { name, exit_code: Some(code) }) => {
                    return CliError::Stopped { code, signal: name };
                }
                Some(Signal { exit_code: None, .. }) => {}
                // The thread is gone; nothing will ever come.
                None => std::future::pending().await,
            }
        }
    }

    /// Hands every signal on, by name, until it was asked for the end so often in a row that the program seems to
    /// ignore it: then whoever called this should end it.
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

/// Counts requests to end that come in a row.
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

/// Sends every signal on, and ends the process where the one who gets them does not.
async fn forward(mut sources: Sources, sender: &mpsc::UnboundedSender<Signal>, is_relaying: &AtomicBool) {
    let mut building = 0;
    let mut running = Requests::default();
    loop {
        let signal = sources.next().await;
        if sender.send(signal).is_err() {
            // The command has ended; what is left is to end the process.
            end_at_once(signal);
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
            end_at_once(signal);
        }
    }
}

#[expect(
    clippy::exit,
    reason = "the user asked again, or nobody else listens; what is left behind is removed by a later run"
)]
fn end_at_once(signal: Signal) {
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
        /// The terminal is gone; none if b2i was started to outlive it, as `nohup` starts programs.
        hang_up: Option<Source>,
        quit: Source,
        user_1: Source,
        user_2: Source,
        /// A file became larger than `ulimit -f` allows. Never waited for: with a handler, the write fails and says so,
        /// where the signal would have ended b2i without a word and without a clean-up.
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

    /// Whether the signal was ignored when b2i was started, which only Linux tells: elsewhere the system's way stays.
    fn ignores_hang_up() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        // The lowest bit is that of signal 1.
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

    /// Ctrl-C is all there is.
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
