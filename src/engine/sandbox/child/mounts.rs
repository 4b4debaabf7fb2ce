//! Owns mounting directories and files in a container before its command runs, and creating mount points.
//!
//! Paths are resolved inside the container's root. Created mount points are recorded, because they are not part of
//! the change. Must not decide what may be mounted.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use super::files::{self, HOSTS};
use super::namespace::{MOUNT_POINTS, Place, failed};
use super::user::{Account, resolve};
use super::{lookup, tree};
use crate::engine::sandbox::detached::DetachedTree;
use crate::engine::sandbox::protocol::{
    Command, Fault, FaultKind, Identity, MountRequest, MountedTree, OrFault, Permissions,
};

/// The place of a filesystem in memory, in the container's directory.
const MEMORY: &str = "memory";

/// The resolver's settings, on the host and inside.
const RESOLVER: &str = "/etc/resolv.conf";

/// Most links to a missing file.
const MAXIMUM_LINKS: usize = 8;

/// The kernel's id for users and groups that are not mapped.
const UNKNOWN: u32 = 65534;

/// Mounts a tree. Returns whether the command's user can write to it.
pub(super) fn mount(
    place: &mut Place,
    request: &MountRequest,
    open_file: Option<OwnedFd>,
) -> Result<bool, Fault> {
    let account = account(place, &request.user)?;
    let tree = detached(place, request, open_file)?;
    let stat =
        rustix::fs::fstat(&tree).or_fault(FaultKind::Mount, format_args!("look at `{}`", request.shown))?;
    if request.is_own
        && let Some(account) = &account
    {
        set_owner(&tree, account, place.identity)?;
    }
    let target = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => directory_for(place, request)?,
        FileType::CharacterDevice | FileType::BlockDevice => {
            return Err(refused(request, "it is a device, and the container could not open it"));
        }
        _ => file_for(place, &request.target)?,
    };
    refuse_place(place, request, &target)?;
    tree.mount_at(target.as_fd()).or_fault(FaultKind::Mount, format_args!("mount `{}`", request.shown))?;
    let is_written = !request.read_only && !request.is_own;
    Ok(!is_written || account.is_none_or(|account| can_write(&stat, &account, place.identity)))
}

/// Mounts the hosts file, and on the host's network the resolver's settings.
pub(super) fn offer_names(place: &mut Place, command: &Command) -> Result<(), Fault> {
    let hosts = hosts_file(place, command)?;
    offer(place, hosts, HOSTS, false)?;
    if command.host_network && Path::new(RESOLVER).exists() {
        let resolver = DetachedTree::copy_of(Path::new(RESOLVER));
        let resolver = resolver.or_fault(FaultKind::Namespace, format_args!("open {RESOLVER}"))?;
        offer(place, resolver, RESOLVER, true)?;
    }
    Ok(())
}

/// Writes the hosts file into a filesystem in memory. The container sees the path of every mount, and that of the cache
/// has the name of the user.
fn hosts_file(place: &Place, command: &Command) -> Result<DetachedTree, Fault> {
    let failed = |error: std::io::Error| Fault::system(FaultKind::Namespace, "write the hosts file", &error);
    let memory = place.directory.join(MEMORY);
    std::fs::create_dir(&memory).map_err(failed)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("tmpfs", &memory, "tmpfs", flags, c"mode=755,nr_inodes=8")
        .map_err(|error| failed(error.into()))?;
    let file = memory.join("hosts");
    let written = std::fs::write(&file, files::hosts(command)).map_err(failed);
    let tree = written.and_then(|()| DetachedTree::copy_of(&file).map_err(|error| failed(error.into())));
    // The copy keeps the filesystem.
    let unmounted = rustix::mount::unmount(&memory, UnmountFlags::DETACH);
    unmounted.map_err(|error| failed(error.into()))?;
    std::fs::remove_dir(&memory).map_err(failed)?;
    tree
}

