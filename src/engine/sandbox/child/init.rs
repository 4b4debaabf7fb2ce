//! Owns the two first processes of a container. The outer one makes the namespaces, starts the inner one, hands signals
//! on to it and ends with it, whereupon the kernel kills everything else inside. The inner one makes the room and
//! becomes the command.
//!
//! The inner one is process 1 of a process-id namespace of its own, as a container's program is anywhere else, and does
//! not see the outer one. That belongs to the child's user namespace and the command to one below it, so the command has
//! no rights over its mounts, its network or its end. Must not print: what they have to say goes through the status pipe
//! as one JSON value.

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
use crate::engine::sandbox::protocol::{Command, Fault, FaultKind, Identity};

/// Everything that the first process needs; made before the fork.
pub(super) struct Start<'a> {
    pub(super) command: &'a Command,
    pub(super) account: &'a Account,
    pub(super) identity: Identity,
    pub(super) root: PathBuf,
    pub(super) cgroups: Vec<OwnedFd>,
    pub(super) streams: Ends,
    pub(super) status: OwnedFd,
    /// What the child says: one byte when it is alive, which it must be after the first process is tied to it; then the
    /// numbers of signals for the command.
    pub(super) control: OwnedFd,
}

/// The command's ends of its streams.
pub(super) struct Ends {
    /// Nothing to read, if there is none.
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// What is said through the status pipe.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    /// The command ended.
    Exited(i64),
    /// The program could not be started.
    NotStarted(i32),
    /// The room could not be made.
    Failed(Fault),
}

/// Runs the first process; to be called in a new process of a new process-id namespace.
pub(super) fn run(start: Start<'_>) -> ! {
    let mut status = File::from(match start.status.try_clone() {
        Ok(status) => status,
        Err(_) => process_exit(),
    });
    let said = run_inner(start).unwrap_or_else(Status::Failed);
    if let Ok(text) = serde_json::to_vec(&said) {
        // The child that listens may be gone.
        let _ = status.write_all(&text);
    }
    process_exit()
}

/// Ends without running what the child would run at its end.
fn process_exit() -> ! {
    // SAFETY: `_exit` does nothing but end the process.
    #[expect(unsafe_code, reason = "a forked process must not run the exit handlers of its parent")]
    unsafe {
        libc::_exit(0)
    }
}

fn run_inner(start: Start<'_>) -> Result<Status, Fault> {
    let other = |action: &str| {
        let action = action.to_owned();
        move |error: std::io::Error| Fault::system(FaultKind::Other, action, &error)
    };
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| failed(FaultKind::Other, "tie the container to b2i", error))?;
    // If the child ended before that, there is nobody left whose end would be a signal.
    let mut control = File::from(start.control);
    if next_byte(&mut control).is_none() {
        process_exit();
    }
    for cgroup in start.cgroups {
        File::from(cgroup).write_all(b"0").map_err(other("enter the control group"))?;
    }
    rootfs::separate(start.command.host_network)?;
    let maps = Maps::of(start.account, start.identity)?;
    let (unshared, has_unshared) = pipe()?;
    let (go, may_go) = pipe()?;
    let (started, has_started) = pipe()?;
    unshare(UnshareFlags::NEWPID, "make the command's process-id namespace")?;
    let (streams, status) = (start.streams, start.status);
    let inside = Inside {
        command: start.command,
        account: start.account,
        identity: start.identity,
        root: &start.root,
    };
    let Some(pid) = fork()? else {
        drop((unshared, may_go, started, control));
        let said = inside.become_command(has_unshared, go, streams);
        let status = File::from(status);
        if let Ok(text) = serde_json::to_vec(&said) {
            let _ = (&status).write_all(&text);
        }
        process_exit()
    };
    drop((streams, status, has_unshared, go, has_started));
    if let Some(maps) = maps {
        // Without the byte the command has ended and said why.
        if next_byte(&mut File::from(unshared)).is_some() {
            maps.write()?;
            File::from(may_go).write_all(b"g").map_err(other("start the command"))?;
        }
    }
    // Only now: the files of /proc by which ids are mapped belong to root where memory cannot be dumped.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    // Closed when the program takes the place of this one, or has ended: no signal comes before it and is lost.
    let _ = next_byte(&mut File::from(started));
    follow(pid, &mut control)
}

/// Reads one byte; nothing when nobody can write one any more.
fn next_byte(pipe: &mut File) -> Option<u8> {
    let mut byte = [0];
    pipe.read_exact(&mut byte).is_ok().then_some(byte[0])
}

/// Hands signals on to the command until it ends.
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
            // Without the child there is nobody for whom the command would run.
            let Some(number) = next_byte(control) else { process_exit() };
            if let Some(signal) = Signal::from_named_raw(number.into()) {
                // It may be ending.
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
            // As shells and Docker count it.
            return Ok(Status::Exited(128 + i64::from(signal)));
        }
    }
}

