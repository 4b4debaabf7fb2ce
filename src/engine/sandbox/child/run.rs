//! Owns one run of the command in the child: start, output, time limit, status. Must not know what the command is
//! for.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};

use super::Stop;
use super::init::{self, Ends, Start, Status, pipe};
use super::namespace::{Place, failed};
use super::user::{Account, resolve};
use super::{files, lookup, mounts};
use crate::engine::sandbox::descriptors;
use crate::engine::sandbox::protocol::{
    Answer, Command, Fault, FaultKind, FrameKind, Identity, OrFault, Request, Streams, read_message,
    write_frame, write_message,
};

/// In bytes.
const MAXIMUM_STATUS: u64 = 64 * 1024;

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
    check_mapped(place, &account)?;
    let is_first = place.command_ids.replace((account.uid, account.gid)).is_none();
    files::make_directory(place, &command.directory)?;
    if is_first {
        mounts::offer_names(place, command)?;
    }
    let mut command = command.clone();
    if !command.environment.iter().any(|(name, _)| name == "HOME") {
        command.environment.push(("HOME".to_owned(), account.home.clone()));
    }
    let mut running = start(place, &command, &account, cgroups)?;
    if let Some(theirs) = running.pipes.take() {
        write_message(channel, &Answer::Streams)?;
        descriptors::send(channel, &theirs.each_ref().map(AsFd::as_fd))?;
    }
    let end = running.follow(channel, command.milliseconds.map(Duration::from_millis));
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

fn check_mapped(place: &Place, account: &Account) -> Result<(), Fault> {
    if let (Identity::Single, Some(before)) = (place.identity, place.command_ids)
        && before != (account.uid, account.gid)
    {
        let action = format!("run as {}:{} after {}:{}", account.uid, account.gid, before.0, before.1);
        let reason = "the sandbox has only one user, who owns all files of the commands";
        return Err(Fault::refused(FaultKind::Owner, action, reason));
    }
    if let Identity::Ranges { users, groups } = place.identity
        && (account.uid >= users || account.gid >= groups)
    {
        let action = format!("run as {}:{}", account.uid, account.gid);
        let reason = format!("the sandbox has only {users} users and {groups} groups");
        return Err(Fault::refused(FaultKind::Owner, action, reason));
    }
    Ok(())
}

fn start(
    place: &Place,
    command: &Command,
    account: &Account,
    cgroups: Vec<OwnedFd>,
) -> Result<Running, Fault> {
    let (stdout, stdout_end) = stream_pipe(place, account)?;
    let (stderr, stderr_end) = stream_pipe(place, account)?;
    let (stdin_end, stdin) = match command.streams {
        Streams::Framed => (None, None),
        Streams::Piped => {
            let (read, write) = stream_pipe(place, account)?;
            (Some(read), Some(write))
        }
    };
    let (status, status_end) = pipe()?;
    let (control_end, control) = pipe()?;
    let Some(pid) = init::fork_into_namespace()? else {
        // Open copies would hide the end of the child.
        drop((control, stdin, stdout, stderr));
        init::run(Start {
            command,
            account,
            identity: place.identity,
            root: place.root_path(),
            cgroups,
            streams: Ends { stdin: stdin_end, stdout: stdout_end, stderr: stderr_end },
            status: status_end,
            control: control_end,
        });
    };
    drop((stdin_end, stdout_end, stderr_end, status_end, control_end));
    let mut control = File::from(control);
    control.write_all(b"a").or_fault(FaultKind::Other, "start the container")?;
    let mut running = Running { pid: Some(pid), stdout: None, stderr: None, pipes: None, status, control };
    match stdin {
        Some(stdin) => running.pipes = Some([stdin, stdout, stderr]),
        None => (running.stdout, running.stderr) = (Some(stdout), Some(stderr)),
    }
    Ok(running)
}

/// A pipe of the command's user, who may reopen it as `/dev/stdout`.
fn stream_pipe(place: &Place, account: &Account) -> Result<(OwnedFd, OwnedFd), Fault> {
    let (read, write) = pipe()?;
    if place.identity != Identity::Single {
        let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
        let owned = rustix::fs::fchown(&write, Some(uid), Some(gid));
        owned.or_fault(FaultKind::Owner, "give the streams to the user")?;
    }
    Ok((read, write))
}

