//! Owns the selection of the files of a `COPY`, and their paths in the image. Must not know containers.
//!
//! Source: Dockerfile reference, "COPY".

use std::collections::BTreeMap;
use std::io::Read;

use super::instruction::Copy;
use crate::fs::path::lexical_path;
use crate::image::ImagePath;
use crate::source_build::extraction::resolve;
use crate::sources::ignore::Glob;
use crate::sources::{SourceTree, TreeEntry, TreeEntryKind};

/// The bytes of a file that are read to recognise an archive.
const HEAD: usize = 512;

#[derive(Clone)]
pub(in crate::source_build) struct CopyStep {
    /// The instruction.
    pub(super) shown: String,
    pub(super) destination: ImagePath,
    /// The entries by their path below the destination; the empty path is the destination itself.
    pub(super) entries: BTreeMap<String, TreeEntry>,
    /// The name of a single file that becomes the destination, or goes into it if it is a directory.
    pub(super) only_file: Option<String>,
    /// `USER[:GROUP]`; none means root.
    pub(super) owner: Option<String>,
}

/// Selects the files; `directory` is the working directory, and `shown` the instruction.
///
/// # Errors
/// The reason, as a clause.
pub(super) fn select(
    copy: Copy,
    shown: &str,
    directory: &ImagePath,
    tree: &SourceTree,
) -> Result<CopyStep, String> {
    let mut selected: Vec<(String, &TreeEntry)> = Vec::new();
    let mut whole = false;
    for source in &copy.sources {
        let path = lexical_path(source).ok_or_else(|| format!("`{source}` leads out of the sources"))?;
        if path.is_empty() {
            whole = true;
            continue;
        }
        let matching = matching(&path, tree)?;
        if matching.is_empty() {
            return Err(format!("the sources have no `{source}`"));
        }
        selected.extend(matching);
    }
    let destination = copy.destination.as_str();
    let is_directory =
        destination.ends_with('/') || matches!(destination.rsplit('/').next(), Some("." | ".."));
    let count = copy.sources.len().max(selected.len());
    if count > 1 && !is_directory {
        return Err("it copies several files, and its destination does not end with `/`".into());
    }
    let place = resolve(directory, destination).map_err(|error| error.to_string())?;
    let mut entries = BTreeMap::new();
    if whole {
        insert_below("", tree, &mut entries);
    }
    let mut only_file = None;
    for (path, entry) in selected {
        match &entry.kind {
            // Its own path counts: the source may be a link to it.
            TreeEntryKind::Directory => insert_below(&format!("{}/", entry.path), tree, &mut entries),
            TreeEntryKind::Symlink { .. } => {
                return Err(format!("`{path}` is a link that leads out of the sources"));
            }
            TreeEntryKind::File { content, .. } => {
                if copy.unpacks && is_archive(&mut *content.open().map_err(|error| error.to_string())?) {
                    return Err(format!("`ADD` would unpack `{path}`"));
                }
                let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
                // The working directory is a directory, also without a `/` at the end.
                let goes_into = is_directory || place == *directory;
                only_file = (!goes_into).then(|| name.clone());
                let at = if goes_into { name } else { String::new() };
                entries.insert(at, entry.clone());
            }
        }
    }
    Ok(CopyStep { shown: shown.to_owned(), destination: place, entries, only_file, owner: copy.owner })
}

/// The entry at `path`, or all entries that match it as a pattern. Links are resolved.
fn matching<'a>(path: &str, tree: &'a SourceTree) -> Result<Vec<(String, &'a TreeEntry)>, String> {
    let paths: Vec<String> = match path.contains(['*', '?', '[', '\\']) {
        false => vec![path.to_owned()],
        true => {
            let glob =
                Glob::parse(path).map_err(|reason| format!("the pattern `{path}` is not valid: {reason}"))?;
            let all = tree.entries.iter().filter(|entry| glob.matches(&entry.path));
            all.map(|entry| entry.path.clone()).collect()
        }
    };
    let entry = |path: String| {
        let entry = tree.entry(&path)?;
        Some((path.clone(), tree.resolve(&path).unwrap_or(entry)))
    };
    Ok(paths.into_iter().filter_map(entry).collect())
}

/// Inserts everything below a directory of the sources, which ends with `/` or is empty for the root.
fn insert_below(directory: &str, tree: &SourceTree, entries: &mut BTreeMap<String, TreeEntry>) {
    for entry in &tree.entries {
        if let Some(below) = entry.path.strip_prefix(directory) {
            entries.insert(below.to_owned(), entry.clone());
        }
    }
}

/// Whether `ADD` would unpack a file: a tar, or one of the compressions of tars.
fn is_archive(reader: &mut dyn Read) -> bool {
    let mut head = Vec::new();
    // An error of reading is reported when the file is copied.
    let _ = reader.take(HEAD as u64).read_to_end(&mut head);
    let starts: [&[u8]; 4] = [b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"];
    starts.iter().any(|start| head.starts_with(start)) || head.get(257..262) == Some(b"ustar")
}
