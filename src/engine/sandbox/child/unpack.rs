//! Owns unpacking a tar to a tree: a layer, or files for a container.
//!
//! The kernel resolves names inside the root handle, so `..`, absolute names and links cannot leave it. Must not know
//! where the bytes come from or check their digest.
//!
//! Source: OCI image spec v1.1 "layer.md"; Linux Documentation/filesystems/overlayfs.rst.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid, XattrFlags};
use rustix::io::Errno;
use tar::EntryType;

use super::attributes::CAPABILITY;
use super::member::{Member, is_allowed, normal};
use super::tree;
use super::whiteout::{Whiteout, hide_below, is_whiteout, remove_below};
use crate::engine::sandbox::protocol::{Fault, FaultKind, Identity, Permissions};
use crate::fs::{BoundedEntry, BoundedTar};

const MAXIMUM_NOTES: usize = 20;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The tree of one layer: whiteouts stay for the overlay.
    Layer,
    /// A container: no name has a special meaning.
    Container,
}

pub(super) struct Unpacked {
    pub(super) root: Option<Permissions>,
    pub(super) notes: Vec<String>,
    /// Owners of symbolic links by inode, where a link cannot record them.
    pub(super) link_owners: HashMap<u64, (u32, u32)>,
}

pub(super) fn unpack(
    root: OwnedFd,
    directory: &str,
    input: &mut dyn Read,
    target: Target,
    identity: Identity,
) -> Result<Unpacked, Fault> {
    let root = match directory {
        "/" => root,
        directory => tree::open_in_root(&root, directory.as_bytes(), OFlags::RDONLY | OFlags::DIRECTORY)
            .map_err(|error| {
                Fault::in_image(format!("open `{directory}` of the container"), &error.into())
            })?,
    };
    let mut unpacker = Unpacker {
        root,
        target,
        identity,
        parent: None,
        skipped: 0,
        result: Unpacked { root: None, notes: Vec::new(), link_owners: HashMap::new() },
    };
    let mut archive = BoundedTar::new(input);
    let invalid = |error: io::Error| Fault::system(FaultKind::Archive, "read the archive", &error);
    for entry in archive.entries().map_err(invalid)? {
        unpacker.entry(entry.map_err(invalid)?)?;
    }
    if unpacker.skipped > MAXIMUM_NOTES {
        let more = unpacker.skipped - MAXIMUM_NOTES;
        unpacker.result.notes.push(format!("{more} more files were left out"));
    }
    Ok(unpacker.result)
}

struct Unpacker {
    root: OwnedFd,
    target: Target,
    identity: Identity,
    /// The directory that was opened last: most entries share it with the entry before.
    parent: Option<(Vec<u8>, OwnedFd)>,
    skipped: usize,
    result: Unpacked,
}

impl Unpacker {
    fn entry(&mut self, mut entry: BoundedEntry<'_, &mut dyn Read>) -> Result<(), Fault> {
        if entry.header().entry_type() == EntryType::XGlobalHeader {
            return Ok(());
        }
        let (kind, member) = Member::of(&entry)?;
        if member.path.is_empty() {
            return self.root_entry(kind, &member);
        }
        if self.target == Target::Layer
            && let Some(whiteout) = Whiteout::of(member.name())
        {
            return self.whiteout(&member, &whiteout);
        }
        match kind {
            EntryType::Directory => self.directory(&member, &mut entry),
            EntryType::Regular | EntryType::Continuous => self.file(&member, &mut entry),
            EntryType::Symlink => {
                let link = entry.link_name_bytes().ok_or_else(|| member.refused("the link has no target"))?;
                self.symlink(&member, &link)
            }
            EntryType::Link => {
                let link = entry.link_name_bytes().ok_or_else(|| member.refused("the link has no target"))?;
                self.hard_link(&member, &normal(&link)?)
            }
            EntryType::Fifo => self.fifo(&member),
            EntryType::Char | EntryType::Block => {
                self.note(&member, "it is a device");
                Ok(())
            }
            EntryType::GNUSparse => {
                Err(member.refused("it is a sparse file of GNU tar, which layers do not have"))
            }
            _ => {
                self.note(&member, "its type is unknown");
                Ok(())
            }
        }
    }

    fn note(&mut self, member: &Member, why: &str) {
        self.skipped += 1;
        if self.skipped <= MAXIMUM_NOTES {
            self.result.notes.push(format!("`{}` was left out: {why}", member.shown()));
        }
    }

    fn root_entry(&mut self, kind: EntryType, member: &Member) -> Result<(), Fault> {
        if kind != EntryType::Directory {
            return Err(member.refused("only a directory can be the root"));
        }
        self.result.root = Some(member.permissions);
        if self.target == Target::Container {
            return Ok(());
        }
        let root = self.root.try_clone().map_err(|error| member.failed("open", &error))?;
        self.own(&root, member)
    }

