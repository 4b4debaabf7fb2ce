//! Owns signals: the first asks a command to end, the next ends it at once; with `--run` they are handed on.
//!
//! They are received by a thread of their own, so that they arrive even while the main thread computes. Commands
//! that hold nothing that could stay behind do not use this and end as every program does.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::failure::CliError;
use crate::failure::FailureKind;

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

/// With `--run`: so many requests to end in a row end b2i itself, in case the program ignores them.
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

    /// Hands every signal on, by name, for as long as this is polled and from then on.
    pub(super) async fn relay_to(&mut self, sender: mpsc::UnboundedSender<&'static str>) -> Infallible {
        self.is_relaying.store(true, Ordering::Release);
        while let Some(signal) = self.receiver.recv().await {
            // A program that has ended needs no signals; its exit code is on its way.
            let _ = sender.send(signal.name);
        }
        std::future::pending().await
    }
}

/// Sends every signal on, and ends the process where the one who gets them does not.
async fn forward(mut sources: Sources, sender: &mpsc::UnboundedSender<Signal>, is_relaying: &AtomicBool) {
    let mut requests = 0;
    let mut last_request = Instant::now();
    loop {
        let signal = sources.next().await;
        if sender.send(signal).is_err() {
            // The command has ended; what is left is to end the process.
            end_at_once(signal);
        }
        if signal.exit_code.is_none() {
            continue;
        }
        let is_relaying = is_relaying.load(Ordering::Acquire);
        if is_relaying && last_request.elapsed() > IN_A_ROW {
            requests = 0;
        }
        requests += 1;
        last_request = Instant::now();
        if requests >= if is_relaying { PATIENCE } else { 2 } {
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
        quit: Source,
        user_1: Source,
        user_2: Source,
    }

    pub(super) fn sources() -> std::io::Result<Sources> {
        Ok(Sources {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            user_1: signal(SignalKind::user_defined1())?,
            user_2: signal(SignalKind::user_defined2())?,
        })
    }

    impl Sources {
        pub(super) async fn next(&mut self) -> Signal {
            tokio::select! {
                _ = self.interrupt.recv() => Signal { name: "SIGINT", exit_code: Some(130) },
                _ = self.terminate.recv() => Signal { name: "SIGTERM", exit_code: Some(143) },
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