enum End {
    /// The output has ended: no process can write to it.
    Closed,
    TimedOut,
}

struct Running {
    pid: Option<Pid>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    /// b2i's ends of standard input, output and error, until they are sent.
    pipes: Option<[OwnedFd; 3]>,
    status: OwnedFd,
    /// Takes numbers of signals.
    control: File,
}

impl Running {
    fn follow(&mut self, channel: &mut UnixStream, limit: Option<Duration>) -> Result<End, Stop> {
        let started = Instant::now();
        let mut buffer = vec![0; super::super::protocol::PIECE];
        // The first process has no streams, but still has to send the status.
        loop {
            let left = limit.map(|limit| limit.saturating_sub(started.elapsed()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(End::TimedOut);
            }
            let ready = self.wait(channel, left)?;
            if ready.request {
                self.take_request(channel)?;
            }
            if ready.stdout {
                forward(&mut self.stdout, FrameKind::Stdout, channel, &mut buffer)?;
            }
            if ready.stderr {
                forward(&mut self.stderr, FrameKind::Stderr, channel, &mut buffer)?;
            }
            if ready.status && self.stdout.is_none() && self.stderr.is_none() {
                return Ok(End::Closed);
            }
        }
    }

    fn wait(&self, channel: &UnixStream, left: Option<Duration>) -> Result<Ready, Stop> {
        let mut waited = vec![PollFd::new(channel, PollFlags::IN | PollFlags::HUP)];
        let streams = [self.stdout.as_ref(), self.stderr.as_ref()];
        waited.extend(streams.into_iter().flatten().map(|stream| PollFd::new(stream, PollFlags::IN)));
        // The status comes after all output was forwarded.
        if waited.len() == 1 {
            waited.push(PollFd::new(&self.status, PollFlags::IN));
        }
        match poll(&mut waited, left.map(timespec).as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(failed(FaultKind::Other, "wait for the command", error).into()),
        }
        let mut ready = waited.iter().map(|waited| !waited.revents().is_empty());
        let mut next = || ready.next().unwrap_or(false);
        Ok(Ready {
            request: next(),
            stdout: self.stdout.is_some() && next(),
            stderr: self.stderr.is_some() && next(),
            status: self.stdout.is_none() && self.stderr.is_none() && next(),
        })
    }

    /// While a command runs, b2i sends signals only.
    fn take_request(&mut self, channel: &mut UnixStream) -> Result<(), Stop> {
        match read_message(channel)? {
            Some(Request::Signal(number)) => {
                let _ = self.control.write_all(&[number]);
                Ok(())
            }
            Some(_) | None => Err(Stop::Gone),
        }
    }

    /// Kills the first process; the kernel kills the others with it.
    fn kill(&mut self) {
        let Some(pid) = self.pid.take() else { return };
        // The process may have ended already.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
        while let Err(Errno::INTR) = rustix::process::waitpid(Some(pid), WaitOptions::empty()) {}
    }

    fn drain(&mut self, channel: &mut UnixStream) -> Result<(), Stop> {
        let mut buffer = vec![0; super::super::protocol::PIECE];
        while self.stdout.is_some() {
            forward(&mut self.stdout, FrameKind::Stdout, channel, &mut buffer)?;
        }
        while self.stderr.is_some() {
            forward(&mut self.stderr, FrameKind::Stderr, channel, &mut buffer)?;
        }
        Ok(())
    }

    fn status(&self) -> Result<Status, Fault> {
        let failed =
            |error: std::io::Error| Fault::system(FaultKind::Other, "read the status of the command", &error);
        let mut text = Vec::new();
        let status = self.status.as_fd().try_clone_to_owned().map_err(failed)?;
        File::from(status).take(MAXIMUM_STATUS).read_to_end(&mut text).map_err(failed)?;
        // If the command did not start, the second process sends the reason before the first one sends the end.
        let first = serde_json::Deserializer::from_slice(&text).into_iter().next();
        match first {
            Some(Ok(status)) => Ok(status),
            // Killed from outside, or by the kernel for its memory.
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

fn forward(
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

struct Ready {
    request: bool,
    stdout: bool,
    stderr: bool,
    status: bool,
}

fn timespec(duration: Duration) -> Timespec {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: duration.subsec_nanos().into() }
}