    fn own(&self, file: &OwnedFd, member: &Member) -> Result<(), Fault> {
        let set = tree::set_permissions(file, &member.permissions, self.identity);
        set.map_err(|error| self.not_owned(member, &error))
    }

    fn not_owned(&self, member: &Member, error: &io::Error) -> Fault {
        let Permissions { uid, gid, .. } = member.permissions;
        if error.raw_os_error() == Some(Errno::INVAL.raw_os_error())
            && let Identity::Ranges { users, groups } = self.identity
            && (uid >= users || gid >= groups)
        {
            let action = format!("give `{}` to its owner {uid}:{gid}", member.shown());
            let reason = format!("the sandbox has only {users} users and {groups} groups");
            return Fault::refused(FaultKind::Owner, action, reason);
        }
        member.failed(&format!("set owner {uid}:{gid} and mode of"), error)
    }

    fn open_parent(&mut self, member: &Member, path: &[u8]) -> Result<&OwnedFd, Fault> {
        if self.parent.as_ref().is_none_or(|(known, _)| known != path) {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let handle = match tree::open_in_root(&self.root, path, flags) {
                Err(Errno::NOENT) => self.make_parents(member, path),
                result => result.map_err(|error| member.failed("open the directory of", &error.into())),
            };
            self.parent = Some((path.to_vec(), handle?));
        }
        let (_, handle) = self.parent.as_ref().expect("it was just set");
        Ok(handle)
    }

