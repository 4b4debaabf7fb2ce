//! Owns visiting the members of a tar: POSIX ustar and pax (IEEE 1003.1-2024, `pax`), GNU long names.
//! Must not use more memory than the limit of an extension: `tar` reads headers, but its extensions may have any size.

use std::io::Read;

use ::tar::{Archive as Tar, Entries, Entry, EntryType, PaxExtensions};

use super::error::ArchiveError;
use super::format::{Compression, decompress};
use super::members::{Archive, Budget, Flow, Member, MemberKind, Visitor};
use crate::fs::unpack::{UnpackError, member_path};

/// More than an extension with names needs.
const MAX_EXTENSION_BYTES: u64 = 1024 * 1024;

pub(super) fn visit(
    archive: &Archive,
    compression: Compression,
    budget: &Budget,
    visitor: Visitor<'_>,
) -> Result<(), ArchiveError> {
    let failed = |error| archive.read_error(&error);
    if compression == Compression::None {
        // Members that the visitor does not read are skipped by seeking. The size of the file bounds the rest.
        let length = archive.content.file().and_then(|file| file.metadata()).map_err(failed)?.len();
        let mut tar = Tar::new(archive.content.reader());
        let entries = tar.entries_with_seek().map_err(failed)?.raw(true);
        return walk(archive, entries, Some(length), visitor).map(drop);
    }
    let stream = decompress(&archive.content, compression).map_err(failed)?;
    let mut tar = Tar::new(budget.reader(stream, &archive.stop));
    let flow = walk(archive, tar.entries().map_err(failed)?.raw(true), None, visitor)?;
    if flow == Flow::Continue {
        // The end of the stream holds the checksum of everything.
        std::io::copy(&mut tar.into_inner(), &mut std::io::sink()).map_err(failed)?;
    }
    Ok(())
}

/// The extension headers of the member that follows them.
#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

fn walk<R: Read>(
    archive: &Archive,
    entries: Entries<'_, R>,
    length: Option<u64>,
    visitor: Visitor<'_>,
) -> Result<Flow, ArchiveError> {
    let mut extensions = Extensions::default();
    for entry in entries {
        archive.stop.check().map_err(|error| archive.read_error(&error))?;
        let mut entry = entry.map_err(|error| archive.read_error(&error))?;
        let end = entry.raw_file_position().checked_add(entry.size());
        if length.is_some_and(|length| end.is_none_or(|end| end > length)) {
            return Err(ArchiveError::unreadable(
                &archive.shown,
                "it is truncated in the middle of a member",
            ));
        }
        if read_extension(archive, &mut entry, &mut extensions)? {
            continue;
        }
        let member = member(archive, &entry, std::mem::take(&mut extensions))?;
        if visitor(&member, &mut entry)? == Flow::Stop {
            return Ok(Flow::Stop);
        }
    }
    Ok(Flow::Continue)
}

/// Reads `entry` if it is an extension header, and returns whether it is.
fn read_extension<R: Read>(
    archive: &Archive,
    entry: &mut Entry<'_, R>,
    extensions: &mut Extensions,
) -> Result<bool, ArchiveError> {
    match entry.header().entry_type() {
        EntryType::XGlobalHeader => {}
        EntryType::GNULongName => extensions.name = Some(read_name(archive, entry)?),
        EntryType::GNULongLink => extensions.link = Some(read_name(archive, entry)?),
        EntryType::XHeader => {
            let bytes = read_bounded(archive, entry)?;
            for record in PaxExtensions::new(&bytes) {
                let record = record.map_err(|error| archive.read_error(&error))?;
                let value = record.value_bytes();
                match record.key_bytes() {
                    b"path" => extensions.name = Some(value.to_vec()),
                    b"linkpath" => extensions.link = Some(value.to_vec()),
                    b"size" => {
                        extensions.size = std::str::from_utf8(value).ok().and_then(|size| size.parse().ok())
                    }
                    key => extensions.sparse |= key.starts_with(b"GNU.sparse."),
                }
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn read_name<R: Read>(archive: &Archive, entry: &mut Entry<'_, R>) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = read_bounded(archive, entry)?;
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    Ok(bytes)
}

fn read_bounded<R: Read>(archive: &Archive, entry: &mut Entry<'_, R>) -> Result<Vec<u8>, ArchiveError> {
    if entry.size() > MAX_EXTENSION_BYTES {
        return Err(ArchiveError::unreadable(&archive.shown, "it has a header of more than 1 MiB"));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(|error| archive.read_error(&error))?;
    Ok(bytes)
}

fn member<R: Read>(
    archive: &Archive,
    entry: &Entry<'_, R>,
    extensions: Extensions,
) -> Result<Member, ArchiveError> {
    let refuse = |name: &[u8], reason| {
        let member = String::from_utf8_lossy(name).into_owned();
        ArchiveError::member(&archive.shown, UnpackError::Refused { member, reason })
    };
    let header = entry.header();
    let name = extensions.name.unwrap_or_else(|| header.path_bytes().into_owned());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| refuse(&name, "its name is not UTF-8"));
    let size = entry.size();
    if extensions.size.is_some_and(|stated| stated != size) {
        return Err(refuse(&name, "its headers disagree about its size"));
    }
    let link = || extensions.link.clone().or_else(|| header.link_name_bytes().map(|link| link.into_owned()));
    let kind = match header.entry_type() {
        // Before POSIX, a directory was a file whose name ends with `/`.
        EntryType::Regular | EntryType::Continuous if name.ends_with(b"/") => MemberKind::Directory,
        _ if extensions.sparse => MemberKind::Special("a sparse file"),
        EntryType::Regular | EntryType::Continuous => MemberKind::File,
        EntryType::Directory => MemberKind::Directory,
        EntryType::Symlink => MemberKind::Symlink(text(link().unwrap_or_default())?),
        EntryType::Link => MemberKind::HardLink(text(link().unwrap_or_default())?),
        EntryType::Char | EntryType::Block => MemberKind::Special("a device"),
        EntryType::Fifo => MemberKind::Special("a pipe"),
        EntryType::GNUSparse => MemberKind::Special("a sparse file"),
        _ => MemberKind::Special("an entry of an unknown type"),
    };
    let path =
        member_path(&text(name.clone())?).map_err(|error| ArchiveError::member(&archive.shown, error))?;
    let executable = header.mode().ok().map(|mode| mode & 0o100 != 0);
    Ok(Member { path, kind, size, executable })
}
