//! Owns trees of mounts that are copied from this machine's and are nowhere yet: what may be done in them is settled before
//! anything can be seen of them.
//!
//! Must not know what is mounted, nor for whom. Source: open_tree(2), mount_setattr(2), move_mount(2).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags};

/// A tree of mounts that is not mounted.
#[derive(Debug)]
pub(super) struct DetachedTree(OwnedFd);

impl DetachedTree {
    /// Copies what is seen at `path`, with what is mounted below it.
    pub(super) fn copy_of(path: &Path) -> Result<Self, Errno> {
        let flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        rustix::mount::open_tree(CWD, path, flags).map(Self)
    }

    /// Takes away what a container must not have of this machine: rights by set-id bits, devices, mounts that come and go.
    pub(super) fn restrict(&self, read_only: bool) -> io::Result<()> {
        let read_only = if read_only { libc::MOUNT_ATTR_RDONLY } else { 0 };
        self.set(libc::mount_attr {
            attr_set: libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | read_only,
            attr_clr: 0,
            propagation: libc::MS_PRIVATE,
            userns_fd: 0,
        })
    }

    /// Shows a number on the disk as the same number in the user namespace, which takes rights over the file system.
    pub(super) fn map_ids(&self, user_namespace: BorrowedFd<'_>) -> io::Result<()> {
        let userns_fd =
            u64::try_from(user_namespace.as_raw_fd()).expect("open files have no negative numbers");
        self.set(libc::mount_attr {
            attr_set: libc::MOUNT_ATTR_IDMAP,
            attr_clr: 0,
            propagation: libc::MS_PRIVATE,
            userns_fd,
        })
    }

    fn set(&self, attributes: libc::mount_attr) -> io::Result<()> {
        // SAFETY: the path is a static text with its NUL, and the structure a local of the length that is said; both live
        // until the call returns, which changes neither.
        #[expect(unsafe_code, reason = "the system call has no safe interface")]
        let done = unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                self.0.as_raw_fd(),
                c"".as_ptr(),
                libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
                &raw const attributes,
                size_of::<libc::mount_attr>(),
            )
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Mounts it at the very place that is open.
    pub(super) fn mount_at(self, place: BorrowedFd<'_>) -> Result<(), Errno> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(&self.0, "", place, "", flags)
    }
}

impl AsFd for DetachedTree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for DetachedTree {
    fn from(tree: OwnedFd) -> Self {
        Self(tree)
    }
}
