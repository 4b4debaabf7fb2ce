//! Owns the observations in the layers of an image, which is not unpacked anywhere: from the highest layer to the lowest,
//! without the paths that a layer above replaces or removes.
//!
//! Must not recognise anything; `mod.rs` does. Source: OCI image spec v1.1 "layer.md", whiteouts.

use std::collections::BTreeSet;
use std::io::{self, Read};

use super::{Collector, Observations, is_library, is_library_folder};
use crate::builder::error::BuilderError;

const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// Reads the tars of layers, the highest first. Each is read to its end, so that a cache may keep it.
///
/// # Errors
/// [`BuilderError::Observation`] if a layer cannot be read, is not a tar, or if the layers together have more names than any real image.
pub fn observe_layers<R: Read>(
    layers: impl IntoIterator<Item = io::Result<R>>,
) -> Result<Observations, BuilderError> {
    let mut collector = Collector { above: Some(Hidden::default()), ..Collector::default() };
    for layer in layers {
        let read = layer.and_then(|mut tar| {
            collector.read(&mut tar)?;
            io::copy(&mut tar, &mut io::sink())
        });
        read.map_err(|error| BuilderError::Observation(error.to_string()))?;
        if let Some(above) = &mut collector.above {
            above.end_layer();
        }
    }
    Ok(collector.observations)
}

/// The paths that higher layers hide in the current layer.
#[derive(Default)]
pub(super) struct Hidden {
    /// Removed paths, and paths with an entry that may matter.
    paths: BTreeSet<String>,
    /// Directories without the content of lower layers.
    opaque: BTreeSet<String>,
    /// The paths that the current layer hides in lower layers. A layer does not hide its own entries.
    new_paths: Vec<String>,
    new_opaque: Vec<String>,
}

impl Hidden {
    /// Notes an entry of the layer that is read. Returns whether it is visible, and the size of the names that are now stored.
    pub(super) fn take(&mut self, folder: &str, name: &str, path: &str) -> (bool, usize) {
        let size = path.len() + 64;
        if name == OPAQUE {
            self.new_opaque.push(folder.to_owned());
            return (false, size);
        }
        if let Some(removed) = name.strip_prefix(WHITEOUT) {
            self.new_paths.push(if folder.is_empty() {
                removed.into()
            } else {
                format!("{folder}/{removed}")
            });
            return (false, size);
        }
        if self.hides(path) {
            return (false, 0);
        }
        if !matters(folder, name) {
            return (true, 0);
        }
        self.new_paths.push(path.to_owned());
        (true, size)
    }

    fn hides(&self, path: &str) -> bool {
        let mut rest = path;
        if self.paths.contains(rest) {
            return true;
        }
        while let Some((parent, _)) = rest.rsplit_once('/') {
            if self.paths.contains(parent) || self.opaque.contains(parent) {
                return true;
            }
            rest = parent;
        }
        self.opaque.contains("")
    }

    fn end_layer(&mut self) {
        self.paths.extend(self.new_paths.drain(..));
        self.opaque.extend(self.new_opaque.drain(..));
    }
}

/// Whether an observation may depend on a file with this path.
fn matters(folder: &str, name: &str) -> bool {
    folder.ends_with("bin")
        || name == "release"
        || name.contains("catalina")
        || (is_library_folder(folder) && is_library(name))
}
