//! Owns one run of the command as the child sees it: start, hand on what it prints, stop it in time, tell how it ended.
//!
//! Must not know what the command is for.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, WaitOptions};
use rustix::thread::UnshareFlags;

use super::Stop;
use super::init::{self, Start, Status};
use super::namespace::{Place, failed, unshare};
use super::room::RESOLVER;
use super::user::{Account, resolve};
use super::{lookup, tree};
use crate::engine::sandbox::protocol::{
    Answer, Command, Fault, FaultKind, FrameKind, Identity, write_frame, write_message,
};

/// Longest status that is read, in bytes.
const MAXIMUM_STATUS: u64 = 64 * 1024;

/// Runs the command and tells how it ended.
pub(super) fn run(
    channel: &mut UnixStream,
    place: &mut Place,
    command: &Command,
    cgroups: Vec<OwnedFd>,
) -> Result<(), Stop> {
    let passwd = lookup::accounts(place.root()?, "/etc/passwd")?;
    let group = lookup::accounts(place.root()?, "/etc/group")?;
    let account = match resolve(&command.user, &passwd, &group) {
        Ok(account) => account,
        Err(name) => return Ok(write_message(channel, &Answer::UnknownUser(name))?),
    };
    check_mapped(place.identity, &account)?;
    place.ran_as = Some((account.uid, account.gid));
    make_directory(place, &command.directory)?;
    if command.host_network && !lookup::has(place.root()?, RESOLVER)? {
        make_resolver(place)?;
    }
    let mut command = command.clone();
    if !command.environment.iter().any(|(name, _)| name == "HOME") {
        command.environment.push(("HOME".to_owned(), account.home.clone()));
    }
    let mut running = start(place, &command, &account, cgroups)?;
    let end = running.follow(channel, Duration::from_millis(command.milliseconds));
    running.kill();
    let answer = match end? {
        End::TimedOut => {
            running.drain(channel)?;
            Answer::TimedOut
        }
        End::Closed => match running.status()? {
            Status::Exited(code) => Answer::Exited(code),
            Status::NotStarted(errno) => Answer::NotStarted(errno),
            Status::Failed(fault) => return Err(fault.into()),
        },
    };
    Ok(write_message(channel, &answer)?)
}

fn check_mapped(identity: Identity, account: &Account) -> Result<(), Fault> {
    if let Identity::Ranges { users, groups } = identity
        && (account.uid >= users || account.gid >= groups)
    {
        let action = format!("run as {}:{}", account.uid, account.gid);
        let reason = format!("only {users} users and {groups} groups are there for the sandbox");
        return Err(Fault::refused(FaultKind::Owner, action, reason));
    }
    Ok(())
}

/// Makes the directory if the image has none, as Docker does for the working directory.
fn make_directory(place: &Place, path: &str) -> Result<(), Fault> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let failed = |error| failed(FaultKind::Result, format!("make the directory `{path}`"), error);
    let mut handle = tree::open_in_root(place.root()?, b"", flags).map_err(failed)?;
    let mut seen = String::new();
    for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
        seen = format!("{seen}/{name}");
        handle = match tree::open_in_root(place.root()?, seen.as_bytes(), flags) {
            Err(Errno::NOENT) => {
                rustix::fs::mkdirat(&handle, name, Mode::from_raw_mode(0o755)).map_err(failed)?;
                let made = tree::open_in_root(place.root()?, seen.as_bytes(), flags).map_err(failed)?;
                let root = tree::Attributes { mode: 0o755, uid: 0, gid: 0 };
                tree::set_attributes(&made, &root, place.identity).map_err(|error| {
                    Fault::system(FaultKind::Other, format!("set the owner of `{path}`"), &error)
                })?;
                made
            }
            result => result.map_err(failed)?,
        };
    }
    Ok(())
}

/// Makes an empty file, over which the host's settings are mounted; it is not part of the change.
fn make_resolver(place: &mut Place) -> Result<(), Fault> {
    make_directory(place, "/etc")?;
    let failed = |error| failed(FaultKind::Result, format!("make {RESOLVER}"), error);
    let etc =
        tree::open_in_root(place.root()?, b"etc", OFlags::RDONLY | OFlags::DIRECTORY).map_err(failed)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(&etc, "resolv.conf", flags, Mode::from_raw_mode(0o644)).map_err(failed)?;
    let root = tree::Attributes { mode: 0o644, uid: 0, gid: 0 };
    tree::set_attributes(&made, &root, place.identity)
        .map_err(|error| Fault::system(FaultKind::Other, format!("set the owner of {RESOLVER}"), &error))?;
    place.has_own_resolver = true;
    Ok(())
}

fn start(
    place: &Place,
    command: &Command,
    account: &Account,
    cgroups: Vec<OwnedFd>,
) -> Result<Running, Fault> {
    let (stdout, stdout_end) = output_pipe(place, account)?;
    let (stderr, stderr_end) = output_pipe(place, account)?;
    let (status, status_end) = pipe()?;
    let (child_alive, alive) = pipe()?;
    unshare(UnshareFlags::NEWPID, "make a process-id namespace")?;
    let Some(pid) = init::fork()? else {
        // Held here too, the child's end would not show in it.
        drop(alive);
        init::run(Start {
            command,
            account,
            identity: place.identity,
            root: place.root_path(),
            cgroups,
            stdout: stdout_end,
            stderr: stderr_end,
            status: status_end,
            child_alive,
        });
    };
    drop((stdout_end, stderr_end, status_end, child_alive));
    File::from(alive)
        .write_all(b"a")
        .map_err(|error| Fault::system(FaultKind::Other, "start the container", &error))?;
    Ok(Running { pid: Some(pid), stdout: Some(stdout), stderr: Some(stderr), status })
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Fault> {
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC)
        .map_err(|error| failed(FaultKind::Other, "make a pipe", error))
}

