//! Owns fetching a directory until the fetching of all kinds of sources is here.

use std::path::Path;
use std::sync::Arc;

use super::{SourceInfo, SourceTree, TreeEntry, TreeEntryKind};
use crate::fs::FileStamp;
use crate::input::FileContent;

pub(crate) fn read_directory(root: &Path) -> std::io::Result<SourceTree> {
    let mut entries = Vec::new();
    let mut waiting = vec![String::new()];
    while let Some(below) = waiting.pop() {
        for entry in std::fs::read_dir(root.join(&below))? {
            let entry = entry?;
            let name = entry.file_name().into_string().map_err(|_| std::io::Error::other("not UTF-8"))?;
            if name == ".git" {
                continue;
            }
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            let metadata = entry.metadata()?;
            let kind = if metadata.is_dir() {
                waiting.push(path.clone());
                TreeEntryKind::Directory
            } else if metadata.is_symlink() {
                TreeEntryKind::Symlink { target: std::fs::read_link(entry.path())?.display().to_string() }
            } else {
                let content = FileContent::by_name(&entry.path(), FileStamp::of(&metadata));
                TreeEntryKind::File { size: metadata.len(), content: Arc::new(content) }
            };
            entries.push(TreeEntry { path, kind, mode: 0o755 });
        }
    }
    entries.sort_by(|one, two| one.path.cmp(&two.path));
    let name = root.canonicalize()?.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(SourceTree {
        name,
        info: SourceInfo { location: None, context_directory: None, commit: None },
        entries,
    })
}
