//! Owns running a command's asynchronous work to its end or to a signal, with the clean-up that follows one.

use std::time::Duration;

use tokio::sync::mpsc;

use super::failure::CliError;
use super::signals::Signals;
use crate::failure::FailureKind;
use crate::road::{self, Surroundings};

/// How long the clean-up after a signal may take. Docker sends SIGKILL ten seconds after SIGTERM.
const CLEAN_UP_TIME: Duration = Duration::from_secs(8);

/// An event loop of one thread, and the process's signals.
pub(super) struct Runtime {
    /// Taken when this is dropped.
    event_loop: Option<tokio::runtime::Runtime>,
    signals: Signals,
}

impl Runtime {
    /// Starts it. Costs about a millisecond, so that commands that need none do without.
    ///
    /// # Errors
    /// An unexpected failure if the system refuses what is needed for it.
    pub(super) fn start() -> Result<Self, CliError> {
        let event_loop = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let event_loop = event_loop
            .map_err(|error| CliError::file(FailureKind::Unexpected, "cannot start the event loop", error))?;
        Ok(Self { event_loop: Some(event_loop), signals: Signals::listen()? })
    }

    /// Runs `work` to its end. On a signal it is dropped where it stands, and the road cleans up behind it.
    ///
    /// # Errors
    /// What the work fails with, or [`CliError::Stopped`].
    pub(super) fn run<T, E: Into<CliError>>(
        &mut self,
        surroundings: &Surroundings,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CliError> {
        let event_loop = self.event_loop.as_ref().expect("it is taken only when this is dropped");
        event_loop.block_on(async {
            let stopped = tokio::select! {
                // Finished work is finished, also when a signal comes at the same moment.
                biased;
                result = work => return result.map_err(Into::into),
                stopped = self.signals.end() => stopped,
            };
            // Bounded: a daemon that does not answer must not keep the process; a later run removes the rest.
            let _ = tokio::time::timeout(CLEAN_UP_TIME, road::clean_up_after_signal(surroundings)).await;
            Err(stopped)
        })
    }

    /// Runs the future that `work` makes to its end and hands it the signals instead of acting on them.
    ///
    /// # Errors
    /// What the work fails with.
    pub(super) fn run_with_signals<T, E: Into<CliError>, F: Future<Output = Result<T, E>>>(
        &mut self,
        work: impl FnOnce(mpsc::UnboundedReceiver<&'static str>) -> F,
    ) -> Result<T, CliError> {
        let event_loop = self.event_loop.as_ref().expect("it is taken only when this is dropped");
        event_loop.block_on(async {
            let (sender, receiver) = mpsc::unbounded_channel();
            let work = work(receiver);
            let relay = self.signals.relay_to(sender);
            tokio::select! {
                result = work => result.map_err(Into::into),
                never = relay => match never {},
            }
        })
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Threads that still read or hash for a dropped future, or wait for standard input, are not waited for.
        if let Some(event_loop) = self.event_loop.take() {
            event_loop.shutdown_background();
        }
    }
}
