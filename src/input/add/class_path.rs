//! Owns the check that the libraries a JAR's `Class-Path` names come along with it.

use std::collections::BTreeSet;

use super::super::artifact::{AddedContent, AddedDestination, AddedFile};

/// Returns the entries of `class_path` (relative URLs, decoded) that are not among `added`, in their order.
///
/// Entries with a scheme or an absolute path are not ours to bring. One that leads above the JAR's directory cannot
/// be matched by anything beside it, and is missing. An entry that ends with `/` is a directory (JAR File
/// Specification, "Class-Path attribute").
pub fn missing_class_path(class_path: &[String], added: &[AddedFile]) -> Vec<String> {
    let mut files = BTreeSet::new();
    let mut directories = BTreeSet::from([String::new()]);
    for file in added {
        let AddedDestination::Beside(path) = &file.destination else { continue };
        match file.content {
            AddedContent::Directory => drop(directories.insert(path.clone())),
            // What a link points to is in the tree; either kind may be meant.
            AddedContent::Symlink { .. } => {
                files.insert(path.clone());
                directories.insert(path.clone());
            }
            AddedContent::File { .. } => drop(files.insert(path.clone())),
        }
        directories.extend(path.match_indices('/').map(|(end, _)| path[..end].to_owned()));
    }
    let is_missing = |entry: &&String| {
        let Some(path) = normal(entry) else { return true };
        let known = if entry.ends_with('/') { &directories } else { &files };
        !known.contains(&path)
    };
    class_path.iter().filter(|entry| is_ours(entry)).filter(is_missing).cloned().collect()
}

fn is_ours(entry: &str) -> bool {
    let has_scheme = entry.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    !has_scheme && !entry.starts_with('/') && !entry.is_empty()
}

/// Drops `.` and takes `..` together with what is before it; nothing if that leads out.
fn normal(entry: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in entry.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}
