//! Owns unpacking for the fuzz targets. Must not start processes or namespaces.

use std::io::Read;
use std::path::Path;

use super::super::protocol::Identity;
use super::{tree, unpack};

/// Unpacks a tar to the directory `root` as a layer, or as files for a container.
pub fn unpack_as_layer(root: &Path, input: &mut dyn Read, is_layer: bool) -> Result<(), String> {
    let target = if is_layer { unpack::Target::Layer } else { unpack::Target::Container };
    let root = tree::open_directory(root).map_err(|fault| fault.because())?;
    let unpacked = unpack::unpack(root, "/", input, target, Identity::Single);
    unpacked.map(drop).map_err(|fault| format!("{}: {}", fault.action, fault.because()))
}
