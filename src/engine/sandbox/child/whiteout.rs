//! Owns whiteouts: what layers say is removed, and what overlayfs takes for that.
//!
//! In a layer it is a name (`.wh.NAME`, `.wh..wh..opq`), in a tree a character device 0:0 or an attribute of the directory.
//! Must not know archives, nor where in the tree it is.
//!
//! Source: OCI image spec v1.1 "layer.md"; Linux Documentation/filesystems/overlayfs.rst.

use std::os::fd::OwnedFd;

use rustix::fs::{Dev, FileType, Mode, Stat, XattrFlags};
use rustix::io::Errno;

/// The mark of overlayfs on a directory that hides what is below it.
pub(super) const OPAQUE_ATTRIBUTE: &str = "user.overlay.opaque";

const PREFIX: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const AUFS_PREFIX: &[u8] = b".wh..wh.";

/// What a name in a layer removes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whiteout<'a> {
    /// Everything that the layers below have in its directory.
    Below,
    /// One name of the layers below.
    Name(&'a [u8]),
    /// Nothing: book-keeping of aufs, which says nothing of the image.
    BookKeeping,
    /// Something that cannot have a name.
    Nameless,
}

impl<'a> Whiteout<'a> {
    /// Reads the name of an entry; nothing if it is no whiteout.
    pub(super) fn of(name: &'a [u8]) -> Option<Self> {
        let removed = name.strip_prefix(PREFIX)?;
        Some(match removed {
            _ if name == OPAQUE => Self::Below,
            _ if name.starts_with(AUFS_PREFIX) => Self::BookKeeping,
            b"" | b"." | b".." => Self::Nameless,
            removed => Self::Name(removed),
        })
    }
}

/// Marks a directory so that overlayfs shows nothing of the layers below it.
pub(super) fn hide_below(directory: &OwnedFd) -> Result<(), Errno> {
    rustix::fs::fsetxattr(directory, OPAQUE_ATTRIBUTE, b"y", XattrFlags::empty())
}

/// Makes overlayfs not show `name` of the layers below. What the same layer has stays.
pub(super) fn remove_below(directory: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
    match rustix::fs::mknodat(directory, name, FileType::CharacterDevice, Mode::empty(), 0 as Dev) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

/// Whether this is what overlayfs takes for a removed file.
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        for (name, whiteout) in [
            (&b"a.wh.b"[..], None),
            (b".wha", None),
            (b".wh.a", Some(Whiteout::Name(b"a"))),
            (b".wh..a", Some(Whiteout::Name(b".a"))),
            (b".wh..wh..opq", Some(Whiteout::Below)),
            (b".wh..wh.plnk", Some(Whiteout::BookKeeping)),
            (b".wh.", Some(Whiteout::Nameless)),
            (b".wh..", Some(Whiteout::Nameless)),
            (b".wh...", Some(Whiteout::Nameless)),
        ] {
            assert_eq!(Whiteout::of(name), whiteout, "{}", String::from_utf8_lossy(name));
        }
    }
}
