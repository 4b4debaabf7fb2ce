//! Owns rejecting outputs that would replace an input. Must not write them.
//!
//! Compares paths only: a hard link is another file.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::fs::canonical_path;
use crate::input::InputSource;
use crate::request::Request;
use crate::sources::SourceLocation;
use crate::transport::Transport;

/// Compares outputs with inputs.
///
/// # Errors
/// [`Error::OwnInput`] for the first file in both.
pub(crate) fn check<'a>(
    request: &Request,
    outputs: impl IntoIterator<Item = &'a Transport>,
) -> Result<(), Error> {
    let read: Vec<PathBuf> = read_files(request).into_iter().map(canonical_path).collect();
    for output in outputs {
        if let Some(path) = output.replaced_file().filter(|path| read.contains(&canonical_path(path))) {
            return Err(Error::OwnInput { path: path.display().to_string() });
        }
    }
    Ok(())
}

/// The input files of a request.
fn read_files(request: &Request) -> Vec<&Path> {
    let mut sources: Vec<&InputSource> = request.artifacts.iter().collect();
    if let Some(options) = &request.source_build
        && let SourceLocation::Archive(archive) = &options.location
    {
        sources.push(archive);
    }
    let files = sources.into_iter().filter_map(|source| match source {
        InputSource::File(path) => Some(path.as_path()),
        InputSource::Stdin | InputSource::Url(_) => None,
    });
    files.chain(request.input.added.iter().map(|added| added.source.as_path())).collect()
}