/// Mounts a file, unless the image has something other than a file there.
fn offer(place: &mut Place, tree: DetachedTree, target: &str, read_only: bool) -> Result<(), Fault> {
    let is_other = |stat: Stat| FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile;
    let known = tree::open_in_root(place.root()?, target.as_bytes(), OFlags::PATH);
    if known.and_then(rustix::fs::fstat).is_ok_and(is_other) {
        return Ok(());
    }
    let failed =
        |error: std::io::Error| Fault::system(FaultKind::Namespace, format!("mount {target}"), &error);
    tree.restrict(read_only).map_err(failed)?;
    if !read_only {
        set_owner(&tree, &Account::root(), place.identity)?;
    }
    // Nobody asked for this mount, so the image is at fault.
    let target = file_for(place, target).map_err(|fault| Fault { kind: FaultKind::Image, ..fault })?;
    tree.mount_at(target.as_fd()).map_err(|error| failed(error.into()))
}

fn refused(request: &MountRequest, reason: &str) -> Fault {
    Fault::refused(FaultKind::Mount, format!("mount `{}` at `{}`", request.shown, request.target), reason)
}

/// The command's user; none if it is unknown, which is reported when the command runs.
fn account(place: &Place, user: &str) -> Result<Option<Account>, Fault> {
    let passwd = lookup::accounts(place.root()?, "/etc/passwd")?;
    let group = lookup::accounts(place.root()?, "/etc/group")?;
    Ok(resolve(user, &passwd, &group).ok())
}

/// The tree with a container's restrictions.
fn detached(
    place: &Place,
    request: &MountRequest,
    open_file: Option<OwnedFd>,
) -> Result<DetachedTree, Fault> {
    let copy_of = |path: &Path| {
        DetachedTree::copy_of(path).or_fault(FaultKind::Mount, format_args!("open `{}`", request.shown))
    };
    let tree = match (&request.tree, open_file) {
        (MountedTree::Path(path), _) => copy_of(path)?,
        (MountedTree::Temporary { name }, _) => {
            let directory = tree::open_directory(&place.directory)?;
            super::namespace::make_directory(&directory, name, place.identity)?;
            copy_of(&place.directory.join(name))?
        }
        (MountedTree::OpenFile, Some(tree)) => tree.into(),
        (MountedTree::OpenFile, None) => return Err(refused(request, "b2i did not send it")),
    };
    tree.restrict(request.read_only)
        .or_fault(FaultKind::Mount, format_args!("restrict `{}`", request.shown))?;
    Ok(tree)
}

/// The directory to mount on, created if it is missing.
fn directory_for(place: &mut Place, request: &MountRequest) -> Result<OwnedFd, Fault> {
    let mut created = Vec::new();
    let target = files::open_or_make(place, &request.target, &mut created)?;
    place.new_mount_points.extend(created);
    Ok(target)
}

/// The file to mount on, created if it is missing; at the end of dangling links, as with Docker.
fn file_for(place: &mut Place, path: &str) -> Result<OwnedFd, Fault> {
    let failed = |error| failed(FaultKind::Mount, format!("make the file `{path}`"), error);
    let mut path = path.to_owned();
    for _ in 0..MAXIMUM_LINKS {
        match tree::open_in_root(place.root()?, path.as_bytes(), OFlags::PATH) {
            Err(Errno::NOENT) => {}
            result => return result.map_err(failed),
        }
        let link = tree::open_in_root(place.root()?, path.as_bytes(), OFlags::PATH | OFlags::NOFOLLOW);
        let Ok(link) = link else { return make_file(place, &path) };
        let target = rustix::fs::readlinkat(&link, "", Vec::new()).map_err(failed)?;
        let target = target.to_str().map_err(|_| failed(Errno::ILSEQ))?;
        path = match (target.starts_with('/'), path.rsplit_once('/')) {
            (false, Some((directory, _))) => format!("{directory}/{target}"),
            _ => target.to_owned(),
        };
    }
    Err(failed(Errno::LOOP))
}

