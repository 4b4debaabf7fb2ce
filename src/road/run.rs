//! Owns `--run`: starting what was built and handing through streams, signals and the exit code.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::{Built, Error, Surroundings};
use crate::engine::docker::{Program, ProgramOptions, ProgramStreams};
use crate::request::Output;

/// Streams and signals of a program that `--run` starts. There is no terminal: the streams are what b2i's own are.
pub struct RunStreams {
    /// What it reads.
    pub stdin: Box<dyn AsyncRead + Send + Unpin>,
    /// What it prints.
    pub stdout: Box<dyn AsyncWrite + Send + Unpin>,
    /// What it prints to standard error.
    pub stderr: Box<dyn AsyncWrite + Send + Unpin>,
    /// Signals to hand on, by their names (`SIGTERM`), those included that come before the program has started. If
    /// it ignores several requests to end, the call is dropped and `clean_up_after_signal` called.
    pub signals: mpsc::UnboundedReceiver<&'static str>,
}

/// Starts what was built, waits for its end and returns its exit code.
///
/// # Errors
/// [`Error`] if it cannot be started.
pub async fn run(built: &Built, streams: RunStreams, surroundings: &Surroundings) -> Result<i64, Error> {
    if !built.outputs.contains(&Output::Docker) {
        return Err(Error::NothingToRun);
    }
    let daemon = surroundings.find_daemon().await?.ok_or(Error::NoDaemon)?;
    let lease = surroundings.lease()?;
    let options = ProgramOptions { stdin: true, lease: lease.id().to_owned(), ..ProgramOptions::default() };
    let program = Program::create(&daemon, &built.image_id.to_string(), options).await?;
    let handle = program.handle();
    let RunStreams { stdin, stdout, stderr, mut signals, .. } = streams;
    let running = program.run(ProgramStreams { stdin, stdout, stderr }, &surroundings.events);
    tokio::pin!(running);
    loop {
        let next = async {
            handle.started().await;
            signals.recv().await
        };
        let signal = tokio::select! {
            code = &mut running => return Ok(code?),
            Some(signal) = next => signal,
        };
        // The program goes on, and so does waiting for it: its container is removed at its end.
        if let Err(error) = handle.signal(signal).await {
            surroundings.events.warning(error.to_string(), None);
        }
    }
}
