//! Owns one entry of an archive: its normal name and its attributes. Must not touch files.

use std::io;

use rustix::fs::{Timespec, Timestamps};
use tar::EntryType;

use crate::engine::sandbox::protocol::{Fault, FaultKind, Permissions};
use crate::fs::BoundedEntry;

pub(super) struct Member {
    /// Normal and relative.
    pub(super) path: Vec<u8>,
    pub(super) permissions: Permissions,
    modified: u64,
}

impl Member {
    pub(super) fn of(entry: &BoundedEntry<'_, &mut dyn io::Read>) -> Result<(EntryType, Self), Fault> {
        let invalid = |error: io::Error| Fault::system(FaultKind::Archive, "read a header", &error);
        let header = entry.header();
        // An empty field means 0, as in other readers.
        let number = |field: &[u8], value: io::Result<u64>| match value {
            _ if field.iter().all(|byte| matches!(byte, 0 | b' ')) => Ok(0),
            value => {
                value.and_then(|number| u32::try_from(number).map_err(io::Error::other)).map_err(invalid)
            }
        };
        let old = header.as_old();
        let permissions = Permissions {
            mode: number(&old.mode, header.mode().map(u64::from))? & 0o7777,
            uid: number(&old.uid, header.uid())?,
            gid: number(&old.gid, header.gid())?,
        };
        let modified = header.mtime().unwrap_or(0);
        Ok((header.entry_type(), Self { path: normal(&entry.path_bytes())?, permissions, modified }))
    }

    pub(super) fn name(&self) -> &[u8] {
        self.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }

    pub(super) fn directory(&self) -> &[u8] {
        self.path.iter().rposition(|byte| *byte == b'/').map_or(&[], |at| &self.path[..at])
    }

    pub(super) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.path).escape_debug().collect()
    }

    pub(super) fn failed(&self, action: &str, error: &io::Error) -> Fault {
        Fault::in_image(format!("{action} `{}`", self.shown()), error)
    }

    pub(super) fn refused(&self, reason: impl Into<String>) -> Fault {
        Fault::refused(FaultKind::Archive, format!("unpack `{}`", self.shown()), reason)
    }

    pub(super) fn times(&self) -> Timestamps {
        let time = Timespec { tv_sec: i64::try_from(self.modified).unwrap_or(0), tv_nsec: 0 };
        Timestamps { last_access: time, last_modification: time }
    }
}

/// Whether an image may have the attribute. Those of overlayfs would change other layers, and `user.b2i`
/// would record an owner.
pub(super) fn is_allowed(name: &[u8]) -> bool {
    let Some(name) = name.strip_prefix(b"user.") else { return false };
    !name.starts_with(b"overlay.") && !name.starts_with(b"b2i.") && !name.contains(&0)
}

/// A name without `.` and repeated slashes.
pub(super) fn normal(name: &[u8]) -> Result<Vec<u8>, Fault> {
    let parts: Vec<&[u8]> =
        name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    if parts.contains(&&b".."[..]) || name.contains(&0) {
        let shown = String::from_utf8_lossy(name).escape_debug().to_string();
        let shown: String = shown.chars().take(200).collect();
        let reason = "its name contains `..` or a NUL";
        return Err(Fault::refused(FaultKind::Archive, format!("unpack `{shown}`"), reason));
    }
    Ok(parts.join(&b'/'))
}