/// Creates an empty file of root.
fn make_file(place: &mut Place, path: &str) -> Result<OwnedFd, Fault> {
    let failed = |error| failed(FaultKind::Mount, format!("make the file `{path}`"), error);
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut created = Vec::new();
    let directory = files::open_or_make(place, directory, &mut created)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&directory, name, flags, Mode::from_raw_mode(0o644)).map_err(failed)?;
    let root = Permissions { mode: 0o644, uid: 0, gid: 0 };
    tree::set_permissions(&file, &root, place.identity)
        .or_fault(FaultKind::Mount, format_args!("make the file `{path}`"))?;
    created.push(files::image_path(place, &file)?);
    place.new_mount_points.extend(created);
    Ok(file)
}

/// Fails for the root, and for paths that later mounts hide.
fn refuse_place(place: &Place, request: &MountRequest, target: &OwnedFd) -> Result<(), Fault> {
    let path = files::image_path(place, target)?;
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    match parts.next() {
        None => Err(refused(request, "it is the container's root")),
        Some(first) if MOUNT_POINTS.contains(&first) => {
            Err(refused(request, &format!("every container has its own `/{first}`")))
        }
        Some(_) => Ok(()),
    }
}

/// Makes the command's user the owner of the top directory. With one mapped id, this is already so.
fn set_owner(tree: &DetachedTree, account: &Account, identity: Identity) -> Result<(), Fault> {
    if identity == Identity::Single {
        return Ok(());
    }
    let (user, group) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    rustix::fs::chownat(tree, "", Some(user), Some(group), AtFlags::EMPTY_PATH)
        .or_fault(FaultKind::Mount, "give a directory to the user of the command")
}

/// Whether owner and mode let the command write.
fn can_write(stat: &Stat, account: &Account, identity: Identity) -> bool {
    // With one mapped id, the command owns all files.
    let (uid, gid) = match identity {
        Identity::Single => (0, 0),
        Identity::Host | Identity::Ranges { .. } => (account.uid, account.gid),
    };
    let is_known = identity == Identity::Host || stat.st_uid != UNKNOWN && stat.st_gid != UNKNOWN;
    let is_ours = match identity {
        Identity::Ranges { users, groups } => stat.st_uid < users && stat.st_gid < groups,
        Identity::Host | Identity::Single => true,
    };
    if account.uid == 0 && is_known && is_ours {
        return true;
    }
    let bit = if stat.st_uid == uid {
        0o200
    } else if stat.st_gid == gid || account.groups.contains(&stat.st_gid) {
        0o020
    } else {
        0o002
    };
    stat.st_mode & bit != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(uid: u32, gid: u32) -> Account {
        Account { uid, gid, groups: vec![77], home: "/".into() }
    }

    fn stat(uid: u32, gid: u32, mode: u32) -> Stat {
        let mut stat = rustix::fs::stat("/").expect("the root is there");
        (stat.st_uid, stat.st_gid, stat.st_mode) = (uid, gid, mode);
        stat
    }

    #[test]
    fn who_can_write_is_told_by_owner_group_and_mode() {
        let ranges = Identity::Ranges { users: 1000, groups: 1000 };
        for (identity, owner, mode, user, can) in [
            (ranges, (0, 0), 0o755, (5, 1), false),
            (ranges, (0, 0), 0o757, (5, 1), true),
            (ranges, (0, 0), 0o775, (5, 0), true),
            (ranges, (0, 77), 0o775, (5, 1), true),
            (ranges, (5, 0), 0o755, (5, 1), true),
            (ranges, (5, 0), 0o555, (0, 0), true),
            // Root inside has no rights over files of ids that are not mapped, or not inside of the command's namespace.
            (ranges, (UNKNOWN, UNKNOWN), 0o755, (0, 0), false),
            (ranges, (1000, 1000), 0o755, (0, 0), false),
            (Identity::Single, (0, 0), 0o755, (5, 1), true),
            (Identity::Single, (UNKNOWN, UNKNOWN), 0o755, (5, 1), false),
            (Identity::Host, (UNKNOWN, 1), 0o700, (0, 0), true),
            (Identity::Host, (1, 1), 0o700, (2, 2), false),
        ] {
            let found = can_write(&stat(owner.0, owner.1, mode), &account(user.0, user.1), identity);
            assert_eq!(found, can, "{identity:?} {owner:?} {mode:o} {user:?}");
        }
    }
}
