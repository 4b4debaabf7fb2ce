//! Owns leaving ephemeral files out of a committed container. Must not leave them in an image that stays.

use std::fs::File;
use std::io;
use std::ops::Range;

use crate::engine::ephemeral::left_out;
use crate::image::ImagePath;
use crate::store::archive::tar_entries;

pub(super) fn ephemeral_extents(layer: &File, ephemeral: &[ImagePath]) -> io::Result<Vec<Range<u64>>> {
    let mut entries: Vec<(String, bool, Range<u64>)> = Vec::new();
    tar_entries(layer, |entry| {
        let path = format!("/{}", String::from_utf8_lossy(entry.path));
        // Only ephemeral paths and paths below them matter.
        let near = |one: &ImagePath| {
            path == one.as_str() || path.strip_prefix(one.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        if ephemeral.iter().any(near) {
            entries.push((path, entry.kind.is_dir(), entry.extent.clone()));
        }
    })?;
    let paths = entries.iter().map(|(path, is_directory, _)| (path.as_str(), *is_directory));
    let gone = left_out(ephemeral, paths);
    Ok(entries
        .iter()
        .filter(|(path, ..)| gone.contains(path.as_str()))
        .map(|entry| entry.2.clone())
        .collect())
}
