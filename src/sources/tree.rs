//! Owns a fetched source tree: its entries, in order, with their contents on demand, and where it came from.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::SourceError;
use crate::detect::{BuildFile, source_tree};
use crate::fs::path::link_target;
use crate::image::ImagePath;
use crate::image::layer::{Content, Entry, EntryKind, Owner};

/// Links from one entry to the next that are followed when a file is read.
const MAX_LINKS: usize = 8;

/// A source tree, ready to be read. What it needs on disk goes with the run's lease.
#[derive(Clone)]
pub struct SourceTree {
    /// What the result is called if nobody names it: the directory's, repository's or archive's name.
    pub name: String,
    /// Where it came from.
    pub info: SourceInfo,
    /// What is in it: sorted by path, directories before what is in them; ignored paths and `.git` are left out.
    pub entries: Vec<TreeEntry>,
}

/// One entry of a source tree.
#[derive(Clone)]
pub struct TreeEntry {
    /// Its path below the root, `/` between components; never empty, absolute, or with `.` or `..` in it.
    pub path: String,
    /// What it is.
    pub kind: TreeEntryKind,
    /// Permission bits: 0755 for directories and executables, 0644 for other files.
    pub mode: u32,
}

/// What an entry of a source tree is.
#[derive(Clone)]
pub enum TreeEntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Its size in bytes.
        size: u64,
        /// Its bytes.
        content: Arc<dyn Content>,
    },
    /// A symbolic link.
    Symlink {
        /// Its text.
        target: String,
    },
}

/// Where a source tree came from. Holds no credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceInfo {
    /// The place, without user name, password and query; none where it would tell of the building machine only.
    pub location: Option<String>,
    /// The directory in it that was built.
    pub context_directory: Option<String>,
    /// The commit, of a git repository.
    pub commit: Option<Commit>,
}

/// A git commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Commit {
    /// Its id, in hexadecimal.
    pub id: String,
    /// Branch or tag that was asked for, or HEAD's.
    pub reference: String,
    /// `Name <address>`.
    pub author: String,
    /// Date of the author, as git writes it.
    pub date: String,
    /// First line of the message.
    pub message: String,
}

impl SourceTree {
    /// The file at the top that says which tool builds it, if there is one.
    pub fn build_file(&self) -> Option<BuildFile> {
        source_tree(self.entries.iter().map(|entry| entry.path.as_str()).filter(|path| !path.contains('/')))
    }

    /// The entry at `path`.
    pub fn entry(&self, path: &str) -> Option<&TreeEntry> {
        let index = self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()?;
        self.entries.get(index)
    }

    /// The bytes of the file at `path`; links inside the tree are followed. Nothing if there is no such file.
    ///
    /// # Errors
    /// [`SourceError`] if it has more than `limit` bytes, cannot be read, or was changed since it was found.
    pub fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let Some(content) = self.file(path) else { return Ok(None) };
        let failed = |source| SourceError::Read { path: PathBuf::from(path), source };
        let mut bytes = Vec::new();
        let mut reader = content.open().map_err(failed)?.take(limit.saturating_add(1));
        reader.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > limit {
            return Err(SourceError::TooLarge { path: path.to_owned(), limit });
        }
        Ok(Some(bytes))
    }

    /// The content of the regular file that `path` leads to.
    fn file(&self, path: &str) -> Option<&dyn Content> {
        match &self.followed(path)?.kind {
            TreeEntryKind::File { content, .. } => Some(&**content),
            TreeEntryKind::Directory | TreeEntryKind::Symlink { .. } => None,
        }
    }

    /// The file or directory that `path` leads to; nothing if that is not in the tree.
    pub fn followed(&self, path: &str) -> Option<&TreeEntry> {
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

    /// Removes what is at `prefix` and below it and returns it as a tree of its own, with paths from `prefix`.
    pub fn take(&mut self, prefix: &str) -> Self {
        let below = format!("{prefix}/");
        let (taken, kept) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition::<Vec<_>, _>(|entry| entry.path == prefix || entry.path.starts_with(&below));
        self.entries = kept;
        let entries = taken.into_iter().filter_map(|entry| {
            let path = entry.path.strip_prefix(&below)?.to_owned();
            Some(TreeEntry { path, ..entry })
        });
        Self { name: self.name.clone(), info: self.info.clone(), entries: entries.collect() }
    }

    /// The entries of a layer that holds the tree at `below`, a directory that it has an entry for, too.
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
