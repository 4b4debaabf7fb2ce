//! Owns the child's user and mount namespaces, and the container's overlay.
//!
//! Mounts from before [`separate_mounts`] are not visible after it, and earlier handles lead to the old mounts. So
//! every path is opened after it. Must not know what runs inside.

use std::collections::{BTreeSet, HashMap};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, Uid};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::thread::UnshareFlags;

use super::tree;
use crate::engine::sandbox::protocol::{Fault, FaultKind, Identity, OrFault, Permissions, Purpose, Setup};

/// Directories that every container has, which are mount points.
pub(super) const MOUNT_POINTS: [&str; 2] = ["dev", "proc"];

const UPPER: &str = "upper";
const WORK: &str = "work";
const ROOT: &str = "root";
const LOWER: &str = "lower";
const SKELETON: &str = "skeleton";
/// An empty directory: overlayfs does not accept a single lower directory without an upper one.
const VOID: &str = "void";

/// Leaves b2i's user namespace. Returns whether ids have to be mapped now.
pub(super) fn enter(setup: &Setup) -> Result<bool, Fault> {
    if setup.identity == Identity::Host {
        return Ok(false);
    }
    unshare(UnshareFlags::NEWUSER, "make a user namespace")?;
    Ok(true)
}

/// Enters a new mount namespace, so that no mount is visible or stays elsewhere.
pub(super) fn separate_mounts(setup: &Setup) -> Result<(), Fault> {
    if setup.identity != Identity::Single {
        // The groups of b2i's user are rights that the container must not have.
        rustix::thread::set_thread_groups(&[]).or_fault(FaultKind::Namespace, "give up the groups")?;
    }
    if !matches!(setup.purpose, Purpose::Container { .. }) {
        return Ok(());
    }
    unshare(UnshareFlags::NEWNS, "make a mount namespace")?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).or_fault(FaultKind::Namespace, "take over the mounts")
}

pub(super) fn unshare(flags: UnshareFlags, action: &str) -> Result<(), Fault> {
    // SAFETY: only the flag FILES could break a shared table of file descriptors. It is not used, and the
    // process has one thread.
    #[expect(unsafe_code, reason = "the system call is unsafe for programs with threads; this one has none")]
    let done = unsafe { rustix::thread::unshare_unsafe(flags) };
    done.map_err(|error| failed(FaultKind::Namespace, action, error))
}

pub(super) fn failed(kind: FaultKind, action: impl Into<String>, error: rustix::io::Errno) -> Fault {
    Fault::system(kind, action, &error.into())
}

pub(super) struct Place {
    pub(super) identity: Identity,
    pub(super) directory: PathBuf,
    /// Owners of uploaded symbolic links by inode, if only one id is mapped: links have no attributes.
    pub(super) link_owners: HashMap<u64, (u32, u32)>,
    /// User and group of the command, after its start.
    pub(super) command_ids: Option<(u32, u32)>,
    /// Mount points that were created.
    pub(super) new_mount_points: BTreeSet<String>,
    root: Option<OwnedFd>,
}

