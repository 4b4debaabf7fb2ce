//! Owns running a finished image on a daemon (`--run`): streams, signals, exit code, ports, removal. Must not touch
//! the terminal or the signals of b2i's own process.

use std::collections::HashMap;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptions, KillContainerOptionsBuilder, StartContainerOptions,
};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

use super::container::{start_error, wait};
use super::ulimits;
use crate::engine::{EngineError, ProgramStreams};
use crate::events::{Events, Step};
use crate::store::daemon::{Daemon, DaemonError, LEASE_LABEL, remove_container};

/// How long b2i waits for output after the program has ended.
const OUTPUT_GRACE: Duration = Duration::from_secs(5);

/// Options of a program that `--run` starts.
#[derive(Clone, Debug, Default)]
pub struct ProgramOptions {
    /// Replace the image's command; empty means the image's own.
    pub args: Vec<String>,
    pub stdin: bool,
    pub lease: String,
}

/// A container of a finished image that is not started yet.
#[derive(Debug)]
pub struct Program {
    handle: ProgramHandle,
    is_started: watch::Sender<bool>,
    image: String,
    options: ProgramOptions,
}

/// Sends signals to a running program from another task.
#[derive(Clone, Debug)]
pub struct ProgramHandle {
    daemon: Daemon,
    id: String,
    is_started: watch::Receiver<bool>,
}

impl ProgramHandle {
    /// Waits until the program has started or cannot start any more. A daemon drops earlier signals.
    pub async fn started(&self) {
        // An error means that the program has ended.
        let _ = self.is_started.clone().wait_for(|is_started| *is_started).await;
    }

    /// Sends a signal, such as `SIGTERM`, unless the program has ended.
    pub async fn signal(&self, name: &str) -> Result<(), DaemonError> {
        let options = KillContainerOptionsBuilder::default().signal(name).build();
        match self.daemon.client().kill_container(&self.id, Some(options)).await {
            Ok(()) => Ok(()),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
            Err(error) => Err(self.daemon.request_error(format!("send {name} to the program"), &error)),
        }
    }

    pub async fn remove(&self) -> Result<(), DaemonError> {
        remove_container(&self.daemon, &self.id).await
    }
}

