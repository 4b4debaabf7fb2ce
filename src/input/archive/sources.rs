//! Owns unpacking an archive of sources: the whole of it, confined, within limits.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::spool::Stop;
use super::super::{Fetched, InputError, InputOptions};
use super::format::{self, Format};
use super::members::Archive;
use super::{check_unchanged, tree};
use crate::fs::FileError;

/// What was unpacked.
pub(crate) struct UnpackedTree {
    /// The archive's name without the end that says how it is packed.
    pub(crate) name: String,
    /// The directory: that of the archive, or the one in it that holds everything.
    pub(crate) directory: PathBuf,
    /// The name of that one.
    pub(crate) top: Option<String>,
}

/// Unpacks `fetched` below `directory`; nothing if it is no archive, or one of Java's.
pub(in crate::input) fn unpack_sources(
    fetched: &Fetched,
    shown: &str,
    options: &InputOptions,
    directory: &Path,
    stop: &Stop,
) -> Result<Option<UnpackedTree>, InputError> {
    let format = match format::recognise(&fetched.content, &fetched.name, shown)? {
        Some(format @ (Format::Tar(_) | Format::Zip)) => format,
        Some(Format::Single(_)) | None => return Ok(None),
    };
    let archive = Archive {
        content: fetched.content.clone(),
        format,
        shown: shown.to_owned(),
        max_bytes: options.max_size,
        stop: stop.clone(),
    };
    let root = tree::directory_in(directory)?;
    tree::write_members(&archive, &root)?;
    check_unchanged(&fetched.content)?;
    let top = top_directory(&root).map_err(|error| FileError::new("read", &root, error))?;
    let directory = top.as_ref().map_or_else(|| root.clone(), |top| root.join(top));
    Ok(Some(UnpackedTree { name: format::stem(&fetched.name).to_owned(), directory, top }))
}

/// The name of the one directory that holds everything, as archives of releases have it.
fn top_directory(root: &Path) -> std::io::Result<Option<String>> {
    let mut entries = fs::read_dir(root)?;
    let (Some(first), None) = (entries.next().transpose()?, entries.next()) else { return Ok(None) };
    let is_directory = first.file_type()?.is_dir();
    Ok(first.file_name().into_string().ok().filter(|_| is_directory))
}
