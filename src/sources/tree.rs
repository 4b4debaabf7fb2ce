//! Owns a fetched source tree: its origin and its entries, with content on demand. Must not fetch.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SourceError;
use crate::detect::{BuildFile, source_tree};
use crate::fs::path::link_target;
use crate::image::ImagePath;
use crate::image::layer::{Content, Entry, EntryKind, Owner};

/// Largest number of links that are followed for one file.
const MAX_LINKS: usize = 8;

/// A source tree. Its files exist as long as the run's lease.
#[derive(Clone)]
pub struct SourceTree {
    /// The default name of the result: the name of the directory, repository or archive.
    pub name: String,
    pub info: SourceInfo,
    /// The entries, sorted by path, without `.git` and excluded paths.
    pub entries: Vec<TreeEntry>,
}

#[derive(Clone)]
pub struct TreeEntry {
    /// The path: relative, with `/` between its components, never empty, and without `.` and `..`.
    pub path: String,
    pub kind: TreeEntryKind,
    /// Permission bits: 0755 for directories and executables, 0644 for other files.
    pub mode: u32,
}

#[derive(Clone)]
pub enum TreeEntryKind {
    Directory,
    File { size: u64, content: Arc<dyn Content> },
    Symlink { target: String },
}

/// The origin of a source tree, without credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceInfo {
    /// The location, without user name, password and query; `None` for sources on the building machine.
    pub location: Option<String>,
    /// The directory of the tree that was built.
    pub context_directory: Option<String>,
    /// The commit of a git repository.
    pub commit: Option<Commit>,
}

/// A git commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Commit {
    /// Its id, in hexadecimal.
    pub id: String,
    /// The requested branch or tag, or HEAD's.
    pub reference: String,
    /// `Name <address>`.
    pub author: String,
    /// Date of the author, in git's default format.
    pub date: String,
    /// First line of the message.
    pub message: String,
}

impl SourceTree {
    /// The build file in the root.
    pub fn build_file(&self) -> Option<BuildFile> {
        source_tree(self.entries.iter().map(|entry| entry.path.as_str()).filter(|path| !path.contains('/')))
    }

    pub fn entry(&self, path: &str) -> Option<&TreeEntry> {
        let index = self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()?;
        self.entries.get(index)
    }

    /// The bytes of the file at `path`, through links inside the tree; `None` if it does not exist.
    ///
    /// # Errors
    /// [`SourceError`] if it has more than `limit` bytes, cannot be read, or changed since the walk.
    pub fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let Some(TreeEntryKind::File { content, .. }) = self.resolve(path).map(|entry| &entry.kind) else {
            return Ok(None);
        };
        let failed = |source| SourceError::Read { path: PathBuf::from(path), source };
        let mut bytes = Vec::new();
        let mut reader = content.open().map_err(failed)?.take(limit.saturating_add(1));
        reader.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > limit {
            return Err(SourceError::TooLarge { path: path.to_owned(), limit });
        }
        Ok(Some(bytes))
    }

    /// Whether `path` itself is a regular file.
    pub fn has_file(&self, path: &str) -> bool {
        self.entry(path).is_some_and(|entry| matches!(entry.kind, TreeEntryKind::File { .. }))
    }

    /// The file or directory at `path`, through links inside the tree.
    pub fn resolve(&self, path: &str) -> Option<&TreeEntry> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            match &self.entry(&path)? {
                TreeEntry { kind: TreeEntryKind::Symlink { target }, .. } => {
                    path = link_target(&path, target)?
                }
                entry => return Some(entry),
            }
        }
        None
    }

    /// Moves everything at and below `prefix` into a new tree, with paths relative to `prefix`.
    pub fn take(&mut self, prefix: &str) -> Self {
        let below = format!("{prefix}/");
        let (taken, rest) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition::<Vec<_>, _>(|entry| entry.path == prefix || entry.path.starts_with(&below));
        self.entries = rest;
        let entries = taken.into_iter().filter_map(|entry| {
            let path = entry.path.strip_prefix(&below)?.to_owned();
            Some(TreeEntry { path, ..entry })
        });
        Self { name: self.name.clone(), info: self.info.clone(), entries: entries.collect() }
    }

    /// The entries of a layer with the tree at `below`, including that directory.
    pub fn layer_entries(&self, below: &ImagePath, owner: Owner) -> Vec<Entry> {
        let top = Entry { path: below.clone(), kind: EntryKind::Directory, mode: 0o755, owner };
        let entries = self.entries.iter().map(|entry| Entry {
            path: below.join(&entry.path).expect("paths of a tree are relative and normal"),
            kind: entry.kind.clone().into(),
            mode: entry.mode,
            owner,
        });
        std::iter::once(top).chain(entries).collect()
    }
}

