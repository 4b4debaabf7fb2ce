//! Owns listing a directory whose files go into the image: sorted, without following links.
//! Must not depend on modes of files that the user adds, which differ from disk to disk.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::super::artifact::{AddedContent, FileContent};
use super::AddError;
use crate::blocking::Stop;
use crate::fs::FileStamp;
use crate::fs::unpack::link_stays_inside;

/// More files than any artifact needs.
const MAX_FILES: usize = 200_000;
const MAX_DEPTH: usize = 128;

pub(in crate::input) struct DirectoryEntry {
    /// The path relative to the listed directory, with `/` between the parts.
    pub(in crate::input) path: String,
    pub(in crate::input) content: AddedContent,
}

/// The rule for the executable bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::input) enum Modes {
    /// Programs and scripts, by their first bytes.
    Ignored,
    /// Programs and scripts, and the files that their owner may execute.
    Kept,
}

/// Lists everything below `root`: a directory before its entries, names in byte order.
pub(in crate::input) fn walk(
    root: &Path,
    modes: Modes,
    stop: &Stop,
) -> Result<Vec<DirectoryEntry>, AddError> {
    let mut list = Vec::new();
    walk_directory(root, root, "", (modes, stop), &mut list)?;
    Ok(list)
}

fn walk_directory(
    root: &Path,
    directory: &Path,
    prefix: &str,
    (modes, stop): (Modes, &Stop),
    list: &mut Vec<DirectoryEntry>,
) -> Result<(), AddError> {
    let failed = |source| AddError::Read { path: directory.to_owned(), source };
    let entries = fs::read_dir(directory).map_err(failed)?;
    let names: Result<Vec<OsString>, _> = entries.map(|entry| entry.map(|entry| entry.file_name())).collect();
    let mut names = names.map_err(failed)?;
    names.sort();
    for name in names {
        stop.check().map_err(failed)?;
        let path = directory.join(&name);
        let Some(name) = name.to_str() else { return Err(AddError::NotUtf8 { path }) };
        let relative = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        if list.len() >= MAX_FILES || relative.matches('/').count() >= MAX_DEPTH {
            return Err(AddError::TooMany { path: root.to_owned(), files: MAX_FILES, depth: MAX_DEPTH });
        }
        let metadata = fs::symlink_metadata(&path);
        let metadata = metadata.map_err(|source| AddError::Read { path: path.clone(), source })?;
        let mut content =
            if metadata.is_symlink() { link(&path, &relative)? } else { content(&path, &metadata)? };
        if let AddedContent::File { executable, .. } = &mut content {
            *executable |= modes == Modes::Kept && metadata.permissions().mode() & 0o100 != 0;
        }
        let is_directory = matches!(content, AddedContent::Directory);
        list.push(DirectoryEntry { path: relative.clone(), content });
        if is_directory {
            walk_directory(root, &path, &relative, (modes, stop), list)?;
        }
    }
    Ok(())
}

fn link(path: &Path, relative: &str) -> Result<AddedContent, AddError> {
    let target = fs::read_link(path).map_err(|source| AddError::Read { path: path.to_owned(), source })?;
    let Some(target) = target.to_str() else { return Err(AddError::NotUtf8 { path: path.to_owned() }) };
    if !link_stays_inside(relative, target) {
        return Err(AddError::LinkOutside { path: path.to_owned(), target: target.to_owned() });
    }
    Ok(AddedContent::Symlink { target: target.to_owned() })
}

/// Reads the type of a file. The first bytes decide whether it is executable, not the mode.
pub(super) fn content(path: &Path, metadata: &fs::Metadata) -> Result<AddedContent, AddError> {
    if metadata.is_dir() {
        return Ok(AddedContent::Directory);
    }
    if !metadata.is_file() {
        return Err(AddError::NotAFile { path: path.to_owned() });
    }
    let read = || {
        let file = File::open(path)?;
        let stamp = FileStamp::of(&file.metadata()?);
        let mut head = Vec::new();
        file.take(4).read_to_end(&mut head)?;
        Ok((stamp, starts_like_program(&head)))
    };
    let (stamp, executable) = read().map_err(|source| AddError::Read { path: path.to_owned(), source })?;
    Ok(AddedContent::File { content: FileContent::by_name(path, stamp), size: stamp.size, executable })
}

/// Whether a file with these first four bytes is a program or a script.
pub(in crate::input) fn starts_like_program(head: &[u8]) -> bool {
    head.starts_with(b"\x7fELF") || head.starts_with(b"#!")
}
