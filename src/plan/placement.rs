//! Owns the placement of one artifact: source, mode and owner of each entry of the new layer.
//!
//! Must not read files: modes follow from the kind of file, owners from the template.

use super::{EntrySource, PlannedEntry, PlannedSource, base_directories};
use crate::builder::Placement;
use crate::image::ImagePath;
use crate::image::layer::{Entry, EntryKind};
use crate::image::path::InvalidImagePath;
use crate::input::{AddedContent, AddedDestination, AddedFile};

/// The template's own entries: directories, scripts, files.
pub(super) fn template_entries(entries: &[Entry]) -> Vec<PlannedEntry> {
    let planned = |(index, entry): (usize, &Entry)| PlannedEntry {
        path: entry.path.clone(),
        what: match &entry.kind {
            EntryKind::Directory => EntrySource::Directory,
            EntryKind::File { .. } | EntryKind::Fifo => EntrySource::Template { index },
            EntryKind::HardLink { target } => EntrySource::HardLink { target: target.clone() },
            EntryKind::Symlink { target } => EntrySource::Symlink { target: target.clone() },
        },
        mode: entry.mode,
        owner: entry.owner,
    };
    entries.iter().enumerate().map(planned).collect()
}

/// The entries that `assemble` would make: the artifact, its hard links, and the files beside it.
pub(super) fn placed(
    placement: &Placement,
    added: &[AddedFile],
) -> Result<Vec<PlannedEntry>, InvalidImagePath> {
    let entry = |path: ImagePath, what, mode| PlannedEntry { path, what, mode, owner: placement.owner };
    let mut entries = vec![entry(placement.artifact.clone(), EntrySource::Artifact, placement.artifact_mode)];
    for link in &placement.hard_links {
        let what = EntrySource::HardLink { target: placement.artifact.clone() };
        entries.push(entry(link.clone(), what, placement.artifact_mode));
    }
    for (index, file) in added.iter().enumerate() {
        if is_absolute_directory(file) {
            continue;
        }
        let path = match &file.destination {
            AddedDestination::Beside(relative) => placement.beside.join(relative)?,
            AddedDestination::Absolute(path) => path.clone(),
        };
        let (what, mode) = added_entry(index, &file.content, placement);
        entries.push(entry(path, what, mode));
    }
    entries.extend(base_directories::entries(added));
    Ok(entries)
}

/// Added files with absolute paths, which `assemble` does not know.
pub(super) fn absolute(placement: &Placement, added: &[AddedFile]) -> Vec<PlannedEntry> {
    let mut entries = Vec::new();
    for (index, file) in added.iter().enumerate() {
        if let AddedDestination::Absolute(path) = &file.destination
            && !is_absolute_directory(file)
        {
            let (what, mode) = added_entry(index, &file.content, placement);
            entries.push(PlannedEntry { path: path.clone(), what, mode, owner: placement.owner });
        }
    }
    entries.extend(base_directories::entries(added));
    entries
}

/// The files of `src`: the artifact, then the files beside it.
pub(super) fn sources(name: &str, placement: &Placement, added: &[AddedFile]) -> Vec<PlannedSource> {
    let artifact =
        PlannedSource { path: name.to_owned(), what: EntrySource::Artifact, mode: placement.artifact_mode };
    let mut sources = vec![artifact];
    for (index, file) in added.iter().enumerate() {
        if let AddedDestination::Beside(relative) = &file.destination {
            let (what, mode) = added_entry(index, &file.content, placement);
            sources.push(PlannedSource { path: relative.clone(), what, mode });
        }
    }
    sources
}

/// A directory with an absolute path may be the base's (`/etc`), and an entry would change its owner. The files in it create
/// it if it is missing.
fn is_absolute_directory(file: &AddedFile) -> bool {
    matches!((&file.destination, &file.content), (AddedDestination::Absolute(_), AddedContent::Directory))
}

fn added_entry(index: usize, content: &AddedContent, placement: &Placement) -> (EntrySource, u32) {
    match content {
        AddedContent::Directory => (EntrySource::Directory, placement.directory_mode),
        AddedContent::File { executable: true, .. } => {
            (EntrySource::Added { index }, placement.executable_mode)
        }
        AddedContent::File { executable: false, .. } => (EntrySource::Added { index }, placement.file_mode),
        AddedContent::Symlink { target } => (EntrySource::Symlink { target: target.clone() }, 0o777),
    }
}
