//! Owns the filter of the command's system calls. Must not replace namespaces and capabilities.
//!
//! It keeps rarely used code of the kernel out of reach, and follows Docker's default profile. Calls that Docker
//! allows only with capabilities fail with EPERM. Calls that are newer than this list fail with ENOSYS, as on an
//! older kernel.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Operator, SeccompCondition,
    SeccompFilter, SeccompRule, sock_filter,
};

/// The newest system call in this list. From 424 on, numbers are the same on all architectures.
const NEWEST: u32 = 462;

/// The second numbering of x86-64 also begins above [`NEWEST`].
const LOAD_NUMBER: sock_filter = sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
const SKIP_UNLESS_NEWER: sock_filter = sock_filter { code: 0x25, jt: 0, jf: 1, k: NEWEST };
const NOT_THERE: sock_filter = sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x0005_0000 | libc::ENOSYS as u32 };

macro_rules! calls {
    ($($call:ident)*) => { &[$(libc::$call),*] };
}

const REFUSED: &[libc::c_long] = calls![
    SYS_acct SYS_add_key SYS_bpf SYS_chroot SYS_clock_adjtime SYS_clock_settime SYS_delete_module
    SYS_fanotify_init SYS_finit_module SYS_fsconfig SYS_fsmount SYS_fsopen SYS_fspick SYS_init_module
    SYS_io_uring_enter SYS_io_uring_register SYS_io_uring_setup SYS_kcmp SYS_kexec_file_load SYS_kexec_load
    SYS_keyctl SYS_lookup_dcookie SYS_mbind SYS_migrate_pages SYS_mount SYS_mount_setattr SYS_move_mount
    SYS_move_pages SYS_name_to_handle_at SYS_nfsservctl SYS_open_by_handle_at SYS_open_tree SYS_perf_event_open
    SYS_pidfd_getfd SYS_pivot_root SYS_process_madvise SYS_process_vm_readv SYS_process_vm_writev SYS_ptrace
    SYS_quotactl SYS_quotactl_fd SYS_reboot SYS_request_key SYS_set_mempolicy SYS_setdomainname SYS_sethostname
    SYS_setns SYS_settimeofday SYS_swapoff SYS_swapon SYS_syslog SYS_umount2 SYS_unshare SYS_userfaultfd
    SYS_vhangup
];

#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[libc::c_long] = calls![SYS__sysctl SYS_ioperm SYS_iopl SYS_sysfs SYS_uselib SYS_ustat];

#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[libc::c_long] = &[];

const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u64;

/// Socket families that ignore network namespaces.
const FOREIGN_FAMILIES: [u64; 2] = [libc::AF_VSOCK as u64, libc::AF_ALG as u64];

/// Allowed values of `personality`: Linux, its 32-bit form, without randomisation, and the query.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Calls that start, reach or connect to anything else.
const REFUSED_TO_UNPACKING: &[libc::c_long] = calls![
    SYS_accept4 SYS_bind SYS_clone SYS_connect SYS_execve SYS_execveat SYS_kill SYS_listen SYS_memfd_create
    SYS_pidfd_open SYS_pidfd_send_signal SYS_prctl SYS_prlimit64 SYS_setuid SYS_socket SYS_socketpair
    SYS_tgkill SYS_tkill
];

/// The filter of the command.
pub(super) fn filter() -> io::Result<BpfProgram> {
    filter_with(&[])
}

/// The filter of the process that unpacks a layer.
pub(super) fn filter_for_unpacking() -> io::Result<BpfProgram> {
    filter_with(REFUSED_TO_UNPACKING)
}

fn filter_with(more: &[libc::c_long]) -> io::Result<BpfProgram> {
    let invalid = |error: seccompiler::BackendError| io::Error::other(error);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let is = |argument, operator, value| SeccompCondition::new(argument, Length::Dword, operator, value);
    let mut clone = Vec::new();
    for flag in (0..64).map(|bit| 1 << bit).filter(|flag| NAMESPACES & flag != 0) {
        let condition = SeccompCondition::new(0, Length::Qword, Operator::MaskedEq(flag), flag);
        clone.push(SeccompRule::new(vec![condition.map_err(invalid)?]).map_err(invalid)?);
    }
    rules.insert(libc::SYS_clone, clone);
    let mut socket = Vec::new();
    for family in FOREIGN_FAMILIES {
        let condition = is(0, Operator::Eq, family).map_err(invalid)?;
        socket.push(SeccompRule::new(vec![condition]).map_err(invalid)?);
    }
    rules.insert(libc::SYS_socket, socket);
    let others: Result<Vec<_>, _> = PERSONALITIES.iter().map(|value| is(0, Operator::Ne, *value)).collect();
    let others = SeccompRule::new(others.map_err(invalid)?).map_err(invalid)?;
    rules.insert(libc::SYS_personality, vec![others]);
    // TIOCSTI types into a terminal, TIOCLINUX pastes into one.
    let mut ioctl = Vec::new();
    for request in [0x5412, 0x541c] {
        let condition = is(1, Operator::Eq, request).map_err(invalid)?;
        ioctl.push(SeccompRule::new(vec![condition]).map_err(invalid)?);
    }
    rules.insert(libc::SYS_ioctl, ioctl);
    for number in REFUSED.iter().chain(REFUSED_HERE).chain(more) {
        rules.insert(*number, Vec::new());
    }
    let architecture = std::env::consts::ARCH.try_into().map_err(invalid)?;
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture).map_err(invalid)?;
    let rest: BpfProgram = filter.try_into().map_err(invalid)?;
    // A filter cannot see the flags of `clone3`. With ENOSYS, programs use `clone` instead.
    let skip_unless_clone3 = sock_filter { code: 0x15, jt: 0, jf: 1, k: libc::SYS_clone3 as u32 };
    let mut program = vec![LOAD_NUMBER, SKIP_UNLESS_NEWER, NOT_THERE, skip_unless_clone3, NOT_THERE];
    program.extend(rest);
    Ok(program)
}

pub(super) fn apply(program: &BpfProgram) -> io::Result<()> {
    seccompiler::apply_filter(program).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_compiles_and_is_not_too_long() {
        for program in [filter(), filter_for_unpacking()] {
            let length = program.expect("compiles").len();
            assert!(length < 4096, "{length}");
        }
    }
}
