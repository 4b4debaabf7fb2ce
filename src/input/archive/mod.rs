//! Archives: recognised by content, listed once, and the one artifact taken out.
//!
//! Nothing is unpacked to disk but what was chosen; with `--keep-tree` that is everything.

mod error;
mod extract;
mod format;
mod list;
mod members;
mod sources;
mod tar;
mod tree;
mod zip;

#[cfg(test)]
mod tests;

use std::path::Path;

use super::artifact::{AddedFile, FileContent};
use super::name::{FALLBACK, safe_name};
use super::spool::{Spooled, Stop, spool};
use super::{Fetched, InputError, InputOptions};
use crate::detect::source_tree;
use crate::fs::unpack::member_path;
pub use error::ArchiveError;
use format::Format;
use list::Listing;
use members::Archive;
pub(crate) use sources::UnpackedTree;
pub(super) use sources::unpack_sources;

/// The artifact, and what came along with it.
pub(super) struct Found {
    pub(super) artifact: Fetched,
    pub(super) tree: Vec<AddedFile>,
}

/// Looks for the artifact in what was fetched. What is no archive is the artifact itself.
///
/// `shown` names the input in messages; `directory` is where temporary files go.
pub(super) fn find_artifact(
    fetched: Fetched,
    shown: &str,
    options: &InputOptions,
    directory: &Path,
    stop: &Stop,
) -> Result<Found, InputError> {
    let Some(format) = format::recognise(&fetched.content, &fetched.name, shown)? else {
        for (given, option) in [(options.member_path.is_some(), "--path"), (options.keep_tree, "--keep-tree")]
        {
            if given {
                return Err(ArchiveError::NotAnArchive { shown: shown.to_owned(), option }.into());
            }
        }
        return Ok(Found { artifact: fetched, tree: Vec::new() });
    };
    let archive = Archive {
        content: fetched.content.clone(),
        format,
        shown: shown.to_owned(),
        max_bytes: options.max_size,
        stop: stop.clone(),
    };
    let found = match format {
        Format::Single(_) => single_file(&archive, &fetched.name, directory)?,
        Format::Tar(_) | Format::Zip => in_archive(&archive, options, directory)?,
    };
    check_unchanged(&fetched.content)?;
    Ok(found)
}

/// Refuses an archive that was written to while it was read.
fn check_unchanged(content: &FileContent) -> Result<(), InputError> {
    let changed = content.changed();
    if changed.map_err(|error| InputError::read(content.path(), error))? {
        return Err(InputError::Changed { path: content.path().to_owned() });
    }
    Ok(())
}

fn single_file(archive: &Archive, name: &str, directory: &Path) -> Result<Found, ArchiveError> {
    let spooled = spool(&mut archive.open()?, directory, archive.max_bytes, |_| archive.stop.check());
    let spooled = spooled.map_err(|error| extract::spool_error(archive, "", error))?;
    Ok(Found { artifact: fetched(&format::single_name(name), spooled), tree: Vec::new() })
}

fn in_archive(archive: &Archive, options: &InputOptions, directory: &Path) -> Result<Found, InputError> {
    let listing = Listing::of(archive)?;
    if options.treat_as.is_none() && options.member_path.is_none() {
        refuse_source_tree(archive, &listing)?;
    }
    let chosen = match &options.member_path {
        Some(path) => member_path(path).map_err(|error| ArchiveError::NoSuchMember {
            shown: archive.shown.clone(),
            path: path.clone(),
            reason: error.to_string(),
        })?,
        None => listing.choose(&archive.shown)?.to_owned(),
    };
    let missing = |reason| ArchiveError::NoSuchMember {
        shown: archive.shown.clone(),
        path: chosen.clone(),
        reason: format!("{reason}; {}", listing.inside()),
    };
    if options.keep_tree {
        return Ok(tree::unpack(archive, &listing, &chosen, directory)?.map_err(missing)?);
    }
    let spooled = extract::extract(archive, &chosen, directory)?.map_err(missing)?;
    Ok(Found { artifact: fetched(&chosen, spooled), tree: Vec::new() })
}

fn refuse_source_tree(archive: &Archive, listing: &Listing) -> Result<(), InputError> {
    let Some(file) = source_tree(listing.top_level_names()) else { return Ok(()) };
    Err(InputError::SourceTree {
        shown: archive.shown.clone(),
        build_file: file.name,
        build_system: file.system.word(),
        archive: true,
    })
}

fn fetched(path: &str, spooled: Spooled) -> Fetched {
    Fetched {
        name: safe_name(path).unwrap_or_else(|| FALLBACK.to_owned()),
        size: spooled.size,
        sha256: Some(spooled.digest),
        content: FileContent::temporary(spooled.file),
    }
}
