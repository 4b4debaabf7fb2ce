//! Owns what the command inside may do: capabilities, limits, identity. Must not decide who it is.

use std::io;

use rustix::fs::{Gid, Uid};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::user::Account;
use crate::engine::sandbox::protocol::Identity;

/// Makes this process one that ends by its socket alone, and not because of a terminal.
pub(super) fn prepare_child() -> io::Result<()> {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
        set_signal(signal, libc::SIG_IGN);
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // A group of its own; fails only for a process that has one already.
    let _ = rustix::process::setsid();
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// Every signal as it is for a new program; what is ignored would stay ignored after `execve`.
pub(super) fn reset_signals() {
    for signal in 1..=31 {
        set_signal(signal, libc::SIG_DFL);
    }
    // SAFETY: the set is a local that lives until the call returns; it is initialised by `sigemptyset`.
    #[expect(unsafe_code, reason = "the C library has no safe interface to signal masks")]
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

fn set_signal(signal: libc::c_int, action: libc::sighandler_t) {
    // SAFETY: the two actions in use, default and ignore, run no code of this program.
    #[expect(unsafe_code, reason = "the C library has no safe interface to signal actions")]
    unsafe {
        libc::signal(signal, action);
    }
}

/// Bounds the address space of this process, as far as it is not bounded already.
pub(super) fn limit_address_space(bytes: u64) {
    let now = getrlimit(Resource::As);
    let current = Some(now.current.map_or(bytes, |now| now.min(bytes)));
    // A fence behind others: without it, the archive reader is still bounded by the archive.
    let _ = setrlimit(Resource::As, Rlimit { current, maximum: now.maximum });
}

/// Bounds the number of processes, if they are counted, and forbids memory dumps, for this process and all below it.
pub(super) fn limit(processes: Option<u64>) -> io::Result<()> {
    if let Some(processes) = processes {
        let now = getrlimit(Resource::Nproc);
        let processes = Some(now.maximum.map_or(processes, |maximum| maximum.min(processes)));
        setrlimit(Resource::Nproc, Rlimit { current: processes, maximum: processes })?;
    }
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// Becomes the user, with no more rights than `capabilities` for root and none for others, and no way to more.
pub(super) fn become_user(account: &Account, capabilities: u64, identity: Identity) -> io::Result<()> {
    let Account { uid, gid, groups, .. } = account;
    let allowed = CapabilitySet::from_bits_truncate(capabilities);
    for capability in CapabilitySet::all().difference(allowed).iter() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // The kernel is older than the capability.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if identity != Identity::Single {
        let groups: Vec<Gid> = groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        rustix::thread::set_thread_groups(&groups)?;
    }
    let (user, group) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
    rustix::thread::set_thread_res_gid(group, group, group)?;
    rustix::thread::set_thread_res_uid(user, user, user)?;
    let kept = if *uid == 0 { allowed } else { CapabilitySet::empty() };
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets)?;
    rustix::thread::clear_ambient_capability_set()?;
    Ok(rustix::thread::set_no_new_privs(true)?)
}
