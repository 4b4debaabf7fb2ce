//! Owns whiteouts, in layers and in overlayfs.
//!
//! In a layer, a whiteout is a name (`.wh.NAME`, `.wh..wh..opq`); in a tree, a character device 0:0 or an attribute
//! of the directory. Must not know archives.
//!
//! Source: OCI image spec v1.1 "layer.md"; Linux Documentation/filesystems/overlayfs.rst.

use std::os::fd::OwnedFd;

use rustix::fs::{Dev, FileType, Mode, Stat, XattrFlags};
use rustix::io::Errno;

/// Marks an opaque directory in overlayfs.
pub(super) const OPAQUE_ATTRIBUTE: &str = "user.overlay.opaque";

const PREFIX: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const AUFS_PREFIX: &[u8] = b".wh..wh.";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whiteout<'a> {
    /// Hides everything that lower layers have in its directory.
    Below,
    /// Hides one name of lower layers.
    Name(&'a [u8]),
    /// Bookkeeping of aufs, which is ignored.
    BookKeeping,
    /// A whiteout without a valid name.
    Nameless,
}

impl<'a> Whiteout<'a> {
    /// None if the name is not a whiteout.
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

/// Hides the contents of lower layers in a directory.
pub(super) fn hide_below(directory: &OwnedFd) -> Result<(), Errno> {
    rustix::fs::fsetxattr(directory, OPAQUE_ATTRIBUTE, b"y", XattrFlags::empty())
}

/// Hides `name` of lower layers, unless this layer has it.
pub(super) fn remove_below(directory: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
    match rustix::fs::mknodat(directory, name, FileType::CharacterDevice, Mode::empty(), 0 as Dev) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

/// Whether overlayfs treats this as a removed file.
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
