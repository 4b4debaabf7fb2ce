//! Owns placing: planned entries and open handles become a layer. Must not start containers.

use std::sync::Arc;

use crate::base_files;
use crate::image::layer::{Content, Entry, EntryKind, InvalidLayer, Layer};
use crate::input::{AddedContent, Artifact};
use crate::plan::{EntrySource, PlannedEntry};

#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    pub artifact: &'a Artifact,
    /// The files of the template, in the order of the plan; empty for a builder image.
    pub template: &'a [Entry],
}

/// Makes the layer of `entries`. Writing the layer reads the artifact once, and computes the artifact's digest if it is
/// unknown.
pub fn layer(entries: &[PlannedEntry], inputs: Inputs<'_>, date: u64) -> Result<Layer, InvalidLayer> {
    let artifact =
        entries.iter().find(|entry| entry.what == EntrySource::Artifact).map(|entry| entry.path.clone());
    let layer = Layer::new(entries.iter().flat_map(|entry| layer_entries(entry, inputs)).collect(), date)?;
    Ok(match artifact {
        Some(path) if inputs.artifact.sha256.is_none() => layer.watching(path),
        _ => layer,
    })
}

/// The entries of a layer for a planned entry: one, or a directory with all its files.
pub(super) fn layer_entries(planned: &PlannedEntry, inputs: Inputs<'_>) -> Vec<Entry> {
    if planned.what == EntrySource::TimeZones {
        return base_files::time_zone_entries(&planned.path);
    }
    let kind = source_kind(&planned.what, inputs);
    vec![Entry { path: planned.path.clone(), kind, mode: planned.mode, owner: planned.owner }]
}

pub fn source_kind(what: &EntrySource, inputs: Inputs<'_>) -> EntryKind {
    match what {
        EntrySource::Directory | EntrySource::TimeZones => EntryKind::Directory,
        EntrySource::Certificates => base_files::certificates_entry().kind,
        EntrySource::HardLink { target } => EntryKind::HardLink { target: target.clone() },
        EntrySource::Symlink { target } => EntryKind::Symlink { target: target.clone() },
        EntrySource::Artifact => {
            let content: Arc<dyn Content> = Arc::new(inputs.artifact.content.clone());
            EntryKind::File { size: inputs.artifact.size, content }
        }
        EntrySource::Template { index } => {
            inputs.template.get(*index).map_or(EntryKind::Directory, |entry| entry.kind.clone())
        }
        EntrySource::Added { index } => match inputs.artifact.added.get(*index).map(|added| &added.content) {
            Some(AddedContent::File { content, size, .. }) => {
                EntryKind::File { size: *size, content: Arc::new(content.clone()) }
            }
            Some(AddedContent::Symlink { target }) => EntryKind::Symlink { target: target.clone() },
            Some(AddedContent::Directory) | None => EntryKind::Directory,
        },
    }
}
