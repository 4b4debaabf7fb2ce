//! Owns reading a container's changes from the upper directory of its overlay.
//!
//! They are compared with the image: overlayfs marks new directories as opaque without need, and has directories that
//! only lead to changes. Afterwards b2i's user can read every file; modes and owners are in the messages. Must not
//! copy contents.

use std::collections::HashMap;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use super::attributes::{Attributes, read_attributes};
use super::namespace::{MOUNT_POINTS, Place, failed};
use super::tree::{names, open_plain, recorded_owner};
use super::whiteout::{OPAQUE_ATTRIBUTE, is_whiteout};
use crate::engine::sandbox::protocol::{
    Change, ChangeKind, Fault, FaultKind, Identity, OrFault, Permissions,
};

const MAXIMUM_NOTES: usize = 20;

/// Sends at most `maximum` changes. Returns notes on files that were left out.
pub(super) fn send(
    place: &mut Place,
    maximum: u64,
    mut send: impl FnMut(Change) -> io::Result<()>,
) -> Result<Vec<String>, Fault> {
    let (upper, lower) = place.take_apart()?;
    let mut walk = Walk { place, upper, lower, seen: HashMap::new(), skipped: 0, notes: Vec::new() };
    // Sorted by name, so that the first name of a file does not depend on the disk.
    let mut waiting = vec![Directory { path: String::new(), is_hidden: false }];
    let mut count = 0;
    while let Some(directory) = waiting.pop() {
        for name in walk.sorted_names(&directory)? {
            let Some((change, below)) = walk.visit(&directory, &name)? else { continue };
            if let Some(change) = change {
                count += 1;
                if count > maximum {
                    let reason = format!("more than {maximum} paths changed");
                    return Err(Fault::refused(FaultKind::TooMuch, "take the change", reason));
                }
                send(change).or_fault(FaultKind::Other, "send a change")?;
            }
            waiting.extend(below);
        }
    }
    if walk.skipped > MAXIMUM_NOTES {
        let more = walk.skipped - MAXIMUM_NOTES;
        walk.notes.push(format!("{more} more files were left out"));
    }
    Ok(walk.notes)
}

struct Directory {
    /// The path relative to the root; empty for the root.
    path: String,
    /// Whether the image's files below it are hidden.
    is_hidden: bool,
}

type Visited = Option<(Option<Change>, Option<Directory>)>;

struct Walk<'a> {
    place: &'a Place,
    upper: OwnedFd,
    lower: OwnedFd,
    /// Files with several names, by inode: the first name, and the attributes of all names.
    seen: HashMap<u64, (String, Permissions, Attributes)>,
    skipped: usize,
    notes: Vec<String>,
}

