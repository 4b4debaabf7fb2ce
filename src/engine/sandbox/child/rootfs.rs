//! Owns the command's root filesystem: the overlay, `/dev` and `/proc`.
//!
//! The container's first process creates the namespaces, and the one that becomes the command mounts the rest,
//! because `/proc` shows the processes of its mounter. Must not run anything.

use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::thread::UnshareFlags;

use super::namespace::{failed, unshare};
use crate::engine::sandbox::protocol::{Command, Fault, FaultKind, OrFault, Streams};

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// The paths that Docker hides: they reveal or change the host.
const MASKED: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
];

/// The paths that Docker makes read-only.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const QUIET: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

pub(super) fn separate(host_network: bool) -> Result<(), Fault> {
    // The control group of the container is the root of those that it sees.
    let mut flags =
        UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS | UnshareFlags::NEWCGROUP;
    if !host_network {
        flags |= UnshareFlags::NEWNET;
    }
    unshare(flags, "make the namespaces of the container")?;
    match rustix::system::sethostname(HOST_NAME.as_bytes()) {
        // The seccomp profile of a container around b2i may forbid it. The name is cosmetic: the program then sees the
        // container's.
        Err(Errno::PERM | Errno::NOSYS) => {}
        named => named.or_fault(FaultKind::Other, "name the container")?,
    }
    if !host_network {
        raise_loopback().or_fault(FaultKind::Other, "start the loopback device")?;
    }
    Ok(())
}

/// Makes the root filesystem at `root` and enters it for good.
pub(super) fn enter(root: &Path, command: &Command) -> Result<(), Fault> {
    std::env::set_current_dir(root).or_fault(FaultKind::Other, "enter the container's root")?;
    mount("proc", "proc", "proc", QUIET, None)?;
    make_devices()?;
    pivot()?;
    if command.streams == Streams::Piped && !command.host_network {
        // As Docker does. Old kernels lack the file.
        let _ = std::fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    }
    for path in MASKED {
        mask(path)?;
    }
    READ_ONLY.into_iter().try_for_each(make_read_only)
}

/// The host name of every container.
pub(in crate::engine::sandbox) const HOST_NAME: &str = "sandbox";

fn mount(
    source: &str,
    target: &str,
    kind: &str,
    flags: MountFlags,
    data: Option<&std::ffi::CStr>,
) -> Result<(), Fault> {
    rustix::mount::mount(source, target, kind, flags, data)
        .or_fault(FaultKind::Namespace, format_args!("mount {kind} at /{target}"))
}

/// A filesystem in memory with the harmless devices of the host.
fn make_devices() -> Result<(), Fault> {
    let quiet = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount("tmpfs", "dev", "tmpfs", quiet, Some(c"mode=755,size=64k,nr_inodes=64"))?;
    for name in ["dev/pts", "dev/shm"] {
        directory(name)?;
    }
    mount("devpts", "dev/pts", "devpts", quiet, Some(c"newinstance,ptmxmode=0666,mode=0620"))?;
    mount("shm", "dev/shm", "tmpfs", QUIET, Some(c"mode=1777,size=64m"))?;
    for name in DEVICES {
        let (host, here) = (format!("/dev/{name}"), format!("dev/{name}"));
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let made = rustix::fs::open(&*here, flags, Mode::from_raw_mode(0o666));
        made.or_fault(FaultKind::Other, format_args!("make /{here}"))?;
        let bound = rustix::mount::mount_bind(&*host, &*here);
        bound.or_fault(FaultKind::Namespace, format_args!("bind {host}"))?;
    }
    for (target, name) in LINKS {
        let made = rustix::fs::symlink(target, format!("dev/{name}"));
        made.or_fault(FaultKind::Other, format_args!("make /dev/{name}"))?;
    }
    Ok(())
}

fn directory(path: &str) -> Result<(), Fault> {
    rustix::fs::mkdir(path, Mode::from_raw_mode(0o755))
        .or_fault(FaultKind::Other, format_args!("make /{path}"))
}

/// Makes the current directory the root. The second `.` of `pivot_root` puts the old root on top of the new
/// one, where it can be unmounted.
fn pivot() -> Result<(), Fault> {
    let failed = |error| failed(FaultKind::Namespace, "change the root", error);
    rustix::process::pivot_root(".", ".").map_err(failed)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(failed)?;
    rustix::process::chdir("/").map_err(failed)
}

fn mask(path: &str) -> Result<(), Fault> {
    let failed = |error| failed(FaultKind::Namespace, format!("hide {path}"), error);
    match rustix::mount::mount_bind("/dev/null", path) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::NOTDIR) => {
            let flags = QUIET | MountFlags::RDONLY;
            rustix::mount::mount("tmpfs", path, "tmpfs", flags, Some(c"size=0k")).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

fn make_read_only(path: &str) -> Result<(), Fault> {
    let failed = |error| failed(FaultKind::Namespace, format!("make {path} read-only"), error);
    match rustix::mount::mount_bind_recursive(path, path) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    // The flags of the mount are locked, so they have to be repeated.
    let flags = MountFlags::BIND | MountFlags::RDONLY | QUIET;
    rustix::mount::mount_remount(path, flags, c"").map_err(failed)
}

/// Enables loopback, which is down in a new network namespace.
fn raise_loopback() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: `ifreq` is plain data, so zeros are valid. The name fits with its NUL, and both calls get a
    // pointer to this local, which lives until they return.
    #[expect(unsafe_code, reason = "rustix has no interface for the flags of a network device")]
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(b"lo\0") {
            *to = *from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        let socket = std::os::fd::AsRawFd::as_raw_fd(&socket);
        if libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw const request) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
