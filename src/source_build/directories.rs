//! Owns which directories a container lacks that something is put into.

use std::collections::BTreeSet;

use crate::assemble::RunError;
use crate::engine::Container;
use crate::image::ImagePath;
use crate::image::layer::{Entry, EntryKind, Owner};

/// Entries for those of `wanted`, and of the directories above them, that are not there.
pub(super) async fn missing_directories<C: Container>(
    container: &C,
    wanted: impl IntoIterator<Item = ImagePath>,
    owner: Owner,
) -> Result<Vec<Entry>, RunError<C::Error>> {
    let mut paths = BTreeSet::new();
    for path in wanted {
        let mut next = Some(path);
        while let Some(path) = next.filter(|path| path.as_str() != "/") {
            next = path.parent();
            paths.insert(path);
        }
    }
    let mut missing = Vec::new();
    for path in paths {
        if !container.has(&path).await.map_err(RunError::Engine)? {
            missing.push(Entry { path, kind: EntryKind::Directory, mode: 0o755, owner });
        }
    }
    Ok(missing)
}