    fn make_parents(&self, member: &Member, path: &[u8]) -> Result<OwnedFd, Fault> {
        let failed = |error: Errno| member.failed("make the directory of", &error.into());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let mut handle = tree::open_in_root(&self.root, b"", flags).map_err(failed)?;
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let mut start = 0;
        for end in ends.chain([path.len()]) {
            let name = &path[start..end];
            start = end + 1;
            match tree::open_in_root(&self.root, &path[..end], flags) {
                Ok(next) => handle = next,
                Err(Errno::NOENT) => {
                    // The call fails for a dangling link.
                    rustix::fs::mkdirat(&handle, name, Mode::from_raw_mode(0o755)).map_err(failed)?;
                    handle = tree::open_in_root(&self.root, &path[..end], flags).map_err(failed)?;
                    let root = Permissions { mode: 0o755, uid: 0, gid: 0 };
                    tree::set_permissions(&handle, &root, self.identity)
                        .map_err(|error| member.failed("make the directory of", &error))?;
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(handle)
    }

    fn stat(&mut self, member: &Member) -> Result<Option<Stat>, Fault> {
        let parent = self.open_parent(member, member.directory())?;
        match rustix::fs::statat(parent, member.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(member.failed("look at", &error.into())),
        }
    }

    /// Removes an earlier entry of this name. Returns whether it was a whiteout.
    fn replace(&mut self, member: &Member) -> Result<bool, Fault> {
        let Some(stat) = self.stat(member)? else { return Ok(false) };
        let failed = |error: Errno| member.failed("replace", &error.into());
        let parent = self.open_parent(member, member.directory())?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let below = rustix::fs::openat(parent, member.name(), flags, Mode::empty()).map_err(failed)?;
            tree::empty_handle(&below).map_err(failed)?;
            rustix::fs::unlinkat(parent, member.name(), AtFlags::REMOVEDIR).map_err(failed)?;
        } else {
            rustix::fs::unlinkat(parent, member.name(), AtFlags::empty()).map_err(failed)?;
        }
        // Paths may have another target now.
        self.parent = None;
        Ok(is_whiteout(&stat))
    }

    fn directory(
        &mut self,
        member: &Member,
        entry: &mut BoundedEntry<'_, &mut dyn Read>,
    ) -> Result<(), Fault> {
        let there = self.stat(member)?;
        let is_directory =
            there.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
        let was_removed = !is_directory && self.replace(member)?;
        let failed = |error: Errno| member.failed("make the directory", &error.into());
        let parent = self.open_parent(member, member.directory())?;
        if !is_directory {
            rustix::fs::mkdirat(parent, member.name(), Mode::RWXU).map_err(failed)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(parent, member.name(), flags, Mode::empty()).map_err(failed)?;
        if was_removed && self.target == Target::Layer {
            hide_below(&handle).map_err(failed)?;
        }
        self.own(&handle, member)?;
        self.attributes(&handle, member, entry)
    }

    fn file(&mut self, member: &Member, entry: &mut BoundedEntry<'_, &mut dyn Read>) -> Result<(), Fault> {
        self.replace(member)?;
        let parent = self.open_parent(member, member.directory())?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(parent, member.name(), flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(handle.map_err(|error| member.failed("create", &error.into()))?);
        let size = entry.size();
        let written = io::copy(entry, &mut file).map_err(|error| member.failed("write", &error))?;
        if written != size {
            return Err(member.refused(format!("it has {written} bytes instead of {size}")));
        }
        let handle = OwnedFd::from(file);
        self.own(&handle, member)?;
        self.attributes(&handle, member, entry)?;
        let times = member.times();
        rustix::fs::futimens(&handle, &times).map_err(|error| member.failed("set the date of", &error.into()))
    }

    /// Sets the attributes that an image may have.
    fn attributes(
        &self,
        handle: &OwnedFd,
        member: &Member,
        entry: &mut BoundedEntry<'_, &mut dyn Read>,
    ) -> Result<(), Fault> {
        let Ok(Some(extensions)) = entry.pax_extensions() else { return Ok(()) };
        for extension in extensions.flatten() {
            let Some(name) = extension.key_bytes().strip_prefix(b"SCHILY.xattr.") else { continue };
            let is_capability = name == CAPABILITY;
            if !is_capability && !is_allowed(name) {
                continue;
            }
            match rustix::fs::fsetxattr(handle, name, extension.value_bytes(), XattrFlags::empty()) {
                Ok(()) => {}
                // One mapped id cannot set capabilities, and nothing inside could use them.
                Err(_) if is_capability && self.identity == Identity::Single => {}
                Err(error) => return Err(member.failed("set an attribute of", &error.into())),
            }
        }
        Ok(())
    }

    fn symlink(&mut self, member: &Member, link: &[u8]) -> Result<(), Fault> {
        self.replace(member)?;
        let parent = self.open_parent(member, member.directory())?;
        let failed = |error: Errno| member.failed("link", &error.into());
        rustix::fs::symlinkat(link, parent, member.name()).map_err(failed)?;
        self.own_by_name(member)?;
        let parent = self.open_parent(member, member.directory())?;
        let times = member.times();
        rustix::fs::utimensat(parent, member.name(), &times, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)
    }

    fn hard_link(&mut self, member: &Member, original: &[u8]) -> Result<(), Fault> {
        if original == member.path {
            return Ok(());
        }
        self.replace(member)?;
        let failed = |error: Errno| member.failed("link", &error.into());
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let at = original.iter().rposition(|byte| *byte == b'/');
        let (directory, name) = at.map_or((&b""[..], original), |at| (&original[..at], &original[at + 1..]));
        let missing = || {
            let original = String::from_utf8_lossy(original);
            member.refused(format!("it is a hard link to `{}`, which is missing", original.escape_debug()))
        };
        let from = tree::open_in_root(&self.root, directory, flags).map_err(|error| match error {
            Errno::NOENT | Errno::NOTDIR => missing(),
            error => failed(error),
        })?;
        let stat = rustix::fs::statat(&from, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|_| missing())?;
        if is_whiteout(&stat) || FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Err(missing());
        }
        let parent = self.open_parent(member, member.directory())?;
        rustix::fs::linkat(&from, name, parent, member.name(), AtFlags::empty()).map_err(failed)
    }

    fn fifo(&mut self, member: &Member) -> Result<(), Fault> {
        self.replace(member)?;
        let parent = self.open_parent(member, member.directory())?;
        let mode = Mode::from_raw_mode(member.permissions.mode);
        rustix::fs::mkfifoat(parent, member.name(), mode)
            .map_err(|error| member.failed("make the pipe", &error.into()))?;
        self.own_by_name(member)
    }

    /// Sets the owner of a link or pipe, where an attribute cannot record it.
    fn own_by_name(&mut self, member: &Member) -> Result<(), Fault> {
        let Permissions { uid, gid, .. } = member.permissions;
        if self.identity != Identity::Single {
            let (user, group) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            let parent = self.open_parent(member, member.directory())?;
            let owned = rustix::fs::chownat(parent, member.name(), user, group, AtFlags::SYMLINK_NOFOLLOW);
            owned.map_err(|error| self.not_owned(member, &error.into()))?;
        } else if self.target == Target::Container
            && let Some(stat) = self.stat(member)?
        {
            self.result.link_owners.insert(stat.st_ino, (uid, gid));
        }
        Ok(())
    }

    fn whiteout(&mut self, member: &Member, whiteout: &Whiteout<'_>) -> Result<(), Fault> {
        match whiteout {
            Whiteout::BookKeeping => Ok(()),
            Whiteout::Nameless => Err(member.refused("the whiteout has no name")),
            Whiteout::Below => {
                let failed =
                    |error: Errno| member.failed("hide the contents of the directory of", &error.into());
                self.open_parent(member, member.directory())?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                let handle = tree::open_in_root(&self.root, member.directory(), flags).map_err(failed)?;
                hide_below(&handle).map_err(failed)
            }
            Whiteout::Name(name) => {
                let parent = self.open_parent(member, member.directory())?;
                remove_below(parent, name).map_err(|error| member.failed("remove by", &error.into()))
            }
        }
    }
}
