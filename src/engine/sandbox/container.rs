//! Owns one container of the sandbox, from its creation to its removal.
//!
//! The child does the work. Waits for it run on blocking threads and end when their future is dropped. Must not know
//! namespaces.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;

use super::changes::{ChangedFiles, layer};
use super::error::SandboxError;
use super::layers::UnpackedLayer;
use super::limits::ControlGroup;
use super::protocol::{Answer, Change, ChangeKind, Command, FrameKind, Request, Streams};
use super::supervisor::{Supervisor, parse, unexpected};
use super::{environment, working_directory};
use crate::engine::capability::Capability;
use crate::engine::ephemeral::left_out;
use crate::engine::output::Output;
use crate::engine::{
    ChangeLimits, Container, ContainerSpec, Diff, EngineError, ExitStatus, Reply, TarStream,
};
use crate::events::{Events, ScriptStream, Step};
use crate::image::layer::{Entry, Layer};
use crate::image::{ImageConfig, ImagePath};
use crate::stream::{pump, stream_to_reader};

const TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Default for the size of a change, in bytes.
const CHANGED_BYTES: u64 = 32 << 30;

/// Default for the number of changed paths, which the layer has in memory.
const CHANGED_FILES: u64 = 1_000_000;

/// Pieces of an archive in memory.
const PIECES: usize = 4;

pub(super) const PROCESSES: u32 = 4096;

/// A container in the sandbox. Dropping it removes it, except files that a layer of it still reads.
#[derive(Debug)]
pub struct SandboxContainer {
    pub(super) supervisor: Arc<Supervisor>,
    pub(super) group: Option<Arc<ControlGroup>>,
    pub(super) directory: PathBuf,
    pub(super) spec: ContainerSpec,
    pub(super) config: ImageConfig,
    pub(super) environment: Vec<(String, String)>,
    pub(super) user: String,
    pub(super) working_directory: String,
    pub(super) hosts: Vec<String>,
    pub(super) date: u64,
    /// Whether a layer may still read files that the child holds.
    pub(super) is_taken: AtomicBool,
    /// Holds the locks of the layers.
    pub(super) _layers: Vec<UnpackedLayer>,
}

/// Ends the child if the wait for its answer is dropped.
struct AbortOnDrop {
    supervisor: Arc<Supervisor>,
    is_done: bool,
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if !self.is_done {
            self.supervisor.abort();
        }
    }
}

impl Drop for SandboxContainer {
    /// Waits for the end of the child, which a blocking thread may still use.
    fn drop(&mut self) {
        if !self.is_taken.load(Ordering::Acquire) {
            self.supervisor.end();
        }
    }
}

impl SandboxContainer {
    /// Directories at mount points, which are part of the change.
    fn places(&self) -> &[Entry] {
        self.spec.places.as_ref().map_or(&[], Layer::entries)
    }

    pub(super) async fn request<T: Send + 'static, E: From<SandboxError> + Send + 'static>(
        &self,
        request: impl FnOnce(&Supervisor) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let supervisor = self.supervisor.clone();
        let mut guard = AbortOnDrop { supervisor: supervisor.clone(), is_done: false };
        let answer = tokio::task::spawn_blocking(move || {
            let _turn = supervisor.turn();
            request(&supervisor)
        });
        let result = answer.await;
        guard.is_done = true;
        let lost = |reason: String| SandboxError::Lost { action: "answer", reason };
        result.unwrap_or_else(|panic| Err(lost(panic.to_string()).into()))
    }

    pub(super) fn command(&self) -> Command {
        let limits = &self.spec.limits;
        let milliseconds = limits.timeout.unwrap_or(TIMEOUT).as_millis();
        Command {
            arguments: self.spec.command.clone(),
            environment: self.environment.clone(),
            user: self.user.clone(),
            directory: self.working_directory.clone(),
            host_network: self.spec.network.is_some(),
            hosts: self.hosts.clone(),
            capabilities: self.capabilities(),
            processes: Some(limits.pids.unwrap_or(PROCESSES).into()),
            milliseconds: Some(u64::try_from(milliseconds).unwrap_or(u64::MAX)),
            streams: Streams::Framed,
        }
    }

    fn capabilities(&self) -> u64 {
        let capabilities = self.spec.capabilities().into_iter();
        capabilities.filter_map(Capability::number).fold(0, |bits, number| bits | 1 << number)
    }

    pub(super) fn exit_status(
        &self,
        answer: Answer,
        last_lines: Vec<String>,
    ) -> Result<ExitStatus, EngineError> {
        let image = self.spec.image.clone();
        match answer {
            Answer::Exited(exit_code) => {
                let killed = self.group.as_ref().is_some_and(|group| group.was_out_of_memory());
                Ok(ExitStatus { exit_code, out_of_memory: exit_code != 0 && killed, last_lines })
            }
            Answer::TimedOut => {
                let limit = self.spec.limits.timeout.unwrap_or(TIMEOUT);
                Err(EngineError::TimedOut { command: self.spec.command.join(" "), limit, last_lines })
            }
            Answer::NotStarted(errno) => {
                let command = self.spec.command.first().cloned().unwrap_or_default();
                let reason = std::io::Error::from_raw_os_error(errno).to_string();
                Err(EngineError::Start { command, image, reason })
            }
            Answer::UnknownUser(name) => {
                Err(SandboxError::UnknownUser { image, name, user: self.user.clone() }.into())
            }
            answer => Err(unexpected("run the command", &answer).into()),
        }
    }
}

