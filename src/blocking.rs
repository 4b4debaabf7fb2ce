//! Owns running blocking work on another thread, and stopping it when its future is dropped.
//! Must not know the work.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells work on another thread that its future was dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Fails if the work should stop.
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(io::Error::other("stopped")) } else { Ok(()) }
    }
}

/// Runs `work`, which is short or ends by itself, on a thread for blocking work. The caller panics if `work` panics.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    run_stoppable(|_| work()).await
}

/// Runs `work` like [`blocking`]. When the future is dropped, the work stops at its next check. So it does not write files
/// while the run cleans up.
pub(crate) async fn run_stoppable<T: Send + 'static>(work: impl FnOnce(&Stop) -> T + Send + 'static) -> T {
    struct StopOnDrop(Stop);
    impl Drop for StopOnDrop {
        fn drop(&mut self) {
            self.0.stop();
        }
    }
    let stop = Stop::default();
    let guard = StopOnDrop(stop.clone());
    let outcome = tokio::task::spawn_blocking(move || work(&stop)).await;
    drop(guard);
    match outcome {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // Only a runtime that shuts down cancels the work, and it drops this future, too.
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_stops_with_its_future() {
        let (ended, wait) = std::sync::mpsc::channel();
        let work = run_stoppable(move |stop| {
            while stop.check().is_ok() {
                std::thread::yield_now();
            }
            ended.send(()).expect("somebody waits");
        });
        drop(tokio::time::timeout(Duration::from_millis(20), work).await);
        wait.recv_timeout(Duration::from_secs(10)).expect("the work ended");
    }
}