impl From<TreeEntryKind> for EntryKind {
    fn from(kind: TreeEntryKind) -> Self {
        match kind {
            TreeEntryKind::Directory => Self::Directory,
            TreeEntryKind::File { size, content } => Self::File { size, content },
            TreeEntryKind::Symlink { target } => Self::Symlink { target },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> SourceTree {
        let file = |path: &str, text: &'static str| TreeEntry {
            path: path.to_owned(),
            kind: TreeEntryKind::File { size: text.len() as u64, content: Arc::new(text.as_bytes()) },
            mode: 0o644,
        };
        let directory =
            |path: &str| TreeEntry { path: path.to_owned(), kind: TreeEntryKind::Directory, mode: 0o755 };
        let link = |path: &str, target: &str| TreeEntry {
            path: path.to_owned(),
            kind: TreeEntryKind::Symlink { target: target.to_owned() },
            mode: 0o777,
        };
        SourceTree {
            name: "shop".to_owned(),
            info: SourceInfo { location: None, context_directory: None, commit: None },
            entries: vec![
                directory(".s2i"),
                directory(".s2i/bin"),
                file(".s2i/bin/assemble", "#!/bin/sh\n"),
                file(".s2i/binary", "x"),
                link(".s2i/environment", "../env"),
                link("away", "../../etc/passwd"),
                file("env", "A=1"),
                file("pom.xml", "<project/>"),
                link("round", "round"),
            ],
        }
    }

    #[test]
    fn files_are_read_within_a_limit_and_through_links() {
        let tree = tree();
        assert_eq!(tree.build_file().expect("has one").name, "pom.xml");
        assert_eq!(tree.read(".s2i/environment", 3).expect("reads").as_deref(), Some(&b"A=1"[..]));
        for path in ["missing", ".s2i", "away", "round"] {
            assert_eq!(tree.read(path, 10).expect("no error"), None, "{path}");
        }
        let error = tree.read("env", 2).expect_err("too large").to_string();
        assert!(error.contains("`env`") && error.contains("2 bytes"), "{error}");
    }

    #[test]
    fn a_part_is_taken_out_as_a_tree_of_its_own() {
        let mut tree = tree();
        let scripts = tree.take(".s2i/bin");
        assert_eq!(scripts.entries.len(), 1);
        assert!(scripts.entry("assemble").is_some());
        assert!(tree.entry(".s2i/bin").is_none() && tree.entry(".s2i/bin/assemble").is_none());
        assert!(tree.entry(".s2i/binary").is_some(), "it only begins alike");
        assert!(tree.take("nothing").entries.is_empty());
    }

    #[test]
    fn it_becomes_a_layer_below_a_directory() {
        let below = ImagePath::new("/tmp/src").expect("valid");
        let owner = Owner { uid: 1001, gid: 0 };
        let entries = tree().layer_entries(&below, owner);
        let shown: Vec<String> = entries.iter().take(3).map(|entry| format!("{entry:?}")).collect();
        assert_eq!(
            shown,
            ["0755 1001:0 /tmp/src", "0755 1001:0 /tmp/src/.s2i", "0755 1001:0 /tmp/src/.s2i/bin"]
        );
        crate::image::layer::Layer::new(entries, 0).expect("no contradictions");
    }
}
