//! Owns one container of a daemon, from its creation to its removal. Must not know why it runs.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error as BollardError;
use bollard::models::ContainerConfig;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CommitContainerOptionsBuilder, ContainerArchiveInfoOptionsBuilder,
    DownloadFromContainerOptionsBuilder, KillContainerOptionsBuilder, StartContainerOptions,
    UploadToContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use futures_util::{Stream, StreamExt};

use super::DockerEngine;
use super::commit::PlannedCommit;
use super::download::{DownloadFault, is_absent, read_one_file};
use super::ephemeral::ephemeral_extents;
use super::mount_points::podmans_own;
use crate::engine::output::Output;
use crate::engine::{Container, ContainerSpec, Diff, EngineError, ExitStatus, Reply, TarStream};
use crate::events::{Events, ScriptStream, Step};
use crate::image::{Digest, ImageConfig, ImagePath};
use crate::store::daemon::{
    ContainerCommit, Daemon, DaemonError, DaemonFlavour, LEASE_LABEL, RawRequest, remove_container, traced,
};

/// How long b2i waits for output after the container has ended.
const OUTPUT_GRACE: Duration = Duration::from_secs(10);

/// The least time that a daemon has to start a command with a time limit.
const START_TIME: Duration = Duration::from_secs(60);

type Attached = Pin<Box<dyn Stream<Item = Result<LogOutput, BollardError>> + Send>>;

#[derive(Debug)]
pub struct DockerContainer {
    pub(super) daemon: Daemon,
    pub(super) id: String,
    pub(super) spec: ContainerSpec,
    pub(super) spool_directory: PathBuf,
    /// The parents that were missing before the start; only for containers of Podman.
    missing_parents: OnceLock<Vec<&'static str>>,
}

impl DockerContainer {
    pub(super) fn new(daemon: Daemon, id: String, spec: ContainerSpec, spool_directory: PathBuf) -> Self {
        Self { daemon, id, spec, spool_directory, missing_parents: OnceLock::new() }
    }

    /// Leaves the extents that `choose` finds out of the committed layer.
    pub(super) async fn leave_out(
        &self,
        commit: ContainerCommit,
        choose: impl FnOnce(&File) -> io::Result<Vec<Range<u64>>> + Send + 'static,
    ) -> Result<ContainerCommit, DaemonError> {
        let directory = self.spool_directory.join("change");
        let failed = |action| {
            let path = directory.clone();
            move |source| DaemonError::File { action, path, source }
        };
        std::fs::create_dir(&directory).map_err(failed("making the directory"))?;
        let rest = self.daemon.leave_out(commit, &self.spec.lease, &directory, choose).await;
        let removed = std::fs::remove_dir_all(&directory).map_err(failed("removing the directory"));
        let rest = rest?;
        removed?;
        Ok(rest)
    }

    pub(super) fn error(&self, action: &str, error: &BollardError) -> DaemonError {
        self.daemon.request_error(format!("{action} the container of {}", self.spec.image), error)
    }

    async fn start(&self) -> Result<Attached, EngineError> {
        // Attach before the start: `logs` of Docker 20.10 loses a last line without a line end.
        let options = AttachContainerOptionsBuilder::default().stdout(true).stderr(true).stream(true).build();
        let attached = self.daemon.client().attach_container(&self.id, Some(options)).await;
        // Podman sets the container up at the attach, so errors of the command occur here too.
        let failed =
            |error: &BollardError| start_error(&self.daemon, &self.spec.command, &self.spec.image, error);
        let attached = attached.map_err(|error| failed(&error))?.output;
        let start = self.daemon.client().start_container(&self.id, None::<StartContainerOptions>);
        let started = traced("start a container", start).await;
        started.map_err(|error| failed(&error))?;
        Ok(attached)
    }

    /// Starts the container. A command with a time limit has to start in time. The start does not count as
    /// its time.
    async fn start_in_time(&self) -> Result<Attached, EngineError> {
        let Some(limit) = self.spec.limits.timeout else { return self.start().await };
        match tokio::time::timeout(limit.max(START_TIME), self.start()).await {
            Ok(attached) => attached,
            Err(_) => {
                self.kill().await?;
                Err(self.timed_out(limit, Vec::new()))
            }
        }
    }

