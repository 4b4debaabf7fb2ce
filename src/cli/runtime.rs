//! Owns running a command's asynchronous work to its end or to a signal, with the clean-up that follows one.

use std::time::Duration;

use tokio::sync::mpsc;

use super::failure::CliError;
use super::signals::Signals;
use crate::diagnostic::FailureKind;
use crate::session::Session;

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
        session: &Session,
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
            clean_up(session).await;
            Err(stopped)
        })
    }

    /// Runs the future that `work` makes to its end and hands it the signals instead of acting on them. If it does
    /// not end after several, it is dropped like any other work.
    ///
    /// # Errors
    /// What the work fails with, or [`CliError::Stopped`].
    pub(super) fn run_with_signals<T, E: Into<CliError>, F: Future<Output = Result<T, E>>>(
        &mut self,
        session: &Session,
        work: impl FnOnce(mpsc::UnboundedReceiver<&'static str>) -> F,
    ) -> Result<T, CliError> {
        let event_loop = self.event_loop.as_ref().expect("it is taken only when this is dropped");
        event_loop.block_on(async {
            let (sender, receiver) = mpsc::unbounded_channel();
            let work = work(receiver);
            let stopped = tokio::select! {
                biased;
                result = work => return result.map_err(Into::into),
                stopped = self.signals.relay_to(sender) => stopped,
            };
            clean_up(session).await;
            Err(stopped)
        })
    }
}

/// Bounded: a daemon that does not answer must not keep the process; a later run removes the rest.
async fn clean_up(session: &Session) {
    session.events.note("stopping and cleaning up; interrupt again to exit at once");
    session.abort(CLEAN_UP_TIME).await;
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Threads that still read or hash for a dropped future, or wait for standard input, are not waited for.
        if let Some(event_loop) = self.event_loop.take() {
            event_loop.shutdown_background();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::sync::{Arc, Mutex};

    use rustix::process::{Signal, getpid, kill_process};

    use super::*;
    use crate::events::{Event, Events};
    use crate::host::Host;

    fn send(signal: Signal) {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            kill_process(getpid(), signal).expect("a process may signal itself");
        });
    }

    /// One test, because a signal goes to every runtime of the process.
    #[test]
    fn signals_stop_work_or_are_handed_on() {
        let notes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&notes);
        let events = Events::new(move |event| {
            if let Event::Note { message } = event {
                seen.lock().expect("no thread panicked").push(message);
            }
        });
        let session = Host::new("unused").session(events);
        let mut runtime = Runtime::start().expect("starting");

        let finished: Result<u8, CliError> = runtime.run(&session, async { Ok::<_, CliError>(7) });
        assert_eq!(finished.expect("it did not fail"), 7);

        // A guard as temporary files and containers have it: dropping the work drops it.
        struct Guard(Arc<Mutex<Vec<String>>>);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.lock().expect("no thread panicked").push("dropped".into());
            }
        }
        let guard = Guard(Arc::clone(&notes));
        send(Signal::TERM);
        let stopped: Result<(), CliError> = runtime.run(&session, async move {
            let _guard = guard;
            std::future::pending::<Result<(), CliError>>().await
        });
        assert_eq!(stopped.expect_err("it was stopped").exit_code(), 143);
        let notes = notes.lock().expect("no thread panicked").clone();
        assert_eq!(notes, ["dropped", "stopping and cleaning up; interrupt again to exit at once"]);

        send(Signal::USR1);
        let name = runtime.run_with_signals(&session, |mut signals| async move {
            signals.recv().await.ok_or_else(|| CliError::usage("no signal came"))
        });
        assert_eq!(name.expect("one came"), "SIGUSR1");
    }
}
