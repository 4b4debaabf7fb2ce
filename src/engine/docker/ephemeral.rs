//! Owns leaving ephemeral files out of a committed container. Must not leave them in an image that stays.

use std::fs::File;
use std::io;
use std::ops::Range;

use super::container::DockerContainer;
use crate::engine::ephemeral::left_out;
use crate::image::ImagePath;
use crate::store::archive::tar_entries;
use crate::store::daemon::{ContainerCommit, DaemonError};

impl DockerContainer {
    pub(super) async fn without_ephemeral(
        &self,
        committed: ContainerCommit,
    ) -> Result<ContainerCommit, DaemonError> {
        let ephemeral = self.ephemeral();
        if ephemeral.is_empty() {
            return Ok(committed);
        }
        let directory = self.spool_directory().join("ephemeral");
        let failed = |action| {
            let path = directory.clone();
            move |source| DaemonError::File { action, path, source }
        };
        std::fs::create_dir(&directory).map_err(failed("making the directory"))?;
        let choose = move |layer: &File| extents(layer, &ephemeral);
        let rest = self.daemon().leave_out(committed, self.lease(), &directory, choose).await;
        let removed = std::fs::remove_dir_all(&directory).map_err(failed("removing the directory"));
        let rest = rest?;
        removed?;
        Ok(rest)
    }
}

/// The ephemeral entries in the layer.
fn extents(layer: &File, ephemeral: &[ImagePath]) -> io::Result<Vec<Range<u64>>> {
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