    fn timed_out(&self, limit: Duration, last_lines: Vec<String>) -> EngineError {
        EngineError::TimedOut { command: self.spec.command.join(" "), limit, last_lines }
    }

    async fn follow(&self, attached: &mut Attached, output: &mut Output<'_>) -> Result<i64, DaemonError> {
        let ended = wait(&self.daemon, &self.id);
        tokio::pin!(ended);
        let code = loop {
            tokio::select! {
                biased;
                piece = attached.next() => match piece {
                    Some(piece) => add(output, piece.map_err(|error| self.error("read the output of", &error))?),
                    None => break ended.await,
                },
                code = &mut ended => {
                    drain(attached, output).await;
                    break code;
                }
            }
        };
        code.map_err(|error| self.error("wait for", &error))
    }

    /// Podman sends a link's target where Docker sends the link.
    pub(super) async fn is_link(&self, path: &ImagePath) -> Result<bool, DaemonError> {
        // Go's `fs.ModeSymlink`.
        const SYMBOLIC_LINK: u32 = 1 << 27;
        Ok(self.file_mode(path).await?.is_some_and(|mode| mode & SYMBOLIC_LINK != 0))
    }

    /// The mode in Go's form; none if the file is missing.
    pub(super) async fn file_mode(&self, path: &ImagePath) -> Result<Option<u32>, DaemonError> {
        let options = ContainerArchiveInfoOptionsBuilder::default().path(path.as_str()).build();
        match self.daemon.client().get_container_archive_info(&self.id, Some(options)).await {
            Ok(stat) => Ok(Some(stat.file_mode)),
            Err(BollardError::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(self.error(&format!("look for `{path}` in"), &error)),
        }
    }

    async fn kill(&self) -> Result<(), DaemonError> {
        let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
        match self.daemon.client().kill_container(&self.id, Some(options)).await {
            Ok(()) => Ok(()),
            // The container has ended already.
            Err(BollardError::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
            Err(error) => Err(self.error("kill", &error)),
        }
    }

    /// Commits the container unchanged as an untagged image, which is removed with the lease.
    pub(super) async fn commit(&self) -> Result<ContainerCommit, DaemonError> {
        let lease: String = self.spec.lease.chars().filter(|c| !c.is_control()).collect();
        let lease = lease.replace('\\', r"\\").replace('"', r#"\""#).replace('$', r"\$");
        let options = CommitContainerOptionsBuilder::default()
            .container(&self.id)
            // The container has ended, so Docker need not pause it. Docker refuses an empty list of changes.
            .pause(false)
            .changes(&format!("LABEL {LEASE_LABEL}=\"{lease}\""))
            .build();
        let client = self.daemon.client().clone();
        let commit = async move {
            traced("commit a container", client.commit_container(options, ContainerConfig::default())).await
        };
        let committed = self.daemon.finish(commit).await;
        let committed = committed.map_err(|error| self.error("commit", &error))?.id;
        let invalid = |reason: String| DaemonError::InvalidImage {
            name: committed.clone(),
            address: self.daemon.info().address.clone(),
            reason,
        };
        let answer = self.daemon.inspect_image(&committed).await?;
        let answer = answer.ok_or_else(|| invalid("the committed image is missing".into()))?;
        let id = answer["Id"].as_str().and_then(|id| id.parse::<Digest>().ok());
        let image_id = id.ok_or_else(|| invalid("its ID is missing".into()))?.to_string();
        let diff_ids: Vec<Digest> = serde_json::from_value(answer["RootFS"]["Layers"].clone())
            .map_err(|error| invalid(format!("its layers are not valid digests: {error}")))?;
        tracing::debug!(image_id, layers = diff_ids.len(), "committed the container");
        Ok(ContainerCommit { image_id, diff_ids })
    }

    /// Whether the daemon killed the command for its memory. A failure of this request must not hide how the
    /// command ended.
    async fn out_of_memory(&self) -> bool {
        // bollard's type cannot hold Podman's state `stopped`.
        match self.daemon.get_json(format!("/containers/{}/json", self.id)).await {
            Ok(answer) => answer["State"]["OOMKilled"] == true,
            Err(error) => {
                let error = self.error("inspect", &error);
                tracing::warn!(%error, "cannot find out whether the command ran out of memory");
                false
            }
        }
    }
}

async fn drain(attached: &mut Attached, output: &mut Output<'_>) {
    let rest = async {
        while let Some(Ok(piece)) = attached.next().await {
            add(output, piece);
        }
    };
    let _ = tokio::time::timeout(OUTPUT_GRACE, rest).await;
}

fn add(output: &mut Output<'_>, piece: LogOutput) {
    match piece {
        LogOutput::StdErr { message } => output.add(ScriptStream::Stderr, &message),
        LogOutput::StdOut { message } | LogOutput::Console { message } => {
            output.add(ScriptStream::Stdout, &message);
        }
        LogOutput::StdIn { .. } => {}
    }
}

pub(super) async fn wait(daemon: &Daemon, id: &str) -> Result<i64, BollardError> {
    let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
    let mut answers = Box::pin(daemon.client().wait_container(id, Some(options)));
    match answers.next().await {
        Some(Ok(answer)) => Ok(answer.status_code),
        // bollard reports every exit code other than 0 as an error.
        Some(Err(BollardError::DockerContainerWaitError { code, .. })) => Ok(code),
        Some(Err(error)) => Err(error),
        None => Err(BollardError::DockerStreamError { error: "the answer is empty".into() }),
    }
}

pub(super) fn start_error(
    daemon: &Daemon,
    command: &[String],
    image: &str,
    error: &BollardError,
) -> EngineError {
    let failed = || daemon.request_error(format!("start a container of {image}"), error).into();
    let BollardError::DockerResponseServerError { message, .. } = error else { return failed() };
    let lower = message.to_ascii_lowercase();
    let of_command =
        ["executable file not found", "no such file or directory", "permission denied", "exec format"];
    // Messages about the program contain `exec`. Messages about mounts or cgroups do not.
    if lower.contains("exec") && of_command.iter().any(|word| lower.contains(word)) {
        let command = command.first().cloned().unwrap_or_else(|| "the image's command".into());
        return EngineError::Start { command, image: image.to_owned(), reason: message.trim().to_owned() };
    }
    failed()
}

impl DockerContainer {
    pub(super) async fn upload_tar(&self, directory: &ImagePath, tar: TarStream) -> Result<(), DaemonError> {
        let options = UploadToContainerOptionsBuilder::default().path(directory.as_str()).build();
        let body = bollard::body_try_stream(tar);
        let upload = self.daemon.client().upload_to_container(&self.id, Some(options), body);
        let uploaded = traced("upload files to a container", upload).await;
        uploaded.map_err(|error| self.error(&format!("upload files to `{directory}` in"), &error))
    }

    /// Fails if the command left more than it may. A commit would write all of it, with holes.
    async fn check_change(&self) -> Result<(), EngineError> {
        let Some(limit) = self.spec.limits.change.bytes else { return Ok(()) };
        // bollard's type cannot hold Podman's state `stopped`.
        let inspected = self.daemon.get_json(format!("/containers/{}/json?size=true", self.id)).await;
        let inspected = inspected.map_err(|error| self.error("look at the size of", &error))?;
        let size = inspected["SizeRw"].as_u64().unwrap_or_default();
        if size > limit { Err(EngineError::ChangeTooLarge { size, limit }) } else { Ok(()) }
    }

    /// Commits the container without the daemon's own files and without ephemeral files.
    async fn commit_changes(&self, events: &Events) -> Result<ContainerCommit, DaemonError> {
        let step = events.start(Step::Commit, "the container", None);
        let mut commit = self.commit().await?;
        if let Some(missing) = self.missing_parents.get().cloned() {
            commit = self.leave_out(commit, move |layer| podmans_own(layer, &missing)).await?;
        }
        if !self.spec.ephemeral.is_empty() {
            let ephemeral = self.spec.ephemeral.clone();
            commit = self.leave_out(commit, move |layer| ephemeral_extents(layer, &ephemeral)).await?;
        }
        let commit = self.with_places(commit).await?;
        step.finish("");
        Ok(commit)
    }
}

impl Container for DockerContainer {
    fn upload<'a>(&'a self, directory: &'a ImagePath, tar: TarStream) -> Reply<'a, ()> {
        Box::pin(async move { Ok(self.upload_tar(directory, tar).await?) })
    }

    fn has<'a>(&'a self, path: &'a ImagePath) -> Reply<'a, bool> {
        Box::pin(async move { Ok(self.file_mode(path).await?.is_some()) })
    }

    fn run<'a>(&'a self, events: &'a Events) -> Reply<'a, ExitStatus> {
        Box::pin(async move {
            let podman = self.daemon.info().flavour == DaemonFlavour::Podman;
            let accounts = if podman { Some(self.accounts().await?) } else { None };
            if podman {
                let missing = self.missing_parents().await?;
                self.missing_parents.get_or_init(|| missing);
            }
            let mut output = Output::new(events).to(self.spec.stdout.clone());
            let mut attached = self.start_in_time().await?;
            let running = self.follow(&mut attached, &mut output);
            let code = match self.spec.limits.timeout {
                None => running.await,
                Some(limit) => match tokio::time::timeout(limit, running).await {
                    Ok(code) => code,
                    Err(_) => {
                        self.kill().await?;
                        drain(&mut attached, &mut output).await;
                        return Err(self.timed_out(limit, output.finish()));
                    }
                },
            };
            let last_lines = output.finish();
            let exit_code = code?;
            if exit_code == 0 {
                self.check_change().await?;
            }
            if let Some(accounts) = accounts.filter(|_| exit_code == 0) {
                self.restore_accounts(accounts).await?;
            }
            // Podman does not always report it, and only the memory limit kills with SIGKILL.
            let killed = exit_code == 137 && self.spec.limits.memory.is_some();
            let out_of_memory = exit_code != 0 && (killed || self.out_of_memory().await);
            tracing::debug!(id = self.id, exit_code, out_of_memory, "the command ended");
            Ok(ExitStatus { exit_code, out_of_memory, last_lines })
        })
    }

    fn download<'a>(&'a self, path: &'a ImagePath, limit: u64) -> Reply<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            if self.daemon.info().flavour == DaemonFlavour::Podman && self.is_link(path).await? {
                return Err(EngineError::NotAFile { path: path.to_string(), found: "a link".into() });
            }
            let options = DownloadFromContainerOptionsBuilder::default().path(path.as_str()).build();
            let stream = self.daemon.client().download_from_container(&self.id, Some(options));
            read_one_file(stream, path.as_str(), limit).await.map_err(|fault| match fault {
                DownloadFault::Daemon(error) => self.error(&format!("read `{path}` in"), &error).into(),
                DownloadFault::File(error) => error,
            })
        })
    }

    fn archive<'a>(&'a self, path: &'a ImagePath) -> Reply<'a, Option<TarStream>> {
        Box::pin(async move {
            let query =
                percent_encoding::utf8_percent_encode(path.as_str(), percent_encoding::NON_ALPHANUMERIC);
            let request = RawRequest::get(format!("/containers/{}/archive?path={query}", self.id));
            let mut stream = self.daemon.raw(request);
            // A missing file is an error before the first bytes.
            match stream.next().await {
                None => Ok(None),
                Some(Err(error)) if is_absent(&error) => Ok(None),
                Some(Err(error)) => Err(self.error(&format!("read `{path}` in"), &error).into()),
                Some(Ok(first)) => {
                    let rest = stream.map(|piece| piece.map_err(std::io::Error::other));
                    Ok(Some(futures_util::stream::iter([Ok(first)]).chain(rest).boxed()))
                }
            }
        })
    }

    fn take_changes<'a>(&'a self, events: &'a Events) -> Reply<'a, Diff> {
        Box::pin(async move {
            let ContainerCommit { image_id, diff_ids } = self.commit_changes(events).await?;
            Ok(Diff::Committed { image_id, diff_ids })
        })
    }

    fn planned_commit(&self, config: &ImageConfig) -> Option<PlannedCommit> {
        PlannedCommit::of(self, config)
    }

    /// Commits this container and creates the next from that image, which is removed with the lease.
    fn restart(self: Box<Self>, spec: ContainerSpec, events: &Events) -> Reply<'_, Box<dyn Container>> {
        Box::pin(async move {
            let engine = DockerEngine::new(self.daemon.clone(), self.spool_directory.clone());
            let commit = self.commit_changes(events).await;
            let removed = self.remove().await;
            let image = commit?.image_id;
            removed?;
            Ok(Box::new(engine.create_container(ContainerSpec { image, ..spec }).await?)
                as Box<dyn Container>)
        })
    }

    fn remove(self: Box<Self>) -> Reply<'static, ()> {
        Box::pin(async move { Ok(remove_container(&self.daemon, &self.id).await?) })
    }
}
