//! Owns the two first processes of a container.
//!
//! The outer one creates the namespaces, starts the inner one, forwards signals to it and ends with it; then the
//! kernel kills all others. The inner one makes the root filesystem and becomes the command. It is process 1 of its
//! own process-id namespace and does not see the outer one. The outer one belongs to the child's user namespace, the
//! command to one below, so the command has no rights over its mounts and its network. Must not print: the result
//! goes through the status pipe as one JSON value.

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};

use super::namespace::{failed, unshare};
use super::user::Account;
use super::{rights, rootfs, seccomp};
use crate::engine::sandbox::protocol::{Command, Fault, FaultKind, Identity, OrFault};

/// The input of the first process, made before the fork.
pub(super) struct Start<'a> {
    pub(super) command: &'a Command,
    pub(super) account: &'a Account,
    pub(super) identity: Identity,
    pub(super) root: PathBuf,
    pub(super) cgroups: Vec<OwnedFd>,
    pub(super) streams: Ends,
    pub(super) status: OwnedFd,
    /// The child sends one byte when it is alive, after the first process is tied to it. Then it sends
    /// numbers of signals for the command.
    pub(super) control: OwnedFd,
}

pub(super) struct Ends {
    /// None means an empty input.
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    Exited(i64),
    /// The error number of `execve`.
    NotStarted(i32),
    /// The root filesystem could not be made.
    Failed(Fault),
}

/// Runs the first process, in a new process-id namespace.
pub(super) fn run(start: Start<'_>) -> ! {
    let mut status = File::from(match start.status.try_clone() {
        Ok(status) => status,
        Err(_) => process_exit(),
    });
    report(&mut status, &run_inner(start).unwrap_or_else(Status::Failed))
}

/// Sends the result and ends.
fn report(status: &mut File, result: &Status) -> ! {
    if let Ok(text) = serde_json::to_vec(result) {
        // The child may be gone.
        let _ = status.write_all(&text);
    }
    process_exit()
}

/// Ends without the child's own clean-up.
fn process_exit() -> ! {
    // SAFETY: `_exit` only ends the process.
    #[expect(unsafe_code, reason = "a forked process must not run the exit handlers of its parent")]
    unsafe {
        libc::_exit(0)
    }
}

fn run_inner(start: Start<'_>) -> Result<Status, Fault> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .or_fault(FaultKind::Other, "tie the container to b2i")?;
    // If the child has ended already, no signal will come for its end.
    let mut control = File::from(start.control);
    if next_byte(&mut control).is_none() {
        process_exit();
    }
    for cgroup in start.cgroups {
        File::from(cgroup).write_all(b"0").or_fault(FaultKind::Other, "enter the control group")?;
    }
    rootfs::separate(start.command.host_network)?;
    let maps = Maps::of(start.account, start.identity)?;
    let (unshared, has_unshared) = pipe()?;
    let (go, may_go) = pipe()?;
    let (started, has_started) = pipe()?;
    unshare(UnshareFlags::NEWPID, "make the command's process-id namespace")?;
    let Start { command, account, identity, ref root, .. } = start;
    let inside = Inside { command, account, identity, root };
    let (streams, status) = (start.streams, start.status);
    let Some(pid) = fork()? else {
        drop((unshared, may_go, started, control));
        let result = inside.become_command(has_unshared, go, streams);
        report(&mut File::from(status), &result)
    };
    drop((streams, status, has_unshared, go, has_started));
    if let Some(maps) = maps {
        // Without the byte, the command has ended and sent its reason.
        if next_byte(&mut File::from(unshared)).is_some() {
            maps.write()?;
            File::from(may_go).write_all(b"g").or_fault(FaultKind::Other, "start the command")?;
        }
    }
    // Memory dumps are allowed only now: without them, root owns the files in /proc that map ids.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    // `execve` or the end of the process closes the pipe. So no signal comes too early and is lost.
    let _ = next_byte(&mut File::from(started));
    follow(pid, &mut control)
}

/// Reads one byte; none after the end of the pipe.
fn next_byte(pipe: &mut File) -> Option<u8> {
    let mut byte = [0];
    pipe.read_exact(&mut byte).is_ok().then_some(byte[0])
}

