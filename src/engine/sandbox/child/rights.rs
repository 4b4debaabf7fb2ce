//! Owns the command's rights: capabilities, limits, user. Must not choose the user.

use std::io;

use rustix::fs::{Gid, Uid};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::user::Account;
use crate::engine::sandbox::protocol::Identity;

/// The last real-time signal.
const LAST_SIGNAL: libc::c_int = 64;

/// Makes this process independent of the terminal: only its socket ends it.
pub(super) fn prepare_child() -> io::Result<()> {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
        set_signal(signal, libc::SIG_IGN);
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // The call fails only for the leader of a process group.
    let _ = rustix::process::setsid();
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// Resets all signals: ignored ones would stay ignored after `execve`.
pub(super) fn reset_signals() {
    for signal in 1..=LAST_SIGNAL {
        // C libraries refuse the real-time signals that they use themselves, so the kernel is called. All zeros are the
        // default action.
        let default = [0_u64; 8];
        let size_of_mask = 8_usize;
        // SAFETY: the kernel's structure is smaller than the local, which lives until the call returns. The default
        // action runs no code of this program.
        #[expect(unsafe_code, reason = "the C library refuses some signals")]
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null_mut::<u8>(),
                size_of_mask,
            );
        }
    }
    // SAFETY: the set is a local that lives until the call returns, and `sigemptyset` initialises it.
    #[expect(unsafe_code, reason = "the C library has no safe interface to signal masks")]
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

fn set_signal(signal: libc::c_int, action: libc::sighandler_t) {
    // SAFETY: the actions default and ignore run no code of this program.
    #[expect(unsafe_code, reason = "the C library has no safe interface to signal actions")]
    unsafe {
        libc::signal(signal, action);
    }
}

/// Limits the address space of this process.
pub(super) fn limit_address_space(bytes: u64) {
    let now = getrlimit(Resource::As);
    let current = Some(now.current.map_or(bytes, |now| now.min(bytes)));
    // The call may fail: the archive reader has its own bounds.
    let _ = setrlimit(Resource::As, Rlimit { current, maximum: now.maximum });
}

/// Limits the number of processes and forbids memory dumps, for this process and all below it.
pub(super) fn limit(processes: Option<u64>) -> io::Result<()> {
    if let Some(processes) = processes {
        let now = getrlimit(Resource::Nproc);
        let processes = Some(now.maximum.map_or(processes, |maximum| maximum.min(processes)));
        setrlimit(Resource::Nproc, Rlimit { current: processes, maximum: processes })?;
    }
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// Becomes the user, for good, with `capabilities` for root and none for other users.
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
