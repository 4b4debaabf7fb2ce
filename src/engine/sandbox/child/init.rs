//! Owns the first process of a container: it makes the room, starts the command in it, and ends with it, whereupon the
//! kernel kills everything else inside.
//!
//! It belongs to the child's user namespace and the command to one below it, so the command has no rights over it, its
//! mounts or its network. Must not print: what it has to say goes through the status pipe as one JSON value.

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, WaitOptions};
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};

use super::namespace::{failed, unshare};
use super::user::Account;
use super::{rights, room, seccomp};
use crate::engine::sandbox::protocol::{Command, Fault, FaultKind, Identity};

/// Everything that the first process needs; made before the fork.
pub(super) struct Start<'a> {
    pub(super) command: &'a Command,
    pub(super) account: &'a Account,
    pub(super) identity: Identity,
    pub(super) root: PathBuf,
    pub(super) cgroups: Vec<OwnedFd>,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) status: OwnedFd,
    /// Closed when the child has ended, which it must not have before the first process is tied to it.
    pub(super) child_alive: OwnedFd,
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
    let mut alive = [0];
    let is_alive = File::from(start.child_alive).read(&mut alive).is_ok_and(|count| count == 1);
    if !is_alive {
        process_exit();
    }
    for cgroup in start.cgroups {
        File::from(cgroup).write_all(b"0").map_err(other("enter the control group"))?;
    }
    room::enter(&start.root, start.command.host_network)?;
    let (unshared, has_unshared) = pipe()?;
    let (go, may_go) = pipe()?;
    let (stdout, stderr, status) = (start.stdout, start.stderr, start.status);
    let inside = Inside { command: start.command, account: start.account, identity: start.identity };
    let Some(pid) = fork()? else {
        drop((unshared, may_go));
        let said = inside.become_command(has_unshared, go, stdout, stderr);
        let status = File::from(status);
        if let Ok(text) = serde_json::to_vec(&said) {
            let _ = (&status).write_all(&text);
        }
        process_exit()
    };
    drop((stdout, stderr, status, has_unshared, go));
    if start.identity != Identity::Host {
        let mut byte = [0];
        // Without the byte the command has ended and said why.
        if File::from(unshared).read(&mut byte).is_ok_and(|count| count == 1) {
            map_ids(pid, start.account, start.identity)?;
            File::from(may_go).write_all(b"g").map_err(other("start the command"))?;
        }
    }
    // Only now: the files of /proc by which ids are mapped belong to root where memory cannot be dumped.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    wait_for(pid)
}

/// Waits for the command, and takes the ends of those whose parents have gone.
fn wait_for(command: Pid) -> Result<Status, Fault> {
    loop {
        let waited = rustix::process::wait(WaitOptions::empty());
        let (pid, status) = match waited {
            Ok(Some(ended)) => ended,
            Ok(None) | Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(failed(FaultKind::Other, "wait for the command", error)),
        };
        if pid != command {
            continue;
        }
        if let Some(code) = status.exit_status() {
            return Ok(Status::Exited(code.into()));
        }
        if let Some(signal) = status.terminating_signal() {
            // As shells and Docker count it.
            return Ok(Status::Exited(128 + i64::from(signal)));
        }
    }
}

/// Gives the command's own user namespace its ids: all that are here, or the one as the command's user.
fn map_ids(pid: Pid, account: &Account, identity: Identity) -> Result<(), Fault> {
    let (users, groups) = match identity {
        Identity::Host => return Ok(()),
        Identity::Single => (format!("{} 0 1\n", account.uid), format!("{} 0 1\n", account.gid)),
        Identity::Ranges { users, groups } => {
            (all_of(users, "/proc/self/uid_map")?, all_of(groups, "/proc/self/gid_map")?)
        }
    };
    let pid = pid.as_raw_nonzero();
    let write = |name: &str, text: &str| {
        std::fs::write(format!("/proc/{pid}/{name}"), text)
            .map_err(|error| Fault::system(FaultKind::Namespace, format!("map the ids ({name})"), &error))
    };
    if identity == Identity::Single {
        write("setgroups", "deny")?;
    }
    write("uid_map", &users)?;
    write("gid_map", &groups)
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
}

impl Inside<'_> {
    /// Does not come back if all goes well.
    fn become_command(&self, unshared: OwnedFd, go: OwnedFd, stdout: OwnedFd, stderr: OwnedFd) -> Status {
        match self.prepare(unshared, go, stdout, stderr) {
            Ok(()) => {}
            Err(fault) => return Status::Failed(fault),
        }
        match self.execute() {
            Ok(never) => match never {},
            Err(error) => Status::NotStarted(error.raw_os_error().unwrap_or(libc::ENOENT)),
        }
    }

    fn prepare(&self, unshared: OwnedFd, go: OwnedFd, stdout: OwnedFd, stderr: OwnedFd) -> Result<(), Fault> {
        let other = |action: &'static str| {
            move |error: std::io::Error| Fault::system(FaultKind::Other, action, &error)
        };
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
        let done = rustix::stdio::dup2_stdin(&null)
            .and_then(|()| rustix::stdio::dup2_stdout(&stdout))
            .and_then(|()| rustix::stdio::dup2_stderr(&stderr));
        done.map_err(|error| failed(FaultKind::Other, "connect the output", error))?;
        let filter = seccomp::filter().map_err(other("make the filter of system calls"))?;
        let Account { uid, gid, groups, .. } = self.account;
        rights::become_user(*uid, *gid, groups, self.identity).map_err(other("become the user"))?;
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

fn pipe() -> Result<(OwnedFd, OwnedFd), Fault> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|error| failed(FaultKind::Other, "make a pipe", error))
}