fn follow(command: Pid, control: &mut File) -> Result<Status, Fault> {
    let failed = |error| failed(FaultKind::Other, "wait for the command", error);
    let ended = rustix::process::pidfd_open(command, PidfdFlags::empty()).map_err(failed)?;
    loop {
        let mut waited = [PollFd::new(&ended, PollFlags::IN), PollFd::new(&*control, PollFlags::IN)];
        match poll(&mut waited, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(failed(error)),
        }
        let (has_ended, is_told) = (!waited[0].revents().is_empty(), !waited[1].revents().is_empty());
        if has_ended {
            break;
        }
        if is_told {
            // Without the child, the command has to end.
            let Some(number) = next_byte(control) else { process_exit() };
            if let Some(signal) = Signal::from_named_raw(number.into()) {
                let _ = rustix::process::kill_process(command, signal);
            }
        }
    }
    loop {
        let status = match rustix::process::waitpid(Some(command), WaitOptions::empty()) {
            Ok(Some((_, status))) => status,
            Ok(None) | Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(failed(error)),
        };
        if let Some(code) = status.exit_status() {
            return Ok(Status::Exited(code.into()));
        }
        if let Some(signal) = status.terminating_signal() {
            // Shells and Docker use the same code.
            return Ok(Status::Exited(128 + i64::from(signal)));
        }
    }
}

/// The id maps of the command's user namespace: all ids, or one id, which becomes the command's user.
struct Maps {
    users: String,
    groups: String,
    has_one: bool,
}

impl Maps {
    /// Reads the current maps; none without a user namespace.
    fn of(account: &Account, identity: Identity) -> Result<Option<Self>, Fault> {
        Ok(match identity {
            Identity::Host => None,
            Identity::Single => Some(Self {
                users: format!("{} 0 1\n", account.uid),
                groups: format!("{} 0 1\n", account.gid),
                has_one: true,
            }),
            Identity::Ranges { users, groups } => Some(Self {
                users: all_of(users, "/proc/self/uid_map")?,
                groups: all_of(groups, "/proc/self/gid_map")?,
                has_one: false,
            }),
        })
    }

    /// Writes them. In this `/proc`, the command is process 1.
    fn write(&self) -> Result<(), Fault> {
        let write = |name: &str, text: &str| {
            std::fs::write(format!("/proc/1/{name}"), text)
                .or_fault(FaultKind::Namespace, format_args!("map the ids ({name})"))
        };
        if self.has_one {
            write("setgroups", "deny")?;
        }
        write("uid_map", &self.users)?;
        write("gid_map", &self.groups)
    }
}

/// Maps the ids below `count` to themselves. Each range has to lie in one range of the parent namespace, so the
/// parent's ranges are repeated.
fn all_of(count: u32, map: &str) -> Result<String, Fault> {
    let text = std::fs::read_to_string(map).or_fault(FaultKind::Namespace, format_args!("read {map}"))?;
    let mut lines = String::new();
    for line in text.lines() {
        let numbers: Vec<u32> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let [first, _, length] = numbers[..] else { continue };
        let length = length.min(count.saturating_sub(first));
        if length > 0 {
            lines.push_str(&format!("{first} {first} {length}\n"));
        }
    }
    Ok(lines)
}

struct Inside<'a> {
    command: &'a Command,
    account: &'a Account,
    identity: Identity,
    root: &'a Path,
}

