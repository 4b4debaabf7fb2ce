//! Owns the second pass over an archive: copying one member into a temporary file.
//! Must not choose the member.

use std::path::Path;

use super::super::spool::{SpoolError, SpoolFile, spool};
use super::error::ArchiveError;
use super::members::{Archive, Flow, MemberKind};
use crate::fs::path::link_target;
use crate::fs::unpack::{UnpackError, member_path};

/// The longest chain of links from one member to another.
const MAX_LINKS: usize = 8;

/// The entry at a path.
enum Entry {
    File(SpoolFile),
    Link(String),
    Other(&'static str),
    Missing,
}

/// Copies the member `path`. Links inside the archive are followed. The inner error says why `path` is not a file.
pub(super) fn extract(
    archive: &Archive,
    path: &str,
    directory: &Path,
) -> Result<Result<SpoolFile, String>, ArchiveError> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match find(archive, &path, directory)? {
            Entry::File(file) => return Ok(Ok(file)),
            Entry::Link(target) => path = target,
            Entry::Other(what) => return Ok(Err(format!("`{}` is {what}", path.escape_debug()))),
            Entry::Missing => return Ok(Err(format!("`{}` is missing", path.escape_debug()))),
        }
    }
    Ok(Err(format!("it is a link to a chain of more than {MAX_LINKS} links")))
}

fn find(archive: &Archive, path: &str, directory: &Path) -> Result<Entry, ArchiveError> {
    const LINK_OUTSIDE: Entry = Entry::Other("a link that points outside");
    let mut entry = Entry::Missing;
    archive.visit(&mut |member, reader| {
        if member.path != path {
            let is_parent =
                path.is_empty() || member.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
            if is_parent && matches!(entry, Entry::Missing) {
                entry = Entry::Other("a directory");
            }
            return Ok(Flow::Continue);
        }
        entry = match &member.kind {
            MemberKind::File => {
                let file = spool(reader, directory, archive.max_bytes, |_| archive.stop.check());
                Entry::File(file.map_err(|error| spool_error(archive, path, error))?)
            }
            MemberKind::Directory => Entry::Other("a directory"),
            MemberKind::Special(what) => Entry::Other(what),
            MemberKind::HardLink(target) => member_path(target).map_or(LINK_OUTSIDE, Entry::Link),
            MemberKind::Symlink(target) => link_target(path, target).map_or(LINK_OUTSIDE, Entry::Link),
        };
        if let Entry::File(file) = &entry {
            check_size(archive, path, member.size, file.size)?;
        }
        Ok(Flow::Stop)
    })?;
    Ok(entry)
}

/// Compares the size of a member with the stated one: a reader that ends early gives no error by itself.
pub(super) fn check_size(
    archive: &Archive,
    path: &str,
    expected: u64,
    actual: u64,
) -> Result<(), ArchiveError> {
    if expected == actual {
        return Ok(());
    }
    let path = path.escape_debug();
    let reason = format!("member `{path}` is truncated: it has {actual} bytes and should have {expected}");
    Err(ArchiveError::unreadable(&archive.shown, reason))
}

pub(super) fn spool_error(archive: &Archive, member: &str, error: SpoolError) -> ArchiveError {
    match error {
        SpoolError::Read(source) if member.is_empty() => archive.read_error(&source),
        SpoolError::Read(source) => {
            ArchiveError::member(&archive.shown, UnpackError::Read { member: member.to_owned(), source })
        }
        SpoolError::Write(error) => ArchiveError::Write(error),
        SpoolError::TooLarge => archive.too_large(),
    }
}