impl Walk<'_> {
    /// Makes the directory readable and returns its names, sorted.
    fn sorted_names(&self, directory: &Directory) -> Result<Vec<String>, Fault> {
        let shown = || format!("look into `/{}`", directory.path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let handle = open_plain(&self.upper, directory.path.as_bytes(), flags)
            .map_err(|error| failed(FaultKind::Result, shown(), error))?;
        if directory.path.is_empty() {
            self.make_readable(&handle, 0o700)?;
        }
        let mut sorted = Vec::new();
        for name in names(&handle).map_err(|error| failed(FaultKind::Other, shown(), error))? {
            sorted.push(self.checked(directory, &name)?);
        }
        sorted.sort_unstable();
        Ok(sorted)
    }

    /// Checks that a layer can have this name.
    fn checked(&self, directory: &Directory, name: &CStr) -> Result<String, Fault> {
        let refused = |reason: &str| {
            let shown = name.to_string_lossy();
            let shown = format!("/{}/{}", directory.path, shown.escape_debug());
            Fault::refused(FaultKind::Result, format!("make a layer with `{shown}`"), reason)
        };
        let name = name.to_str().map_err(|_| refused("its name is not UTF-8"))?;
        if name.starts_with(".wh.") {
            return Err(refused("in a layer, the name would remove another file"));
        }
        Ok(name.to_owned())
    }

    fn visit(&mut self, directory: &Directory, name: &str) -> Result<Visited, Fault> {
        if directory.path.is_empty() && MOUNT_POINTS.contains(&name) {
            return Ok(None);
        }
        let path = if directory.path.is_empty() { name.into() } else { format!("{}/{name}", directory.path) };
        let handle = open_plain(&self.upper, path.as_bytes(), OFlags::PATH | OFlags::NOFOLLOW)
            .or_fault(FaultKind::Result, format_args!("look at `/{path}`"))?;
        let stat =
            rustix::fs::fstat(&handle).or_fault(FaultKind::Other, format_args!("look at `/{path}`"))?;
        let below = if directory.is_hidden { None } else { self.in_image(&path)? };
        if is_whiteout(&stat) {
            let nothing = Permissions { mode: 0, uid: 0, gid: 0 };
            let change = below.map(|_| change(&path, ChangeKind::Removed, nothing, Attributes::new()));
            return Ok(Some((change, None)));
        }
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.directory(path, below, directory.is_hidden).map(Some),
            FileType::RegularFile => self.file(path, &stat).map(|change| Some((Some(change), None))),
            FileType::Symlink => self.symlink(&path, &handle, &stat).map(|change| Some((Some(change), None))),
            FileType::Fifo => {
                let permissions =
                    Permissions { mode: stat.st_mode & 0o7777, ..self.permissions_without_record(&stat) };
                Ok(Some((Some(change(&path, ChangeKind::Fifo, permissions, Attributes::new())), None)))
            }
            _ => {
                self.note(&path);
                Ok(None)
            }
        }
    }

    fn note(&mut self, path: &str) {
        self.skipped += 1;
        if self.skipped <= MAXIMUM_NOTES {
            self.notes.push(format!("`/{path}` was left out: it is a socket or a device"));
        }
    }

    fn in_image(&self, path: &str) -> Result<Option<OwnedFd>, Fault> {
        match open_plain(&self.lower, path.as_bytes(), OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(handle) => Ok(Some(handle)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(failed(FaultKind::Other, format!("look at `/{path}` of the image"), error)),
        }
    }

    fn directory(
        &self,
        path: String,
        below: Option<OwnedFd>,
        is_hidden: bool,
    ) -> Result<(Option<Change>, Option<Directory>), Fault> {
        let failed = |error| failed(FaultKind::Other, format!("look at `/{path}`"), error);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let handle = open_plain(&self.upper, path.as_bytes(), flags).map_err(failed)?;
        let current = (self.permissions(&handle).map_err(failed)?, self.attributes(&path, &handle)?);
        let in_image = match below {
            Some(below) if is_directory(&below).map_err(failed)? => {
                let below = open_plain(&self.lower, path.as_bytes(), flags).map_err(failed)?;
                Some((self.permissions(&below).map_err(failed)?, self.attributes(&path, &below)?))
            }
            _ => None,
        };
        let is_opaque = is_opaque(&handle);
        let opaque = is_opaque && in_image.is_some();
        self.make_readable(&handle, 0o700)?;
        let differs = opaque || in_image.as_ref() != Some(&current);
        let is_hidden = is_hidden || is_opaque || in_image.is_none();
        let (permissions, attributes) = current;
        let change = Some(change(&path, ChangeKind::Directory { opaque, differs }, permissions, attributes));
        let below = Directory { path, is_hidden };
        Ok((change, Some(below)))
    }

    fn file(&mut self, path: String, stat: &Stat) -> Result<Change, Fault> {
        if let Some((first, permissions, attributes)) = self.seen.get(&stat.st_ino) {
            let target = format!("/{first}");
            return Ok(change(&path, ChangeKind::HardLink { target }, *permissions, attributes.clone()));
        }
        let failed = |error| failed(FaultKind::Other, format!("read `/{path}`"), error);
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let handle = open_plain(&self.upper, path.as_bytes(), flags).map_err(failed)?;
        let permissions = self.without_foreign_rights(self.permissions(&handle).map_err(failed)?);
        // Attributes are read first: later changes can make the kernel drop a capability.
        let mut attributes = self.attributes(&path, &handle)?;
        if self.is_foreign(&permissions) {
            attributes.retain(|(name, _)| !name.starts_with("security."));
        }
        if stat.st_nlink > 1 {
            self.seen.insert(stat.st_ino, (path.clone(), permissions, attributes.clone()));
        }
        self.make_readable(&handle, 0o400)?;
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        Ok(change(&path, ChangeKind::File { size }, permissions, attributes))
    }

    fn symlink(&self, path: &str, handle: &OwnedFd, stat: &Stat) -> Result<Change, Fault> {
        let failed = |error| failed(FaultKind::Result, format!("read the link `/{path}`"), error);
        let target = rustix::fs::readlinkat(handle, c"", Vec::new()).map_err(failed)?;
        let target = target.into_string().map_err(|_| {
            let action = format!("make a layer with the link `/{path}`");
            Fault::refused(FaultKind::Result, action, "its target is not UTF-8")
        })?;
        let permissions = Permissions { mode: 0o777, ..self.permissions_without_record(stat) };
        Ok(change(path, ChangeKind::Symlink { target }, permissions, Attributes::new()))
    }

    /// Mode and owner of a file that cannot have the owner attribute.
    fn permissions_without_record(&self, stat: &Stat) -> Permissions {
        let (uid, gid) = match self.place.identity {
            Identity::Single => {
                self.place.link_owners.get(&stat.st_ino).copied().unwrap_or(self.command_ids())
            }
            _ => (stat.st_uid, stat.st_gid),
        };
        Permissions { mode: stat.st_mode & 0o7777, uid, gid }
    }

    fn attributes(&self, path: &str, handle: &OwnedFd) -> Result<Attributes, Fault> {
        read_attributes(handle).map_err(|reason| {
            Fault::refused(
                FaultKind::Result,
                format!("make a layer with the attributes of `/{path}`"),
                reason,
            )
        })
    }

    fn permissions(&self, handle: impl AsFd) -> Result<Permissions, Errno> {
        let stat = rustix::fs::fstat(handle.as_fd())?;
        let (uid, gid) = match self.place.identity {
            Identity::Single => recorded_owner(handle).unwrap_or(self.command_ids()),
            _ => (stat.st_uid, stat.st_gid),
        };
        Ok(Permissions { mode: stat.st_mode & 0o7777, uid, gid })
    }

    fn command_ids(&self) -> (u32, u32) {
        self.place.command_ids.unwrap_or((0, 0))
    }

    /// Removes set-id bits from files of other users, if only one id is mapped. With one id, the command owns every
    /// file on the disk, so it can set a bit that it has no right to set.
    fn without_foreign_rights(&self, permissions: Permissions) -> Permissions {
        if self.is_foreign(&permissions) {
            return Permissions { mode: permissions.mode & 0o1777, ..permissions };
        }
        permissions
    }

    fn is_foreign(&self, permissions: &Permissions) -> bool {
        self.place.identity == Identity::Single && (permissions.uid, permissions.gid) != self.command_ids()
    }

    /// Lets b2i's user read the file. This user is 0 inside, unless b2i runs as real root.
    fn make_readable(&self, handle: &OwnedFd, bits: u32) -> Result<(), Fault> {
        let user = rustix::process::geteuid();
        if self.place.identity == Identity::Host || !user.is_root() {
            return Ok(());
        }
        let failed = |error| failed(FaultKind::Other, "make a changed file readable", error);
        let stat = rustix::fs::fstat(handle).map_err(failed)?;
        if stat.st_uid != 0 {
            rustix::fs::fchown(handle, Some(Uid::ROOT), Some(Gid::ROOT)).map_err(failed)?;
        }
        if stat.st_mode & bits != bits {
            let mode = Mode::from_raw_mode(stat.st_mode & 0o777 | bits);
            rustix::fs::fchmod(handle, mode).map_err(failed)?;
        }
        Ok(())
    }
}

fn change(path: &str, kind: ChangeKind, permissions: Permissions, attributes: Attributes) -> Change {
    let Permissions { mode, uid, gid } = permissions;
    Change { path: format!("/{path}"), kind, mode, uid, gid, attributes }
}

fn is_directory(handle: &OwnedFd) -> Result<bool, Errno> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(handle)?.st_mode) == FileType::Directory)
}

fn is_opaque(handle: &OwnedFd) -> bool {
    let mut value = [0; 8];
    let length = rustix::fs::fgetxattr(handle, OPAQUE_ATTRIBUTE, &mut value[..]);
    length.is_ok_and(|length| value[..length.min(8)] == *b"y")
}