impl Inside<'_> {
    /// Returns only after an error.
    fn become_command(&self, unshared: OwnedFd, go: OwnedFd, streams: Ends) -> Status {
        match self.prepare(unshared, go, streams) {
            Ok(()) => {}
            Err(fault) => return Status::Failed(fault),
        }
        match self.execute() {
            Ok(never) => match never {},
            Err(error) => Status::NotStarted(error.raw_os_error().unwrap_or(libc::ENOENT)),
        }
    }

    fn prepare(&self, unshared: OwnedFd, go: OwnedFd, streams: Ends) -> Result<(), Fault> {
        rootfs::enter(self.root, self.command)?;
        // A new session, without a terminal of the host.
        rustix::process::setsid().or_fault(FaultKind::Other, "make a session")?;
        // Limits come before the namespace: the kernel limits a namespace by the limits of its creator.
        rights::limit(self.command.processes).or_fault(FaultKind::Other, "limit the processes")?;
        if self.identity != Identity::Host {
            unshare(UnshareFlags::NEWUSER, "make the command's user namespace")?;
            File::from(unshared).write_all(b"u").or_fault(FaultKind::Other, "ask for ids")?;
            let mut byte = [0];
            File::from(go).read_exact(&mut byte).or_fault(FaultKind::Other, "get ids")?;
        }
        let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())
            .or_fault(FaultKind::Other, "open /dev/null")?;
        let done = rustix::stdio::dup2_stdin(streams.stdin.as_ref().unwrap_or(&null))
            .and_then(|()| rustix::stdio::dup2_stdout(&streams.stdout))
            .and_then(|()| rustix::stdio::dup2_stderr(&streams.stderr));
        done.or_fault(FaultKind::Other, "connect the output")?;
        let filter = seccomp::filter().or_fault(FaultKind::Other, "make the filter of system calls")?;
        rights::become_user(self.account, self.command.capabilities, self.identity)
            .or_fault(FaultKind::Other, "become the user")?;
        std::env::set_current_dir(&self.command.directory)
            .or_fault(FaultKind::Other, "enter the working directory")?;
        rights::reset_signals();
        close_others().or_fault(FaultKind::Other, "close files")?;
        seccomp::apply(&filter).or_fault(FaultKind::Other, "filter system calls")
    }

    /// Starts the program. A name without a slash is searched in the directories of PATH.
    fn execute(&self) -> std::io::Result<std::convert::Infallible> {
        let invalid = |_| std::io::Error::from_raw_os_error(libc::EINVAL);
        let text = |text: &str| CString::new(text).map_err(invalid);
        let arguments: Vec<CString> =
            self.command.arguments.iter().map(|argument| text(argument)).collect::<Result<_, _>>()?;
        let environment: Vec<CString> = self
            .command
            .environment
            .iter()
            .map(|(name, value)| text(&format!("{name}={value}")))
            .collect::<Result<_, _>>()?;
        let program = self.command.arguments.first().map_or("", String::as_str);
        let places: Vec<String> = if program.contains('/') {
            vec![program.to_owned()]
        } else {
            let path = self.command.environment.iter().find(|(name, _)| name == "PATH");
            let path = path.map_or("", |(_, path)| path.as_str());
            path.split(':').map(|place| format!("{place}/{program}")).collect()
        };
        let mut error = std::io::Error::from_raw_os_error(libc::ENOENT);
        for place in places {
            let next = execve(&text(&place)?, &arguments, &environment);
            // A program that may not run is a better reason than a missing one.
            if next.raw_os_error() != Some(libc::ENOENT) {
                error = next;
            }
        }
        Err(error)
    }
}

fn execve(program: &CString, arguments: &[CString], environment: &[CString]) -> std::io::Error {
    let pointers = |texts: &[CString]| {
        let mut pointers: Vec<*const libc::c_char> = texts.iter().map(|text| text.as_ptr()).collect();
        pointers.push(std::ptr::null());
        pointers
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: all three and the lists are NUL-terminated and live until the call returns, if it does.
    #[expect(unsafe_code, reason = "becoming another program has no safe interface that keeps this process")]
    unsafe {
        libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr());
    }
    std::io::Error::last_os_error()
}

/// Closes all files at `execve` except the three streams.
fn close_others() -> std::io::Result<()> {
    // SAFETY: the flag only marks files to be closed by `execve`.
    #[expect(unsafe_code, reason = "the system call has no safe interface")]
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Forks; none in the new process.
pub(super) fn fork() -> Result<Option<Pid>, Fault> {
    // SAFETY: this process has one thread, so no lock is held by a thread that the new process lacks.
    #[expect(unsafe_code, reason = "forking is only sound without threads, and here are none")]
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        let error = std::io::Error::last_os_error();
        return Err(Fault::system(FaultKind::Namespace, "start a process", &error));
    }
    Ok(Pid::from_raw(pid))
}

/// Forks into a new process-id namespace. Unlike after `unshare`, this process can fork again.
pub(super) fn fork_into_namespace() -> Result<Option<Pid>, Fault> {
    let flags = libc::c_ulong::from(libc::CLONE_NEWPID.unsigned_abs() | libc::SIGCHLD.unsigned_abs());
    // SAFETY: as in [`fork`], which makes the same call: no stack, and no flags that share memory or files.
    #[expect(unsafe_code, reason = "the C library has no call that forks into a namespace")]
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match i32::try_from(pid) {
        Ok(pid) if pid >= 0 => Ok(Pid::from_raw(pid)),
        _ => {
            let error = std::io::Error::last_os_error();
            Err(Fault::system(FaultKind::Namespace, "start a process in a namespace", &error))
        }
    }
}

pub(super) fn pipe() -> Result<(OwnedFd, OwnedFd), Fault> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).or_fault(FaultKind::Other, "make a pipe")
}
