//! Owns the event loop: a command runs to its end or to a signal, which starts the clean-up.
//!
//! Must not outlive the command: blocked threads are not awaited.

use std::time::Duration;

use tokio::sync::mpsc;

use super::failure::CliError;
use super::signals::Signals;
use crate::diagnostic::FailureKind;
use crate::session::Session;

/// Time limit of the clean-up after a signal. Docker sends SIGKILL ten seconds after SIGTERM.
const CLEAN_UP_TIME: Duration = Duration::from_secs(8);

/// An event loop of one thread, and the signals of the process.
pub(super) struct Runtime {
    /// Taken by `drop` only.
    event_loop: Option<tokio::runtime::Runtime>,
    signals: Signals,
}

impl Runtime {
    /// Starts the event loop, in about a millisecond.
    pub(super) fn start() -> Result<Self, CliError> {
        let event_loop = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let event_loop = event_loop
            .map_err(|error| CliError::file(FailureKind::Unexpected, "cannot start the event loop", error))?;
        Ok(Self { event_loop: Some(event_loop), signals: Signals::listen()? })
    }

    /// Runs `work` to its end. A signal drops it, and the session cleans up.
    ///
    /// # Errors
    /// The error of the work, or [`CliError::Stopped`].
    pub(super) fn run<T, E: Into<CliError>>(
        &mut self,
        session: &Session,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CliError> {
        let event_loop = self.event_loop.as_ref().expect("it is taken only by `drop`");
        event_loop.block_on(until_stopped(session, work, self.signals.end()))
    }

    /// Runs the future of `work` and passes it the signals. If several signals do not end it, it is dropped.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(super) fn run_with_signals<T, E: Into<CliError>, F: Future<Output = Result<T, E>>>(
        &mut self,
        session: &Session,
        work: impl FnOnce(mpsc::UnboundedReceiver<&'static str>) -> F,
    ) -> Result<T, CliError> {
        let event_loop = self.event_loop.as_ref().expect("it is taken only by `drop`");
        event_loop.block_on(async {
            let (sender, receiver) = mpsc::unbounded_channel();
            until_stopped(session, work(receiver), self.signals.relay_to(sender)).await
        })
    }
}

async fn until_stopped<T, E: Into<CliError>>(
    session: &Session,
    work: impl Future<Output = Result<T, E>>,
    stop: impl Future<Output = CliError>,
) -> Result<T, CliError> {
    let stopped = tokio::select! {
        // Finished work counts, even if a signal arrives at the same moment.
        biased;
        result = work => return result.map_err(Into::into),
        stopped = stop => stopped,
    };
    session.events.note("stopping and cleaning up; interrupt again to exit at once");
    // Bounded: a daemon that does not answer must not block the exit. A later run removes the rest.
    session.abort(CLEAN_UP_TIME).await;
    Err(stopped)
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Threads may still read, hash or wait for standard input.
        if let Some(event_loop) = self.event_loop.take() {
            event_loop.shutdown_background();
        }
    }
}

#[cfg(all(test, unix))]
mod tests;
