//! Owns running blocking work on a thread of its own, and ending it when nobody waits for it any more.
//!
//! Must not know what the work is.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells work on another thread that nobody waits for its result any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Fails if the work should end.
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(io::Error::other("stopped")) } else { Ok(()) }
    }
}

/// The event loop ended before the work did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped;

/// Runs `work` on a thread for blocking work. When the future is dropped, the work ends at its next check; so a
/// stopped run does not go on writing behind the back of its cleaning up.
pub(crate) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce(&Stop) -> T + Send + 'static,
) -> Result<T, Stopped> {
    struct StopOnDrop(Stop);
    impl Drop for StopOnDrop {
        fn drop(&mut self) {
            self.0.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = Stop::default();
    let guard = StopOnDrop(stop.clone());
    let outcome = tokio::task::spawn_blocking(move || work(&stop)).await;
    drop(guard);
    match outcome {
        Ok(result) => Ok(result),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Stopped),
    }
}

/// Runs `work` that is short, or ends by itself, on a thread for blocking work; a panic of it goes on here.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_that_nobody_waits_for_ends() {
        let (ended, wait) = std::sync::mpsc::channel();
        let work = run_blocking(move |stop| {
            while stop.check().is_ok() {
                std::thread::yield_now();
            }
            ended.send(()).expect("somebody waits");
        });
        drop(tokio::time::timeout(Duration::from_millis(20), work).await);
        wait.recv_timeout(Duration::from_secs(10)).expect("the work ended");
    }
}
