//! Owns what a source tree shows to the choice of its builder.

use std::io::Read;

use super::{MAXIMUM_FILE, SourceFiles};
use crate::sources::{SourceTree, TreeEntryKind};

impl SourceFiles for SourceTree {
    fn top_level_names(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| entry.path.as_str()).filter(|path| !path.contains('/')).collect()
    }

    fn has_file(&self, path: &str) -> bool {
        self.entry(path).is_some_and(|entry| matches!(entry.kind, TreeEntryKind::File { .. }))
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let TreeEntryKind::File { size, content } = &self.entry(path)?.kind else { return None };
        let mut bytes = Vec::new();
        if *size > MAXIMUM_FILE {
            return None;
        }
        content.open().ok()?.take(MAXIMUM_FILE).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}
