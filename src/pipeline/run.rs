//! Owns `--run`: starts the image, and connects streams, signals and exit code. Must not build.

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

/// Streams and signals of the program. It has no terminal.
pub struct RunStreams {
    pub stdin: Box<dyn AsyncRead + Send + Unpin>,
    pub stdout: Box<dyn AsyncWrite + Send + Unpin>,
    pub stderr: Box<dyn AsyncWrite + Send + Unpin>,
    /// Signals by name (`SIGTERM`), including those before the program starts. If the program ignores several, the caller
    /// drops the call and calls `clean_up_after_signal`.
    pub signals: mpsc::UnboundedReceiver<&'static str>,
}

/// Starts the image, waits for the program and returns its exit code. Runs in the daemon if it has the image, else in the
/// sandbox.
///
/// # Errors
/// [`Error`] if the program cannot start.
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
        // The program continues. Its end removes the container, so keep waiting.
        if let Err(error) = handle.signal(signal).await {
            session.events.warning(error.to_string(), None);
        }
    }
}

/// Rejects a network that the sandbox does not support, before the build. With `reaches_daemon`, a daemon runs the program.
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
    // The date is for new files, and the sandbox discards a program's files.
    let settings = sandbox_settings(session, lease, 0, *allow_root);
    let engine = SandboxEngine::new(settings, image.clone(), events.clone());
    let program = SandboxProgram::create(&engine, network.clone(), lease.id()).await?;
    events.note(where_it_runs(network.is_some(), ports));
    let RunStreams { stdin, stdout, stderr, signals } = streams;
    program.run(ProgramStreams { stdin, stdout, stderr }, signals, events).await
}

/// The note about the program's sandbox.
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