impl Program {
    /// Creates a container of an image (ID or name) and publishes all exposed ports.
    pub async fn create(daemon: &Daemon, image: &str, options: ProgramOptions) -> Result<Self, DaemonError> {
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            cmd: (!options.args.is_empty()).then(|| options.args.clone()),
            attach_stdin: Some(options.stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            open_stdin: Some(options.stdin),
            stdin_once: Some(options.stdin),
            tty: Some(false),
            labels: Some(HashMap::from([(LEASE_LABEL.to_owned(), options.lease.clone())])),
            host_config: Some(HostConfig {
                publish_all_ports: Some(true),
                ulimits: ulimits(daemon),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let client = daemon.client().clone();
        let create = async move { client.create_container(None::<CreateContainerOptions>, body).await };
        let created = daemon.finish(create).await;
        let created = created
            .map_err(|error| daemon.request_error(format!("create a container of {image}"), &error))?;
        let (is_started, started) = watch::channel(false);
        let handle = ProgramHandle { daemon: daemon.clone(), id: created.id, is_started: started };
        Ok(Self { handle, is_started, image: image.to_owned(), options })
    }

    pub fn handle(&self) -> ProgramHandle {
        self.handle.clone()
    }

    /// Runs it to its end, removes the container and returns the exit code.
    pub async fn run(self, streams: ProgramStreams, events: &Events) -> Result<i64, EngineError> {
        let code = self.run_to_end(streams, events).await;
        let removed = self.handle.remove().await;
        let code = code?;
        removed?;
        Ok(code)
    }

    async fn run_to_end(&self, streams: ProgramStreams, events: &Events) -> Result<i64, EngineError> {
        let (daemon, id) = (&self.handle.daemon, &self.handle.id);
        let step = events.start(Step::Run, self.image.clone(), None);
        let options = AttachContainerOptionsBuilder::default()
            .stdin(self.options.stdin)
            .stdout(true)
            .stderr(true)
            .stream(true)
            .build();
        let attached = daemon.client().attach_container(id, Some(options)).await;
        let attached =
            attached.map_err(|error| start_error(daemon, &self.options.args, &self.image, &error))?;
        let started = daemon.client().start_container(id, None::<StartContainerOptions>).await;
        started.map_err(|error| start_error(daemon, &self.options.args, &self.image, &error))?;
        self.is_started.send_replace(true);
        self.note_ports(events).await;
        let input = self.options.stdin.then(|| tokio::spawn(feed(streams.stdin, attached.input)));
        let printing = print(attached.output, streams.stdout, streams.stderr);
        tokio::pin!(printing);
        let ended = wait(daemon, id);
        tokio::pin!(ended);
        let code = tokio::select! {
            () = &mut printing => ended.await,
            code = &mut ended => {
                let _ = tokio::time::timeout(OUTPUT_GRACE, printing).await;
                code
            }
        };
        if let Some(input) = input {
            input.abort();
        }
        let code = code.map_err(|error| daemon.request_error("wait for the program", &error))?;
        step.finish(format!("ended with exit code {code}"));
        Ok(code)
    }

    async fn note_ports(&self, events: &Events) {
        let (daemon, id) = (&self.handle.daemon, &self.handle.id);
        // bollard's type cannot hold Podman's state `stopped`.
        let answer = daemon.get_json(format!("/containers/{id}/json")).await;
        for line in published(&answer.unwrap_or_default(), &host(&daemon.info().address)) {
            events.note(line);
        }
    }
}

/// The host name of a daemon; `localhost` for a socket.
fn host(address: &str) -> String {
    let url = url::Url::parse(address).ok();
    let host = url.as_ref().and_then(|url| url.host_str()).filter(|host| !host.is_empty());
    host.unwrap_or("localhost").to_owned()
}

fn published(answer: &Value, host: &str) -> Vec<String> {
    let ports = answer["NetworkSettings"]["Ports"].as_object().into_iter().flatten();
    let line = |(port, bindings): (&String, &Value)| {
        // IPv4 and IPv6 have the same port number.
        let number = bindings.as_array()?.iter().find_map(|binding| binding["HostPort"].as_str())?;
        Some(match port.split_once('/') {
            Some((port, "tcp")) => format!("listening on http://{host}:{number} (container port {port})"),
            _ => format!("listening on {host}:{number} (container port {port})"),
        })
    };
    let mut lines: Vec<String> = ports.filter_map(line).collect();
    lines.sort();
    lines
}

async fn feed(
    mut from: Box<dyn AsyncRead + Send + Unpin>,
    mut to: std::pin::Pin<Box<dyn AsyncWrite + Send>>,
) {
    // The program may have ended, or may not read its input.
    let _ = tokio::io::copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}

/// Forwards the output until it ends. A closed output does not stop the program.
async fn print(
    mut output: impl futures_util::Stream<Item = Result<LogOutput, bollard::errors::Error>> + Unpin,
    mut stdout: Box<dyn AsyncWrite + Send + Unpin>,
    mut stderr: Box<dyn AsyncWrite + Send + Unpin>,
) {
    while let Some(Ok(piece)) = output.next().await {
        let (writer, bytes) = match piece {
            LogOutput::StdErr { message } => (&mut stderr, message),
            LogOutput::StdOut { message } | LogOutput::Console { message } => (&mut stdout, message),
            LogOutput::StdIn { .. } => continue,
        };
        if writer.write_all(&bytes).await.is_ok() {
            let _ = writer.flush().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn published_ports_are_noted_in_every_state() {
        let ports = json!({
            "8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}, {"HostIp": "::", "HostPort": "32768"}],
            "53/udp": [{"HostIp": "0.0.0.0", "HostPort": "1053"}],
            "9090/tcp": null
        });
        let answer = json!({"State": {"Status": "stopped"}, "NetworkSettings": {"Ports": ports}});
        assert_eq!(
            published(&answer, &host("unix:///var/run/docker.sock")),
            [
                "listening on http://localhost:32768 (container port 8080)",
                "listening on localhost:1053 (container port 53/udp)"
            ]
        );
        assert!(published(&Value::Null, "localhost").is_empty());
        assert_eq!(host("tcp://docker.example:2376"), "docker.example");
    }
}
