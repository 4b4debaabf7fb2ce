//! Owns detached copies of mounts: they are restricted before they become visible. Must not know what is mounted.
//! Source: open_tree(2), mount_setattr(2), move_mount(2).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags};

#[derive(Debug)]
pub(super) struct DetachedTree(OwnedFd);

impl DetachedTree {
    pub(super) fn copy_of(path: &Path) -> Result<Self, Errno> {
        let flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        rustix::mount::open_tree(CWD, path, flags).map(Self)
    }

    /// Forbids set-id bits and devices of this machine, and later mounts.
    pub(super) fn restrict(&self, read_only: bool) -> io::Result<()> {
        let read_only = if read_only { libc::MOUNT_ATTR_RDONLY } else { 0 };
        self.set(libc::mount_attr {
            attr_set: libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | read_only,
            attr_clr: 0,
            propagation: libc::MS_PRIVATE,
            userns_fd: 0,
        })
    }

    /// Maps each id on the disk to the same id in the user namespace. Needs rights over the filesystem.
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
        // SAFETY: the path is a static string with its NUL, and the structure is a local of the passed
        // length. Both live until the call returns, which changes neither.
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
