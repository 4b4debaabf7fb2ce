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

const REFUSED: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mbind,
    libc::SYS_migrate_pages,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_name_to_handle_at,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_set_mempolicy,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[libc::c_long] = &[
    libc::SYS__sysctl,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_sysfs,
    libc::SYS_uselib,
    libc::SYS_ustat,
];

#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[libc::c_long] = &[];

/// Flags of `clone` for namespaces.
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

pub(super) fn filter() -> io::Result<BpfProgram> {
    let invalid = |error: seccompiler::BackendError| io::Error::other(error);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for number in REFUSED.iter().chain(REFUSED_HERE) {
        rules.insert(*number, Vec::new());
    }
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

/// Applies the filter to this process and all below it.
pub(super) fn apply(program: &BpfProgram) -> io::Result<()> {
    seccompiler::apply_filter(program).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_compiles_and_is_not_too_long() {
        let program = filter().expect("compiles");
        assert!(program.len() < 4096, "{}", program.len());
    }
}