/// A pipe that the command may open again by `/dev/stdout`, so it has to be its own.
fn output_pipe(place: &Place, account: &Account) -> Result<(OwnedFd, OwnedFd), Fault> {
    let (read, write) = pipe()?;
    if place.identity != Identity::Single {
        let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
        let owned = rustix::fs::fchown(&write, Some(uid), Some(gid));
        owned.map_err(|error| failed(FaultKind::Owner, "give the output to the user", error))?;
    }
    Ok((read, write))
}

/// How following ended.
enum End {
    /// All output was handed on, and nobody can write more.
    Closed,
    /// It took too long.
    TimedOut,
}

/// A started container.
struct Running {
    pid: Option<Pid>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    status: OwnedFd,
}

impl Running {
    /// Hands on what the command prints, until everybody inside has ended.
    fn follow(&mut self, channel: &mut UnixStream, limit: Duration) -> Result<End, Stop> {
        let started = Instant::now();
        let mut buffer = vec![0; super::super::protocol::PIECE];
        while self.stdout.is_some() || self.stderr.is_some() {
            let left = limit.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Ok(End::TimedOut);
            }
            let (out, error, is_gone) = self.wait(channel, left)?;
            if is_gone {
                return Err(Stop::Gone);
            }
            if out {
                hand_on(&mut self.stdout, FrameKind::Stdout, channel, &mut buffer)?;
            }
            if error {
                hand_on(&mut self.stderr, FrameKind::Stderr, channel, &mut buffer)?;
            }
        }
        // The first process has closed both and still has to make its room, run the command and tell.
        loop {
            let left = limit.saturating_sub(started.elapsed());
            let mut waited = [
                PollFd::new(&self.status, PollFlags::IN),
                PollFd::new(channel, PollFlags::IN | PollFlags::HUP),
            ];
            match poll(&mut waited, Some(&timespec(left))) {
                Ok(0) => return Ok(End::TimedOut),
                Ok(_) if !waited[1].revents().is_empty() => return Err(Stop::Gone),
                Ok(_) => return Ok(End::Closed),
                Err(Errno::INTR) => {}
                Err(error) => return Err(failed(FaultKind::Other, "wait for the command", error).into()),
            }
        }
    }

    /// Waits until there is something to do: which streams have something, and whether b2i has gone.
    fn wait(&self, channel: &UnixStream, left: Duration) -> Result<(bool, bool, bool), Stop> {
        let mut waited = vec![PollFd::new(channel, PollFlags::IN | PollFlags::HUP)];
        let streams = [self.stdout.as_ref(), self.stderr.as_ref()];
        waited.extend(streams.into_iter().flatten().map(|stream| PollFd::new(stream, PollFlags::IN)));
        match poll(&mut waited, Some(&timespec(left))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(failed(FaultKind::Other, "wait for the command", error).into()),
        }
        let mut ready = waited.iter().map(|waited| !waited.revents().is_empty());
        // b2i asks nothing while a command runs, so whatever comes is its end.
        let is_gone = ready.next().unwrap_or(false);
        let out = self.stdout.is_some() && ready.next().unwrap_or(false);
        let error = self.stderr.is_some() && ready.next().unwrap_or(false);
        Ok((out, error, is_gone))
    }

    /// Kills whatever still runs. The kernel does the rest with the first process.
    fn kill(&mut self) {
        let Some(pid) = self.pid.take() else { return };
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
        while let Err(Errno::INTR) = rustix::process::waitpid(Some(pid), WaitOptions::empty()) {}
    }

    /// Hands on what was printed before everybody was killed.
    fn drain(&mut self, channel: &mut UnixStream) -> Result<(), Stop> {
        let mut buffer = vec![0; super::super::protocol::PIECE];
        while self.stdout.is_some() {
            hand_on(&mut self.stdout, FrameKind::Stdout, channel, &mut buffer)?;
        }
        while self.stderr.is_some() {
            hand_on(&mut self.stderr, FrameKind::Stderr, channel, &mut buffer)?;
        }
        Ok(())
    }

    fn status(&self) -> Result<Status, Fault> {
        let failed =
            |error: std::io::Error| Fault::system(FaultKind::Other, "learn how the command ended", &error);
        let mut text = Vec::new();
        let status = self.status.as_fd().try_clone_to_owned().map_err(failed)?;
        File::from(status).take(MAXIMUM_STATUS).read_to_end(&mut text).map_err(failed)?;
        // The second process says why it did not become the command, and the first then that it ended.
        let first = serde_json::Deserializer::from_slice(&text).into_iter().next();
        match first {
            Some(Ok(status)) => Ok(status),
            // Killed from outside, or by the kernel for want of memory.
            None => Ok(Status::Exited(137)),
            Some(Err(error)) => Err(failed(error.into())),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

fn hand_on(
    stream: &mut Option<OwnedFd>,
    kind: FrameKind,
    channel: &mut UnixStream,
    buffer: &mut [u8],
) -> Result<(), Stop> {
    let Some(open) = stream else { return Ok(()) };
    match rustix::io::read(&*open, &mut *buffer) {
        Ok(0) => *stream = None,
        Ok(count) => write_frame(channel, kind, &buffer[..count])?,
        Err(Errno::INTR | Errno::AGAIN) => {}
        Err(error) => return Err(failed(FaultKind::Other, "read the output", error).into()),
    }
    Ok(())
}

fn timespec(duration: Duration) -> Timespec {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: duration.subsec_nanos().into() }
}
