//! Owns a source tree as entries of a layer.

use super::tree::{SourceTree, TreeEntryKind};
use crate::image::ImagePath;
use crate::image::layer::{Entry, EntryKind, Owner};
use crate::image::path::InvalidImagePath;

impl SourceTree {
    /// The tree's entries below `below`, all owned by `owner`.
    ///
    /// # Errors
    /// [`InvalidImagePath`] if a name makes no path.
    pub fn layer_entries(&self, below: &ImagePath, owner: Owner) -> Result<Vec<Entry>, InvalidImagePath> {
        let entry = |entry: &super::TreeEntry| {
            let kind = match &entry.kind {
                TreeEntryKind::Directory => EntryKind::Directory,
                TreeEntryKind::File { size, content } => {
                    EntryKind::File { size: *size, content: content.clone() }
                }
                TreeEntryKind::Symlink { target } => EntryKind::Symlink { target: target.clone() },
            };
            Ok(Entry { path: below.join(&entry.path)?, kind, mode: entry.mode, owner })
        };
        self.entries.iter().map(entry).collect()
    }
}
