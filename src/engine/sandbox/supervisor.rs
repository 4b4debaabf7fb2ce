//! Owns b2i's side of a sandbox child: start, ids, requests, end. Must not know the purpose of requests.
//!
//! The child has no id that another process could use. It lives as long as this end of the socket is open, and ends
//! with all processes inside.

use std::fs::File;
use std::io;
use std::net::Shutdown;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::child::CHILD_ARGUMENT;
use super::descriptors;
use super::error::SandboxError;
use super::mapping::Mapping;
use super::protocol::{Answer, FrameKind, Identity, Purpose, Request, Setup};
use super::protocol::{read_frame, read_message, write_frame, write_message};

/// A running child, which ends on drop with its container.
#[derive(Debug)]
pub(super) struct Supervisor {
    channel: UnixStream,
    /// One request at a time.
    turn: Mutex<()>,
    process: Mutex<Child>,
    /// The child empties it at its end; then it can be removed.
    directory: Option<PathBuf>,
}

impl Supervisor {
    /// Starts a child and maps its ids.
    pub(super) fn start(
        program: &Path,
        purpose: Purpose,
        mapping: &Mapping,
        cgroups: Vec<PathBuf>,
    ) -> Result<Self, SandboxError> {
        let spawn = |source| SandboxError::Spawn { program: program.to_owned(), source };
        let (channel, theirs) = UnixStream::pair().map_err(spawn)?;
        let directory = match &purpose {
            Purpose::Container { directory, .. } => Some(directory.clone()),
            Purpose::Unpack { .. } | Purpose::Remove { .. } => None,
        };
        let process = Command::new(program)
            .arg(CHILD_ARGUMENT)
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(spawn)?;
        let pid = process.id();
        let supervisor = Self { channel, turn: Mutex::new(()), process: Mutex::new(process), directory };
        let identity = mapping.identity();
        supervisor.send(&Setup { identity, purpose, cgroups }, "begin")?;
        if identity != Identity::Host {
            match supervisor.answer("make its namespaces")? {
                Answer::Unshared => mapping.write(pid)?,
                answer => return Err(unexpected("make its namespaces", &answer)),
            }
            supervisor.send(&Request::Mapped, "take its ids")?;
        }
        Ok(supervisor)
    }

    pub(super) fn wait_until_ready(&self) -> Result<(), SandboxError> {
        match self.answer("get ready")? {
            Answer::Ready => Ok(()),
            answer => Err(unexpected("get ready", &answer)),
        }
    }

    /// Locks out other requests.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn send(
        &self,
        message: &impl serde::Serialize,
        action: &'static str,
    ) -> Result<(), SandboxError> {
        match write_message(&mut &self.channel, message) {
            Ok(()) => Ok(()),
            // The child may have sent its reason.
            Err(error) => match read_message::<Answer>(&mut &self.channel) {
                Ok(Some(Answer::Failed(fault))) => Err(SandboxError::of(fault)),
                _ => Err(lost(action, &error)),
            },
        }
    }

    /// Sends all bytes of `reader`. An error of the reader ends the data, and the child answers with a failure.
    pub(super) fn send_data(&self, reader: &mut dyn io::Read) -> Result<io::Result<()>, SandboxError> {
        let action = "take an archive";
        let mut buffer = vec![0; super::protocol::PIECE];
        loop {
            let (kind, count, result) = match reader.read(&mut buffer) {
                Ok(0) => (FrameKind::End, 0, Some(Ok(()))),
                Ok(count) => (FrameKind::Data, count, None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => (FrameKind::Cut, 0, Some(Err(error))),
            };
            write_frame(&mut &self.channel, kind, &buffer[..count]).map_err(|error| lost(action, &error))?;
            if let Some(result) = result {
                return Ok(result);
            }
        }
    }

    pub(super) fn frame(&self, action: &'static str) -> Result<(FrameKind, Vec<u8>), SandboxError> {
        match read_frame(&mut &self.channel) {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => Err(SandboxError::Lost { action, reason: self.how_it_ended() }),
            Err(error) => Err(lost(action, &error)),
        }
    }

    /// Reads the next answer; a failure in the child becomes an error.
    pub(super) fn answer(&self, action: &'static str) -> Result<Answer, SandboxError> {
        match self.frame(action)? {
            (FrameKind::Message, body) => parse(&body, action),
            (kind, _) => {
                let reason = format!("it sent {kind:?} where an answer was expected");
                Err(SandboxError::Lost { action, reason })
            }
        }
    }

    pub(super) fn files(&self, action: &'static str) -> Result<[OwnedFd; 3], SandboxError> {
        descriptors::receive(&self.channel).map_err(|error| lost(action, &error))
    }

    pub(super) fn send_file(&self, file: BorrowedFd<'_>, action: &'static str) -> Result<(), SandboxError> {
        descriptors::send(&self.channel, &[file]).map_err(|error| lost(action, &error))
    }

    pub(super) fn user_namespace(&self) -> io::Result<File> {
        let pid = self.process.lock().unwrap_or_else(PoisonError::into_inner).id();
        File::open(format!("/proc/{pid}/ns/user"))
    }

    /// Ends the child without waiting. Threads that read from it get an error.
    pub(super) fn abort(&self) {
        // The process may have ended already.
        let _ = self.channel.shutdown(Shutdown::Both);
    }

    fn how_it_ended(&self) -> String {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        match process.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

impl Supervisor {
    pub(super) fn end(&self) {
        self.abort();
        let _ = self.how_it_ended();
        if let Some(directory) = &self.directory {
            // If the child was killed, the lease's clean-up removes the files.
            let _ = std::fs::remove_dir(directory);
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.end();
    }
}

pub(super) fn parse(body: &[u8], action: &'static str) -> Result<Answer, SandboxError> {
    match serde_json::from_slice(body) {
        Ok(Answer::Failed(fault)) => Err(SandboxError::of(fault)),
        Ok(answer) => Ok(answer),
        Err(error) => Err(SandboxError::Lost { action, reason: error.to_string() }),
    }
}

pub(super) fn unexpected(action: &'static str, answer: &Answer) -> SandboxError {
    let shown: String = format!("{answer:?}").chars().take(200).collect();
    SandboxError::Lost { action, reason: format!("it answered {shown}") }
}

fn lost(action: &'static str, error: &io::Error) -> SandboxError {
    SandboxError::Lost { action, reason: error.to_string() }
}
