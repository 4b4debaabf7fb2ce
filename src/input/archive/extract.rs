//! Owns the second pass over an archive: taking one member out of it into a temporary file.

use std::path::Path;

use super::super::spool::{SpoolError, Spooled, spool};
use super::error::ArchiveError;
use super::members::{Archive, Flow, MemberKind};
use crate::fs::lexical_path::link_target;
use crate::fs::unpack::{UnpackError, member_path};

/// Links from one member to the next that are followed.
const MAX_LINKS: usize = 8;

/// What stands at a path.
enum Found {
    File(Spooled),
    Link(String),
    Other(&'static str),
    Nothing,
}

/// Takes the member `path` out; links inside the archive are followed. Nothing if there is no such file, with the
/// reason.
pub(super) fn extract(
    archive: &Archive,
    path: &str,
    directory: &Path,
) -> Result<Result<Spooled, String>, ArchiveError> {
    let mut wanted = path.to_owned();
    for _ in 0..MAX_LINKS {
        match find(archive, &wanted, directory)? {
            Found::File(spooled) => return Ok(Ok(spooled)),
            Found::Link(target) => wanted = target,
            Found::Other(what) => return Ok(Err(format!("`{}` is {what}", wanted.escape_debug()))),
            Found::Nothing => return Ok(Err(format!("there is no `{}`", wanted.escape_debug()))),
        }
    }
    Ok(Err("it is a link that leads to more links than are followed".to_owned()))
}

fn find(archive: &Archive, wanted: &str, directory: &Path) -> Result<Found, ArchiveError> {
    let mut found = Found::Nothing;
    archive.visit(&mut |member, reader| {
        if member.path != wanted {
            let is_parent = wanted.is_empty()
                || member.path.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('/'));
            if is_parent && matches!(found, Found::Nothing) {
                found = Found::Other("a directory");
            }
            return Ok(Flow::Continue);
        }
        found = match &member.kind {
            MemberKind::File => {
                let spooled = spool(reader, directory, archive.max_bytes, |_| archive.stop.check());
                Found::File(spooled.map_err(|error| spool_error(archive, wanted, error))?)
            }
            MemberKind::Directory => Found::Other("a directory"),
            MemberKind::Special(what) => Found::Other(what),
            MemberKind::HardLink(target) => {
                member_path(target).map_or(Found::Other("a link that points outside"), Found::Link)
            }
            MemberKind::Symlink(target) => {
                link_target(wanted, target).map_or(Found::Other("a link that points outside"), Found::Link)
            }
        };
        if let Found::File(spooled) = &found {
            check_size(archive, wanted, member.size, spooled.size)?;
        }
        Ok(Flow::Stop)
    })?;
    Ok(found)
}

/// A reader that ends early gives no error by itself.
pub(super) fn check_size(
    archive: &Archive,
    path: &str,
    stated: u64,
    actual: u64,
) -> Result<(), ArchiveError> {
    if stated == actual {
        return Ok(());
    }
    let path = path.escape_debug();
    let reason = format!("member `{path}` is cut off: it has {actual} bytes and should have {stated}");
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
