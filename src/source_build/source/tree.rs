//! Owns a fetched source tree: its entries, in order, with their contents on demand, and where it came from.

use std::sync::Arc;

use serde::Serialize;

use crate::detect::{BuildFile, source_tree};
use crate::image::layer::Content;

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
}
