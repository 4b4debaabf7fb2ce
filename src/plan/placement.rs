//! Owns the placement of one artifact: source, mode and owner of each entry of the new layer.
//!
//! Must not read files: modes follow from the kind of file, owners from the template.

use super::{EntrySource, PlannedEntry, PlannedSource, base_directories};
use crate::base_files::{CERTIFICATES, TIME_ZONES};
use crate::builder::{Choice, Placement, Places, TREE_DIRECTORY};
use crate::image::ImagePath;
use crate::image::layer::{Entry, EntryKind, Owner};
use crate::image::path::InvalidImagePath;
use crate::input::{AddedContent, AddedDestination, AddedFile, Artifact};

/// The mode of all symbolic links.
const LINK_MODE: u32 = 0o777;

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

/// The entries that `assemble` would make: the artifact, its links, and the files beside it. An artifact that came with a
/// tree keeps its path in the tree, and `binary` is a link to it.
pub(super) fn placed(
    placement: &Placement,
    artifact: &Artifact,
) -> Result<Vec<PlannedEntry>, InvalidImagePath> {
    let added = &artifact.added;
    let entry = |path: ImagePath, what, mode| PlannedEntry { path, what, mode, owner: placement.owner };
    let places = Places::new(&placement.artifact, &placement.beside, artifact.tree_path.as_deref())?;
    let mut entries = vec![entry(places.artifact.clone(), EntrySource::Artifact, placement.artifact_mode)];
    if artifact.tree_path.is_some() {
        entries.push(entry(places.top.clone(), EntrySource::Directory, placement.directory_mode));
        let target = link_text(&placement.artifact, &places.artifact);
        entries.push(entry(placement.artifact.clone(), EntrySource::Symlink { target }, LINK_MODE));
    }
    for link in &placement.hard_links {
        let what = EntrySource::HardLink { target: places.artifact.clone() };
        entries.push(entry(link.clone(), what, placement.artifact_mode));
    }
    for (index, file) in added.iter().enumerate() {
        if is_absolute_directory(file) {
            continue;
        }
        let path = match &file.destination {
            AddedDestination::Beside(relative) => places.top.join(relative)?,
            AddedDestination::Absolute(path) => path.clone(),
        };
        let (what, mode) = added_entry(index, &file.content, placement);
        entries.push(entry(path, what, mode));
    }
    entries.extend(base_directories::entries(added));
    Ok(entries)
}

/// The files that b2i brings along for a base without them. A file of the user has precedence.
pub(super) fn base_files(choice: &Choice, added: &[AddedFile]) -> Vec<PlannedEntry> {
    let is_added = |path: &ImagePath| {
        added.iter().any(|file| match &file.destination {
            // A file that the user adds in place of a needed directory leaves no room either.
            AddedDestination::Absolute(absolute) => {
                absolute.is_within(path)
                    || (!matches!(file.content, AddedContent::Directory) && path.is_within(absolute))
            }
            AddedDestination::Beside(_) => false,
        })
    };
    let needs = [
        (choice.needs_certificates(), CERTIFICATES, EntrySource::Certificates, 0o644),
        (choice.needs_time_zones(), TIME_ZONES, EntrySource::TimeZones, 0o755),
    ];
    let entries =
        needs.into_iter().filter(|(needed, ..)| *needed).map(|(_, path, what, mode)| PlannedEntry {
            path: ImagePath::new(path).expect("a constant, absolute path"),
            what,
            mode,
            owner: Owner::ROOT,
        });
    entries.filter(|entry| !is_added(&entry.path)).collect()
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

/// The text of a link at `link` to `target`: relative if the target is below the link's directory.
fn link_text(link: &ImagePath, target: &ImagePath) -> String {
    let directory = link.parent().map(|parent| format!("{parent}/")).unwrap_or_default();
    target.as_str().strip_prefix(&directory).unwrap_or(target.as_str()).to_owned()
}

/// The artifact's path below `src`. `name` is its file name. A template's script finds its tree in the directory in which
/// it places the tree. A builder image gets the tree as S2I would upload it.
pub(super) fn source_path(name: &str, artifact: &Artifact, is_template: bool) -> String {
    match artifact.tree_path.as_deref() {
        None => name.to_owned(),
        Some(path) => below_src(path, artifact, is_template),
    }
}

fn below_src(path: &str, artifact: &Artifact, is_template: bool) -> String {
    match artifact.tree_path.is_some() && is_template {
        true => format!("{TREE_DIRECTORY}/{path}"),
        false => path.to_owned(),
    }
}

/// The files of `src`: the artifact, whose file name is `name`, then the files beside it.
pub(super) fn sources(
    name: &str,
    placement: &Placement,
    artifact: &Artifact,
    is_template: bool,
) -> Vec<PlannedSource> {
    let of = |path: &str, what, mode| PlannedSource { path: path.to_owned(), what, mode };
    let path = source_path(name, artifact, is_template);
    let mut sources = vec![of(&path, EntrySource::Artifact, placement.artifact_mode)];
    if artifact.tree_path.is_some() && is_template {
        sources.push(of(TREE_DIRECTORY, EntrySource::Directory, placement.directory_mode));
    }
    for (index, file) in artifact.added.iter().enumerate() {
        if let AddedDestination::Beside(relative) = &file.destination {
            let (what, mode) = added_entry(index, &file.content, placement);
            sources.push(of(&below_src(relative, artifact, is_template), what, mode));
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
        AddedContent::Symlink { target } => (EntrySource::Symlink { target: target.clone() }, LINK_MODE),
    }
}
