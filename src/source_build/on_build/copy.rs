//! Owns what of the sources a `COPY` takes, and where each part of it goes.
//!
//! Source: Dockerfile reference, "COPY". Must not know containers.

use std::collections::BTreeMap;
use std::io::Read;

use crate::fs::path::lexical_path;
use crate::image::ImagePath;
use crate::sources::ignore::Glob;
use crate::sources::{SourceTree, TreeEntry, TreeEntryKind};

/// How much of a file is looked at to tell an archive.
const HEAD: usize = 512;

/// What is copied.
#[derive(Clone)]
pub(in crate::source_build) struct CopyStep {
    /// The instruction, for messages.
    pub(super) shown: String,
    pub(super) destination: ImagePath,
    /// By their paths below the destination; the empty one is the destination itself.
    pub(super) entries: BTreeMap<String, TreeEntry>,
    /// The name of the one file that goes to the destination, or into it if that is a directory.
    pub(super) only_file: Option<String>,
    /// `USER[:GROUP]`; none means root.
    pub(super) owner: Option<String>,
}

/// A `COPY` or `ADD`, with its places as they are written.
pub(super) struct Wanted<'a> {
    pub(super) shown: &'a str,
    pub(super) sources: &'a [String],
    pub(super) destination: &'a str,
    pub(super) owner: Option<String>,
    pub(super) unpacks: bool,
}

/// Finds what is copied; `directory` is the working directory.
///
/// # Errors
/// A clause that says why it cannot be.
pub(super) fn select(
    wanted: Wanted<'_>,
    directory: &ImagePath,
    tree: &SourceTree,
) -> Result<CopyStep, String> {
    let mut found: Vec<(String, &TreeEntry)> = Vec::new();
    let mut whole = false;
    for source in wanted.sources {
        let path = below_root(source)?;
        if path.is_empty() {
            whole = true;
            continue;
        }
        let matching = matching(&path, tree)?;
        if matching.is_empty() {
            return Err(format!("the sources have no `{source}`"));
        }
        found.extend(matching);
    }
    let destination = wanted.destination;
    let is_directory =
        destination.ends_with('/') || matches!(destination.rsplit('/').next(), Some("." | ".."));
    let count = wanted.sources.len().max(found.len());
    if count > 1 && !is_directory {
        return Err("it copies several files, and its destination does not end with `/`".into());
    }
    let place = joined(directory, destination)?;
    let mut entries = BTreeMap::new();
    if whole {
        insert_below("", tree, &mut entries);
    }
    let mut only_file = None;
    for (path, entry) in found {
        match &entry.kind {
            // By the path of what it is: it may have been named by a link.
            TreeEntryKind::Directory => insert_below(&format!("{}/", entry.path), tree, &mut entries),
            TreeEntryKind::Symlink { .. } => {
                return Err(format!("`{path}` is a link that leads out of the sources"));
            }
            TreeEntryKind::File { content, .. } => {
                if wanted.unpacks && is_archive(&mut *content.open().map_err(|error| error.to_string())?) {
                    return Err(format!("`ADD` would unpack `{path}`"));
                }
                let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
                // The working directory is one, however it is written.
                let goes_into = is_directory || place == *directory;
                only_file = (!goes_into).then(|| name.clone());
                let at = if goes_into { name } else { String::new() };
                entries.insert(at, entry.clone());
            }
        }
    }
    Ok(CopyStep {
        shown: wanted.shown.to_owned(),
        destination: place,
        entries,
        only_file,
        owner: wanted.owner,
    })
}

/// The path below the root of the sources; empty for the root.
fn below_root(source: &str) -> Result<String, String> {
    lexical_path(source).ok_or_else(|| format!("`{source}` leads out of the sources"))
}

/// The entry of this path, or all that match it as a pattern; what a link leads to counts for the link.
fn matching<'a>(path: &str, tree: &'a SourceTree) -> Result<Vec<(String, &'a TreeEntry)>, String> {
    let paths: Vec<String> = match path.contains(['*', '?', '[', '\\']) {
        false => vec![path.to_owned()],
        true => {
            let glob =
                Glob::parse(path).map_err(|reason| format!("the pattern `{path}` is wrong: {reason}"))?;
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

/// Everything below a directory of the sources, which ends with `/` or is the root.
fn insert_below(directory: &str, tree: &SourceTree, entries: &mut BTreeMap<String, TreeEntry>) {
    for entry in &tree.entries {
        if let Some(below) = entry.path.strip_prefix(directory) {
            entries.insert(below.to_owned(), entry.clone());
        }
    }
}

/// A path of an instruction in the image.
pub(super) fn joined(directory: &ImagePath, path: &str) -> Result<ImagePath, String> {
    let from: &str = if path.starts_with('/') { "" } else { directory.as_str() };
    let mut parts: Vec<&str> = Vec::new();
    for part in from.split('/').chain(path.split('/')).filter(|part| !matches!(*part, "" | ".")) {
        match part {
            // Above the root is the root.
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    ImagePath::new(&format!("/{}", parts.join("/"))).map_err(|error| error.to_string())
}

/// Whether `ADD` would take a file for an archive: a tar, or what tars are compressed with.
fn is_archive(reader: &mut dyn Read) -> bool {
    let mut head = Vec::new();
    // What cannot be read is found out when it is copied.
    let _ = reader.take(HEAD as u64).read_to_end(&mut head);
    let starts: [&[u8]; 4] = [b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"];
    starts.iter().any(|start| head.starts_with(start)) || head.get(257..262) == Some(b"ustar")
}