/// The changes, notes on files that were left out, and new mount points.
type Received = (Vec<Change>, Vec<String>, Vec<String>);

fn receive_changes(supervisor: &Supervisor, limits: ChangeLimits) -> Result<Received, EngineError> {
    let action = "send the changes";
    let files = limits.files.unwrap_or(CHANGED_FILES);
    let limit = limits.bytes.unwrap_or(CHANGED_BYTES);
    supervisor.send(&Request::TakeChanges { files }, action)?;
    let (mut changes, mut size) = (Vec::new(), 0_u64);
    loop {
        match supervisor.answer(action)? {
            Answer::Changed(change) => {
                if let ChangeKind::File { size: file } = change.kind {
                    size = size.saturating_add(file);
                }
                // The child is not read any further: its container is of no use.
                if size > limit {
                    return Err(EngineError::ChangeTooLarge { size, limit });
                }
                changes.push(*change);
            }
            Answer::Complete { notes, new_mount_points } => return Ok((changes, notes, new_mount_points)),
            answer => return Err(unexpected(action, &answer).into()),
        }
    }
}

fn directory(entry: &Entry) -> Change {
    Change {
        path: entry.path.to_string(),
        kind: ChangeKind::Directory { opaque: false, differs: true },
        mode: entry.mode,
        uid: entry.owner.uid,
        gid: entry.owner.gid,
        attributes: Vec::new(),
    }
}

impl Container for SandboxContainer {
    fn upload<'a>(&'a self, directory: &'a ImagePath, tar: TarStream) -> Reply<'a, ()> {
        Box::pin(async move {
            let (sender, mut reader) = stream_to_reader();
            let directory = directory.to_string();
            let answer = self.request::<_, SandboxError>(move |supervisor| {
                let action = "unpack an archive";
                supervisor.send(&Request::Unpack { directory }, action)?;
                let read = supervisor.send_data(&mut reader)?;
                let answer = supervisor.answer(action)?;
                read.map_err(|error| SandboxError::Other {
                    action: "read the files for the container".into(),
                    reason: error.to_string(),
                })?;
                match answer {
                    Answer::Unpacked { .. } => Ok(()),
                    answer => Err(unexpected(action, &answer)),
                }
            });
            let (answer, ()) = tokio::join!(answer, pump(tar, sender));
            Ok(answer?)
        })
    }

    fn has<'a>(&'a self, path: &'a ImagePath) -> Reply<'a, bool> {
        Box::pin(async move {
            let path = path.to_string();
            self.request(move |supervisor| {
                let action = "look for a file";
                supervisor.send(&Request::Has { path }, action)?;
                match supervisor.answer(action)? {
                    Answer::Has(has) => Ok(has),
                    answer => Err(unexpected(action, &answer).into()),
                }
            })
            .await
        })
    }

    fn run<'a>(&'a self, events: &'a Events) -> Reply<'a, ExitStatus> {
        Box::pin(async move {
            let (command, events, stdout) = (self.command(), events.clone(), self.spec.stdout.clone());
            let (answer, last_lines) = self
                .request::<_, SandboxError>(move |supervisor| {
                    let action = "run the command";
                    supervisor.send(&Request::Run(Box::new(command)), action)?;
                    let mut output = Output::new(&events).to(stdout);
                    loop {
                        match supervisor.frame(action)? {
                            (FrameKind::Stdout, bytes) => output.add(ScriptStream::Stdout, &bytes),
                            (FrameKind::Stderr, bytes) => output.add(ScriptStream::Stderr, &bytes),
                            (_, body) => return Ok((parse(&body, action)?, output.finish())),
                        }
                    }
                })
                .await?;
            self.exit_status(answer, last_lines)
        })
    }