impl Place {
    /// Mounts the overlay of `layers` (highest first) in `directory`.
    pub(super) fn mount(
        directory: &Path,
        layers: &[PathBuf],
        root: Option<Permissions>,
        identity: Identity,
    ) -> Result<Self, Fault> {
        let work = tree::open_directory(directory)?;
        let permissions = root.unwrap_or(Permissions { mode: 0o755, uid: 0, gid: 0 });
        for name in [UPPER, WORK, ROOT, LOWER, SKELETON, VOID] {
            make_directory(&work, name, identity)?;
        }
        let skeleton = tree::open_below(&work, SKELETON)?;
        for name in MOUNT_POINTS {
            make_directory(&skeleton, name, identity)?;
        }
        // The overlay's root has the attributes of the upper directory.
        let upper = tree::open_below(&work, UPPER)?;
        tree::set_permissions(&upper, &permissions, identity)
            .or_fault(FaultKind::Owner, "set the owner of the root directory")?;

        let mut handles = vec![skeleton];
        for layer in layers {
            handles.push(tree::open_directory(layer)?);
        }
        handles.push(tree::open_below(&work, VOID)?);
        let lower: Vec<String> = handles.iter().map(|handle| through_proc(handle.as_fd())).collect();
        let lower = lower.join(":");
        // An overlay of the image alone, for the comparison.
        mount_overlay(&work, LOWER, &format!("lowerdir={lower},userxattr"), MountFlags::RDONLY)?;
        let scratch = tree::open_below(&work, WORK)?;
        let (upper, scratch_path) = (through_proc(upper.as_fd()), through_proc(scratch.as_fd()));
        // Volatile: a crash of the machine may lose the files, and unmounting does not write to the disk.
        let options = format!("lowerdir={lower},upperdir={upper},workdir={scratch_path},userxattr,volatile");
        mount_overlay(&work, ROOT, &options, MountFlags::empty())?;
        let root = tree::open_below(&work, ROOT)?;
        Ok(Self {
            identity,
            directory: directory.to_owned(),
            link_owners: HashMap::new(),
            command_ids: None,
            new_mount_points: BTreeSet::new(),
            root: Some(root),
        })
    }

    pub(super) fn root(&self) -> Result<BorrowedFd<'_>, Fault> {
        let gone = || Fault::refused(FaultKind::Other, "use the container", "its changes were taken");
        self.root.as_ref().map(AsFd::as_fd).ok_or_else(gone)
    }

    pub(super) fn root_handle(&self) -> Result<OwnedFd, Fault> {
        self.root()?.try_clone_to_owned().or_fault(FaultKind::Other, "open the container's root")
    }

    pub(super) fn root_path(&self) -> PathBuf {
        self.directory.join(ROOT)
    }

    /// Unmounts the container, and opens its changes and its image.
    pub(super) fn take_apart(&mut self) -> Result<(OwnedFd, OwnedFd), Fault> {
        self.root()?;
        self.root = None;
        // The unmount is lazy: the mount ends with this process at the latest.
        let unmounted = rustix::mount::unmount(self.root_path(), UnmountFlags::DETACH);
        unmounted.or_fault(FaultKind::Other, "unmount the container")?;
        let directory = tree::open_directory(&self.directory)?;
        Ok((tree::open_below(&directory, UPPER)?, tree::open_below(&directory, LOWER)?))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.root = None;
        unmount(&self.directory);
    }
}

/// Unmounts everything in the directory of a container, which is emptied next.
pub(super) fn unmount(directory: &Path) {
    for name in [ROOT, LOWER] {
        // Nothing is mounted there if mounting failed.
        let _ = rustix::mount::unmount(directory.join(name), UnmountFlags::DETACH);
    }
}

pub(super) fn make_directory(parent: &OwnedFd, name: &str, identity: Identity) -> Result<(), Fault> {
    let failed = |error| failed(FaultKind::Other, format!("make the directory `{name}`"), error);
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)).map_err(failed)?;
    if matches!(identity, Identity::Ranges { .. }) {
        let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
        let owned = rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
        owned.map_err(failed)?;
    }
    Ok(())
}

/// A path for mount options that needs no escaping.
pub(super) fn through_proc(handle: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}

fn mount_overlay(work: &OwnedFd, target: &str, options: &str, flags: MountFlags) -> Result<(), Fault> {
    let target = tree::open_below(work, target)?;
    let options = CString::new(options).expect("numbers and fixed names have no NUL");
    let flags = flags | MountFlags::NODEV | MountFlags::NOSUID;
    let target = through_proc(target.as_fd());
    let mounted = rustix::mount::mount("overlay", target.as_str(), "overlay", flags, &*options);
    mounted.or_fault(FaultKind::Overlay, "mount the overlay")
}