/// The ids of the command's own user namespace: all that are here, or the one as the command's user.
struct Maps {
    users: String,
    groups: String,
    has_one: bool,
}

impl Maps {
    /// Reads what is here; nothing if there is no such namespace.
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

    /// Writes them: in `/proc` as it is by now, the command is process 1.
    fn write(&self) -> Result<(), Fault> {
        let write = |name: &str, text: &str| {
            std::fs::write(format!("/proc/1/{name}"), text)
                .map_err(|error| Fault::system(FaultKind::Namespace, format!("map the ids ({name})"), &error))
        };
        if self.has_one {
            write("setgroups", "deny")?;
        }
        write("uid_map", &self.users)?;
        write("gid_map", &self.groups)
    }
}

/// The ids below `count` as they are; a range has to lie in one range of the namespace above, so they are repeated.
fn all_of(count: u32, map: &str) -> Result<String, Fault> {
    let text = std::fs::read_to_string(map)
        .map_err(|error| Fault::system(FaultKind::Namespace, format!("read {map}"), &error))?;
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

/// The second process, until it is the command.
struct Inside<'a> {
    command: &'a Command,
    account: &'a Account,
    identity: Identity,
    root: &'a Path,
}

impl Inside<'_> {
    /// Does not come back if all goes well.
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
        let other = |action: &'static str| {
            move |error: std::io::Error| Fault::system(FaultKind::Other, action, &error)
        };
        rootfs::enter(self.root, self.command)?;
        // A session of its own: no terminal of the host is its.
        rustix::process::setsid().map_err(|error| failed(FaultKind::Other, "make a session", error))?;
        // Before the namespace: the kernel bounds everybody in it by what its maker was allowed.
        rights::limit(self.command.processes).map_err(other("limit the processes"))?;
        if self.identity != Identity::Host {
            unshare(UnshareFlags::NEWUSER, "make the command's user namespace")?;
            File::from(unshared).write_all(b"u").map_err(other("ask for ids"))?;
            let mut byte = [0];
            File::from(go).read_exact(&mut byte).map_err(other("get ids"))?;
        }
        let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())
            .map_err(|error| failed(FaultKind::Other, "open /dev/null", error))?;
        let done = rustix::stdio::dup2_stdin(streams.stdin.as_ref().unwrap_or(&null))
            .and_then(|()| rustix::stdio::dup2_stdout(&streams.stdout))
            .and_then(|()| rustix::stdio::dup2_stderr(&streams.stderr));
        done.map_err(|error| failed(FaultKind::Other, "connect the output", error))?;
        let filter = seccomp::filter().map_err(other("make the filter of system calls"))?;
        rights::become_user(self.account, self.command.capabilities, self.identity)
            .map_err(other("become the user"))?;
        std::env::set_current_dir(&self.command.directory).map_err(other("enter the working directory"))?;
        rights::reset_signals();
        close_others().map_err(other("close files"))?;
        seccomp::apply(&filter).map_err(other("filter system calls"))
    }

    /// Tries the program, in the directories of PATH if it has no slash.
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
            // What was found and may not be run says more than what is missing elsewhere.
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
    // SAFETY: all three are NUL-terminated, as are the lists, and live until the call returns, if it does.
    #[expect(unsafe_code, reason = "becoming another program has no safe interface that keeps this process")]
    unsafe {
        libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr());
    }
    std::io::Error::last_os_error()
}

/// Lets no file of this program reach the command.
fn close_others() -> std::io::Result<()> {
    // SAFETY: the flag marks files to be closed by `execve`; none is closed under anybody's hands.
    #[expect(unsafe_code, reason = "the system call has no safe interface")]
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Forks; nothing in the new process.
pub(super) fn fork() -> Result<Option<Pid>, Fault> {
    // SAFETY: this process has one thread, so the new one finds no lock held by a thread that it has not.
    #[expect(unsafe_code, reason = "forking is only sound without threads, and here are none")]
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        let error = std::io::Error::last_os_error();
        return Err(Fault::system(FaultKind::Namespace, "start a process", &error));
    }
    Ok(Pid::from_raw(pid))
}

/// As [`fork`], with the new process as the first one of a process-id namespace. This process stays where it is, so it
/// can do that again: after `unshare` it could not.
pub(super) fn fork_into_namespace() -> Result<Option<Pid>, Fault> {
    let flags = libc::c_ulong::from(libc::CLONE_NEWPID.unsigned_abs() | libc::SIGCHLD.unsigned_abs());
    // SAFETY: without a stack and the flags that share memory or files, this is what `fork` calls; see there.
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

fn pipe() -> Result<(OwnedFd, OwnedFd), Fault> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|error| failed(FaultKind::Other, "make a pipe", error))
}
