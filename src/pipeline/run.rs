//! Owns `--run`: starting what was built and handing through streams, signals and the exit code.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::Built;
use super::sandbox::{SandboxRun, sandbox_settings};
use crate::engine::docker::{Program, ProgramOptions};
use crate::engine::sandbox::{SandboxEngine, SandboxProgram};
use crate::engine::{EngineError, ProgramStreams};
use crate::error::Error;
use crate::fs::Lease;
use crate::request::Request;
use crate::session::Session;
use crate::transport::Transport;

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

/// Starts what was built, waits for its end and returns its exit code: in the daemon if the image went there, else in
/// the sandbox.
///
/// # Errors
/// [`Error`] if it cannot be started.
pub async fn run(built: &Built, streams: RunStreams, session: &Session) -> Result<i64, Error> {
    if let Some(image) = built.runnable.as_ref().filter(|_| !built.outputs.iter().any(Transport::is_daemon)) {
        let lease = session.lease()?;
        let run = run_in_sandbox(image, &built.ports, streams, &lease, session).await;
        return run.map_err(|error| Error::Program { error, outputs: built.outputs.clone() });
    }
    let daemon = session.find_daemon().await?.ok_or(Error::NoDaemon)?;
    let lease = session.lease()?;
    let options = ProgramOptions { stdin: true, lease: lease.id().to_owned(), ..ProgramOptions::default() };
    let program = Program::create(&daemon, &built.image_id.to_string(), options).await?;
    let handle = program.handle();
    let RunStreams { stdin, stdout, stderr, mut signals, .. } = streams;
    let running = program.run(ProgramStreams { stdin, stdout, stderr }, &session.events);
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
            session.events.warning(error.to_string(), None);
        }
    }
}

/// Refuses a network that the program will not have, before anything is built for it; `reaches_daemon` says whether a
/// daemon gets the image, and so runs it.
pub(crate) fn check_network(request: &Request, reaches_daemon: bool) -> Result<(), Error> {
    if !request.run || reaches_daemon {
        return Ok(());
    }
    crate::engine::sandbox::check_network(request.limits.network.as_deref()).map_err(Error::ProgramNetwork)
}

async fn run_in_sandbox(
    runnable: &SandboxRun,
    ports: &[String],
    streams: RunStreams,
    lease: &Lease,
    session: &Session,
) -> Result<i64, EngineError> {
    let SandboxRun { image, network, allow_root } = runnable;
    let events = &session.events;
    // The date is of what a script leaves; what a program leaves is thrown away.
    let settings = sandbox_settings(session, lease, 0, *allow_root);
    let engine = SandboxEngine::new(settings, image.clone(), events.clone());
    let program = SandboxProgram::create(&engine, network.clone(), lease.id()).await?;
    events.note(where_it_runs(network.is_some(), ports));
    let RunStreams { stdin, stdout, stderr, signals } = streams;
    program.run(ProgramStreams { stdin, stdout, stderr }, signals, events).await
}

/// What is worth knowing of the place where the program runs.
fn where_it_runs(has_network: bool, ports: &[String]) -> String {
    let place = "the program runs in b2i's sandbox, and what it writes is thrown away";
    match (has_network, ports) {
        (true, _) => format!("{place}; it has the network of this machine (`--network host`)"),
        (false, []) => format!("{place}; it has no network"),
        (false, ports) => {
            let ports = ports.join(", ");
            format!(
                "{place}; it has no network, so that nobody reaches {ports} (`--network host` gives it one)"
            )
        }
    }
}
