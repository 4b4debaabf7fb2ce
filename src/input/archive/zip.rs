//! Owns visiting the members of a zip (PKWARE APPNOTE 6.3), and the difference between a zip and a Java archive.
//! Must not read a central directory that is larger than its limits: `zip` has none, so the end record is read here, too.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use ::zip::result::ZipError;
use ::zip::{System, ZipArchive};

use super::super::artifact::{ContentReader, FileContent};
use super::error::ArchiveError;
use super::members::{Archive, Budget, Flow, MAX_MEMBERS, Member, MemberKind, Visitor};
use crate::fs::unpack::{UnpackError, member_path};

/// Limit of the central directory, which is kept in memory.
const MAX_DIRECTORY_BYTES: u64 = 64 * 1024 * 1024;
const MAX_LINK_BYTES: u64 = 4096;

type Zip = ZipArchive<BufReader<ContentReader>>;

/// Whether the artifact is in the zip. A Java archive is the artifact itself. So is a zip that cannot be read: detection
/// reports the reason.
pub(super) fn is_plain_archive(content: &FileContent, shown: &str) -> Result<bool, ArchiveError> {
    check_size(content, shown)?;
    let Ok(zip) = ZipArchive::new(BufReader::new(content.reader())) else { return Ok(false) };
    let is_java = zip.file_names_raw().any(|name| {
        name.eq_ignore_ascii_case(b"META-INF/MANIFEST.MF")
            || name == b"META-INF/application.xml"
            || name.starts_with(b"WEB-INF/")
    });
    Ok(!is_java)
}

pub(super) fn visit(archive: &Archive, budget: &Budget, visitor: Visitor<'_>) -> Result<(), ArchiveError> {
    check_size(&archive.content, &archive.shown)?;
    let mut zip = ZipArchive::new(BufReader::new(archive.content.reader()))
        .map_err(|error| failed(archive, None, error))?;
    if zip.has_duplicate_names() {
        return Err(ArchiveError::unreadable(&archive.shown, "it has several members of the same name"));
    }
    for index in 0..zip.len() {
        archive.stop.check().map_err(|error| archive.read_error(&error))?;
        if visit_entry(archive, &mut zip, index, budget, visitor)? == Flow::Stop {
            break;
        }
    }
    Ok(())
}

fn visit_entry(
    archive: &Archive,
    zip: &mut Zip,
    index: usize,
    budget: &Budget,
    visitor: Visitor<'_>,
) -> Result<Flow, ArchiveError> {
    let listed = zip.name_for_index(index).and_then(Result::ok).map(|name| name.into_owned());
    let file = zip.by_index(index).map_err(|error| failed(archive, listed, error))?;
    // Many programs write UTF-8 without its flag.
    let name = match std::str::from_utf8(file.name_raw()) {
        Ok(name) => name.to_owned(),
        Err(_) => file.name().map_err(|error| failed(archive, None, error))?.into_owned(),
    };
    let path = member_path(&name).map_err(|error| ArchiveError::member(&archive.shown, error))?;
    let (size, mode, is_directory) = (file.size(), file.unix_mode(), name.ends_with('/'));
    // For other systems the crate invents modes.
    let has_modes = file.system() == System::Unix;
    let executable = mode.filter(|mode| has_modes && mode & 0o777 != 0).map(|mode| mode & 0o100 != 0);
    let mut reader = budget.reader(file, &archive.stop);
    let kind = match mode.map_or(0, |mode| mode & 0o170_000) {
        _ if is_directory => MemberKind::Directory,
        0o120_000 => {
            let mut target = Vec::new();
            let result = reader.by_ref().take(MAX_LINK_BYTES).read_to_end(&mut target);
            result.map_err(|error| archive.read_error(&error))?;
            let target = String::from_utf8(target).map_err(|_| {
                let reason = "the target of its link is not UTF-8";
                ArchiveError::member(&archive.shown, UnpackError::Refused { member: name.clone(), reason })
            })?;
            MemberKind::Symlink(target)
        }
        0o020_000 | 0o060_000 => MemberKind::Special("a device"),
        0o010_000 => MemberKind::Special("a pipe"),
        0o140_000 => MemberKind::Special("a socket"),
        _ => MemberKind::File,
    };
    visitor(&Member { path, kind, size, executable }, &mut reader)
}

fn failed(archive: &Archive, member: Option<String>, error: ZipError) -> ArchiveError {
    match (error, member) {
        (ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED), member) => {
            ArchiveError::Encrypted { shown: archive.shown.clone(), member: member.unwrap_or_default() }
        }
        (ZipError::Io(error), _) => archive.read_error(&error),
        (error, Some(member)) => {
            ArchiveError::unreadable(&archive.shown, format!("member `{}`: {error}", member.escape_debug()))
        }
        (error, None) => ArchiveError::unreadable(&archive.shown, error.to_string()),
    }
}

/// Refuses a central directory that is too large for the memory, before it is read.
fn check_size(content: &FileContent, shown: &str) -> Result<(), ArchiveError> {
    match stated_size(&mut content.reader()).map_err(|error| ArchiveError::read(shown, &error))? {
        Some((entries, _)) if entries > MAX_MEMBERS => {
            Err(ArchiveError::TooMany { shown: shown.to_owned(), limit: MAX_MEMBERS })
        }
        Some((_, bytes)) if bytes > MAX_DIRECTORY_BYTES => {
            Err(ArchiveError::unreadable(shown, format!("its central directory has {bytes} bytes")))
        }
        _ => Ok(()),
    }
}

/// The number of entries and bytes of the central directory, from the end record (APPNOTE 4.3.14 to 4.3.16).
fn stated_size(reader: &mut ContentReader) -> io::Result<Option<(u64, u64)>> {
    const END: usize = 22;
    const LOCATOR: usize = 20;
    let length = reader.seek(SeekFrom::End(0))?;
    let tail_length = length.min((END + usize::from(u16::MAX) + LOCATOR) as u64);
    reader.seek(SeekFrom::Start(length - tail_length))?;
    let mut tail = Vec::new();
    reader.take(tail_length).read_to_end(&mut tail)?;
    let Some(end) = tail.windows(4).rposition(|window| window == b"PK\x05\x06") else { return Ok(None) };
    let entries = little_endian(&tail, end + 10, 2);
    let bytes = little_endian(&tail, end + 12, 4);
    let (Some(entries), Some(bytes)) = (entries, bytes) else { return Ok(None) };
    let locator = end.checked_sub(LOCATOR).filter(|start| tail[*start..].starts_with(b"PK\x06\x07"));
    let Some(offset) = locator.and_then(|start| little_endian(&tail, start + 8, 8)) else {
        return Ok(Some((entries, bytes)));
    };
    let mut record = Vec::new();
    reader.seek(SeekFrom::Start(offset))?;
    reader.take(56).read_to_end(&mut record)?;
    let entries_64 = little_endian(&record, 32, 8).unwrap_or(entries);
    Ok(Some((entries.max(entries_64), bytes.max(little_endian(&record, 40, 8).unwrap_or(bytes)))))
}

fn little_endian(bytes: &[u8], offset: usize, width: usize) -> Option<u64> {
    let field = bytes.get(offset..offset.checked_add(width)?)?;
    Some(field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}
