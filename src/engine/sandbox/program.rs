//! Owns running a finished image in the sandbox (`--run`): streams, signals, exit code, removal.
//!
//! The program is process 1 of its container. Its changes are discarded. Must not touch the streams or signals of
//! b2i's own process.

use std::convert::Infallible;
use std::os::fd::OwnedFd;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::{mpsc, oneshot};

use super::SandboxEngine;
use super::container::SandboxContainer;
use super::error::SandboxError;
use super::protocol::{Answer, Command, Request, Streams};
use crate::engine::{Container, ContainerSpec, EngineError, ProgramStreams};
use crate::events::{Events, Step};

/// Bytes of one read.
const PIECE: usize = 64 * 1024;

/// A container of a finished image that is not started yet.
#[derive(Debug)]
pub struct SandboxProgram {
    container: SandboxContainer,
    command: Command,
}

impl SandboxProgram {
    /// Creates a container of the engine's image, whose top layer is not cached. Fails if the image has no command.
    pub async fn create(
        engine: &SandboxEngine,
        network: Option<String>,
        lease: &str,
    ) -> Result<Self, SandboxError> {
        let config = &engine.image.config;
        let command: Vec<String> = ["Entrypoint", "Cmd"].iter().flat_map(|part| config.list(part)).collect();
        if command.is_empty() {
            return Err(SandboxError::NoProgram { image: engine.image.name.clone() });
        }
        let spec = ContainerSpec {
            image: engine.image.name.clone(),
            command,
            network,
            lease: lease.to_owned(),
            ..ContainerSpec::default()
        };
        let container = engine.create_container(spec, true).await?;
        // Limits of scripts do not apply. Docker has none for programs either.
        let command =
            Command { processes: None, milliseconds: None, streams: Streams::Piped, ..container.command() };
        Ok(Self { container, command })
    }

    /// Runs it to its end, removes the container and returns the exit code. Earlier signals wait for the program.
    pub async fn run(
        self,
        streams: ProgramStreams,
        signals: mpsc::UnboundedReceiver<&'static str>,
        events: &Events,
    ) -> Result<i64, EngineError> {
        let Self { container, command } = self;
        let step = events.start(Step::Run, container.spec.image.clone(), None);
        let code = run_to_end(&container, command, streams, signals).await;
        let removed = Box::new(container).remove().await;
        let code = code?;
        removed?;
        step.finish(format!("ended with exit code {code}"));
        Ok(code)
    }
}

async fn run_to_end(
    container: &SandboxContainer,
    command: Command,
    streams: ProgramStreams,
    signals: mpsc::UnboundedReceiver<&'static str>,
) -> Result<i64, EngineError> {
    let (sender, receiver) = oneshot::channel();
    let answer = container.request::<_, SandboxError>(move |supervisor| {
        let action = "run the program";
        supervisor.send(&Request::Run(Box::new(command)), action)?;
        match supervisor.answer(action)? {
            Answer::Streams => {}
            // The reason why it did not start.
            answer => return Ok(answer),
        }
        // The receiver may be gone.
        let _ = sender.send(supervisor.files(action)?);
        supervisor.answer(action)
    });
    let (started_sender, started) = oneshot::channel();
    let pumped = async {
        // Without streams, the answer has the reason.
        let Ok(ends) = receiver.await else { return Ok(()) };
        // The receiver is gone if the program has ended.
        let _ = started_sender.send(());
        pump(ends, streams).await
    };
    let ended = async {
        let (answer, pumped) = tokio::join!(answer, pumped);
        let ended = container.exit_status(answer?, Vec::new())?;
        pumped?;
        Ok(ended.exit_code)
    };
    tokio::select! {
        code = ended => code,
        never = forward(container, started, signals) => match never {},
    }
}

/// Forwards bytes until the output ends, which is when all processes have ended.
async fn pump(ends: [OwnedFd; 3], streams: ProgramStreams) -> Result<(), SandboxError> {
    let failed = |error: std::io::Error| SandboxError::Other {
        action: "connect the program's streams".into(),
        reason: error.to_string(),
    };
    let [stdin, stdout, stderr] = ends;
    let stdin = Sender::from_owned_fd(stdin).map_err(failed)?;
    let stdout = Receiver::from_owned_fd(stdout).map_err(failed)?;
    let stderr = Receiver::from_owned_fd(stderr).map_err(failed)?;
    let printed = async { tokio::join!(print(stdout, streams.stdout), print(stderr, streams.stderr)) };
    // More input does not matter after the end.
    tokio::select! {
        ((), ()) = printed => Ok(()),
        never = feed(streams.stdin, stdin) => match never {},
    }
}

async fn feed(mut from: Box<dyn AsyncRead + Send + Unpin>, mut to: Sender) -> Infallible {
    // The program may have ended, or may not read its input.
    let _ = tokio::io::copy(&mut from, &mut to).await;
    drop(to);
    std::future::pending().await
}

/// Forwards each piece at once. A closed output does not stop the program.
async fn print(mut from: Receiver, mut to: Box<dyn AsyncWrite + Send + Unpin>) {
    let mut buffer = vec![0; PIECE];
    while let Ok(count) = from.read(&mut buffer).await
        && count > 0
    {
        if to.write_all(&buffer[..count]).await.is_ok() {
            let _ = to.flush().await;
        }
    }
}

/// Forwards signals after the start: until then, the start request uses the channel. Never ends.
async fn forward(
    container: &SandboxContainer,
    started: oneshot::Receiver<()>,
    mut signals: mpsc::UnboundedReceiver<&'static str>,
) -> Infallible {
    if started.await.is_err() {
        return std::future::pending().await;
    }
    while let Some(name) = signals.recv().await {
        if let Some(number) = number(name) {
            // A lost container is reported to the wait for the program.
            let _ = container.supervisor.send(&Request::Signal(number), "send a signal");
        }
    }
    std::future::pending().await
}

/// The number of a signal that b2i forwards.
fn number(name: &str) -> Option<u8> {
    let number = match name {
        "SIGHUP" => libc::SIGHUP,
        "SIGINT" => libc::SIGINT,
        "SIGKILL" => libc::SIGKILL,
        "SIGQUIT" => libc::SIGQUIT,
        "SIGTERM" => libc::SIGTERM,
        "SIGUSR1" => libc::SIGUSR1,
        "SIGUSR2" => libc::SIGUSR2,
        _ => return None,
    };
    u8::try_from(number).ok()
}
