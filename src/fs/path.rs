//! Owns operations on paths and names: canonical and lexical paths, and cutting. Must not open a file.

use std::path::{Path, PathBuf};

/// `path` without links, `.` and `..`. If the file is missing, its directory is resolved. If the directory is missing
/// too, the path stays the same.
pub fn canonical_path(path: &Path) -> PathBuf {
    if let Ok(canonical) = path.canonicalize() {
        return canonical;
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (directory.canonicalize(), path.file_name()) {
        (Ok(directory), Some(name)) => directory.join(name),
        _ => path.to_owned(),
    }
}

/// The size of a regular file, in bytes.
pub fn file_size(path: &Path) -> Option<u64> {
    path.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len())
}

/// Whether `path` is a device or a pipe, such as `/dev/null`. Writing to it replaces nothing.
pub fn is_device(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// `path` of a tree that is not on the disk, such as an archive's, without `.` and `..`; `None` if it leaves the tree.
pub(crate) fn lexical_path(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The target of the symbolic link at `link` of such a tree; `None` if it is outside of the tree.
pub(crate) fn link_target(link: &str, target: &str) -> Option<String> {
    if target.is_empty() || target.starts_with('/') {
        return None;
    }
    match link.rsplit_once('/') {
        Some((directory, _)) => lexical_path(&format!("{directory}/{target}")),
        None => lexical_path(target),
    }
}

/// The longest beginning of `text` that has at most `bytes` bytes and only whole characters.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_is_one_path_however_it_is_written() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let there = directory.path().join("there");
        std::fs::write(&there, "x").expect("writes");
        std::os::unix::fs::symlink("there", directory.path().join("link")).expect("links");
        for name in ["there", "./there", "link"] {
            assert_eq!(canonical_path(&directory.path().join(name)), canonical_path(&there), "{name}");
        }
        let missing = directory.path().join("missing");
        std::fs::create_dir(directory.path().join("sub")).expect("makes");
        assert_eq!(canonical_path(&directory.path().join("sub/../missing")), canonical_path(&missing));
        assert_ne!(canonical_path(&missing), canonical_path(&there));
        let nowhere = directory.path().join("no/such/file");
        assert_eq!(canonical_path(&nowhere), nowhere);
    }

    #[test]
    fn links_are_followed_by_name_and_not_outside() {
        assert_eq!(link_target("bin/tool", "../lib/tool").as_deref(), Some("lib/tool"));
        assert_eq!(link_target("tool", "./tool-1.2").as_deref(), Some("tool-1.2"));
        assert_eq!(link_target("a/b/tool", "..//../c/./x").as_deref(), Some("c/x"));
        assert_eq!(link_target("bin/tool", "..").as_deref(), Some(""));
        for (link, target) in [("bin/tool", "../../x"), ("tool", "/bin/sh"), ("tool", ".."), ("tool", "")] {
            assert_eq!(link_target(link, target), None, "{link} {target}");
        }
    }

    #[test]
    fn keeps_characters_whole() {
        assert_eq!(cut("äöü", 3), "ä");
        assert_eq!(cut("äöü", 4), "äö");
        assert_eq!(cut("a", 9), "a");
        assert_eq!(cut("ä", 1), "");
    }
}