    fn download<'a>(&'a self, path: &'a ImagePath, limit: u64) -> Reply<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let path = path.to_string();
            self.request(move |supervisor| {
                let action = "read a file";
                supervisor.send(&Request::Download { path: path.clone(), limit }, action)?;
                match supervisor.answer(action)? {
                    Answer::Absent => return Ok(None),
                    Answer::NotAFile(found) => return Err(EngineError::NotAFile { path, found }),
                    Answer::TooLarge(size) => return Err(EngineError::TooLarge { path, size, limit }),
                    Answer::File => {}
                    answer => return Err(unexpected(action, &answer).into()),
                }
                let mut bytes = Vec::new();
                while let (FrameKind::Data, piece) = supervisor.frame(action)? {
                    bytes.extend_from_slice(&piece);
                    if bytes.len() as u64 > limit {
                        return Err(EngineError::TooLarge { path, size: bytes.len() as u64, limit });
                    }
                }
                Ok(Some(bytes))
            })
            .await
        })
    }

    fn archive<'a>(&'a self, path: &'a ImagePath) -> Reply<'a, Option<TarStream>> {
        Box::pin(async move {
            let (path, supervisor) = (path.to_string(), self.supervisor.clone());
            let (answered, answer) = tokio::sync::oneshot::channel();
            let (pieces, mut received) = tokio::sync::mpsc::channel(PIECES);
            tokio::task::spawn_blocking(move || {
                let _turn = supervisor.turn();
                let action = "read files";
                let answer = supervisor
                    .send(&Request::Archive { path }, action)
                    .and_then(|()| supervisor.answer(action));
                let is_there = matches!(answer, Ok(Answer::File));
                // Even if the caller is gone, the child's data has to be read to its end.
                let _ = answered.send(answer);
                if !is_there {
                    return;
                }
                loop {
                    let piece = match supervisor.frame(action) {
                        Ok((FrameKind::Data, piece)) => Ok(Bytes::from(piece)),
                        Ok((FrameKind::End, _)) => break,
                        Ok((_, body)) => Err(parse(&body, action).err()),
                        Err(error) => Err(Some(error)),
                    };
                    let is_last = piece.is_err();
                    let piece = piece.map_err(|error| match error {
                        Some(error) => std::io::Error::other(error),
                        None => std::io::Error::other("the archive is incomplete"),
                    });
                    let _ = pieces.blocking_send(piece);
                    if is_last {
                        break;
                    }
                }
            });
            let lost = || SandboxError::Lost { action: "read files", reason: "no answer".into() };
            match answer.await.map_err(|_| lost())?? {
                Answer::Absent => Ok(None),
                Answer::File => {
                    let stream = futures_util::stream::poll_fn(move |context| received.poll_recv(context));
                    Ok(Some(stream.boxed()))
                }
                answer => Err(unexpected("read files", &answer).into()),
            }
        })
    }

    fn take_changes<'a>(&'a self, events: &'a Events) -> Reply<'a, Diff> {
        Box::pin(async move {
            let step = events.start(Step::Commit, "the container", None);
            let limits = self.spec.limits.change;
            let changes =
                self.request::<_, EngineError>(move |supervisor| receive_changes(supervisor, limits));
            let time = self.spec.limits.timeout.unwrap_or(TIMEOUT);
            let late = |_| EngineError::ChangeTimedOut { limit: time };
            let (changes, notes, new_mount_points) =
                tokio::time::timeout(time, changes).await.map_err(late)??;
            for note in notes {
                events.note(note);
            }
            let unreadable = |error: std::io::Error| SandboxError::Other {
                action: "open the changes".into(),
                reason: error.to_string(),
            };
            let files =
                ChangedFiles::open(&self.directory, self.supervisor.clone(), self.spec.limits.timeout);
            let files = files.map_err(unreadable)?;
            let gone: BTreeSet<String> = {
                let paths = changes.iter().map(|change| {
                    (change.path.as_str(), matches!(change.kind, ChangeKind::Directory { .. }))
                });
                let mut ephemeral = self.spec.ephemeral.clone();
                for path in &new_mount_points {
                    let path = ImagePath::new(path).map_err(SandboxError::from)?;
                    if !self.places().iter().any(|place| place.path == path) {
                        ephemeral.push(path);
                    }
                }
                left_out(&ephemeral, paths).into_iter().map(str::to_owned).collect()
            };
            let mut changes: Vec<Change> =
                changes.into_iter().filter(|change| !gone.contains(&change.path)).collect();
            // As on a daemon, which mounts volumes there: a commit has the directory and not its contents.
            for volume in self.config.volumes() {
                let inside = format!("{}/", volume.trim_end_matches('/'));
                changes.retain(|change| !change.path.starts_with(&inside));
            }
            for place in self.places() {
                changes.retain(|change| change.path != place.path.as_str());
                changes.push(directory(place));
            }
            let layer = layer(changes, files, self.date)?;
            self.is_taken.store(true, Ordering::Release);
            step.finish("");
            Ok(Diff::Layer(layer))
        })
    }

    /// Uses the same container, because it has all files.
    fn restart(mut self: Box<Self>, spec: ContainerSpec, _: &Events) -> Reply<'_, Box<dyn Container>> {
        Box::pin(async move {
            self.environment = environment(&self.config, &spec.environment);
            self.user = spec.user.clone().unwrap_or_else(|| self.config.user().to_owned());
            self.working_directory = working_directory(&self.config, &spec);
            let before = std::mem::replace(&mut self.spec, spec);
            self.spec.ephemeral.extend(before.ephemeral);
            Ok(self as Box<dyn Container>)
        })
    }

    fn remove(self: Box<Self>) -> Reply<'static, ()> {
        Box::pin(async move {
            // The child removes its files before it ends.
            let removed = tokio::task::spawn_blocking(move || drop(self));
            let lost = |reason: String| SandboxError::Lost { action: "end", reason };
            Ok(removed.await.map_err(|panic| lost(panic.to_string()))?)
        })
    }
}
