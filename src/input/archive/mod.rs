//! Owns finding the artifact in an archive: recognise the archive by its content, list it, extract one member.
//! Must not unpack anything else to the disk, except with `--keep-tree`.

mod error;
mod extract;
mod format;
mod list;
mod members;
mod tar;
mod tree;
mod zip;

#[cfg(test)]
mod tests;

use std::path::Path;

use super::artifact::FileContent;
use super::name::artifact_name;
use super::neighbours::needs;
use super::spool::{SpoolFile, spool};
use super::tree::Tree;
use super::{InputError, InputFile, InputOptions};
use crate::blocking::Stop;
use crate::fs::unpack::member_path;
pub use error::ArchiveError;
use format::Format;
pub(in crate::input) use list::{Listing, NPM_MANIFEST};
use members::Archive;
pub(crate) use tree::UnpackedTree;
pub(super) use tree::{resolve, unpack_sources};

/// The artifact, and its tree if files of its archive come along.
pub(super) struct Contents {
    pub(super) artifact: InputFile,
    pub(super) tree: Option<Tree>,
    /// The number of files that do not come along. Documents do not count.
    pub(super) left_out: u64,
    /// Whether the archive has programs for other platforms, too.
    pub(super) has_other_platforms: bool,
}

impl Contents {
    pub(super) fn alone(artifact: InputFile) -> Self {
        Self { artifact, tree: None, left_out: 0, has_other_platforms: false }
    }
}

/// Finds the artifact in `file`. A file that is not an archive is the artifact itself.
///
/// `shown` is the name of the input in messages. Temporary files go to `directory`.
pub(super) fn find_artifact(
    file: InputFile,
    shown: &str,
    options: &InputOptions,
    directory: &Path,
    stop: &Stop,
) -> Result<Contents, InputError> {
    let Some(format) = format::recognise(&file.content, &file.name, shown)? else {
        let archive_options = [("--path", options.member_path.is_some()), ("--keep-tree", options.keep_tree)];
        return match archive_options.into_iter().find(|(_, is_set)| *is_set) {
            Some((option, _)) => Err(ArchiveError::NotAnArchive { shown: shown.to_owned(), option }.into()),
            None => Ok(Contents::alone(file)),
        };
    };
    let archive = Archive::new(&file, format, shown, options, stop);
    let contents = match format {
        Format::Single(_) => single_file(&archive, &file.name, directory)?,
        Format::Tar(_) | Format::Zip => in_archive(&archive, options, directory)?,
    };
    check_unchanged(&file.content)?;
    Ok(contents)
}

/// Refuses an archive that was written to while it was read.
fn check_unchanged(content: &FileContent) -> Result<(), InputError> {
    let changed = content.changed();
    if changed.map_err(|error| InputError::read(content.path(), error))? {
        return Err(InputError::Changed { path: content.path().to_owned() });
    }
    Ok(())
}

fn single_file(archive: &Archive, name: &str, directory: &Path) -> Result<Contents, ArchiveError> {
    let file = spool(&mut archive.open()?, directory, archive.max_bytes, |_| archive.stop.check());
    let file = file.map_err(|error| extract::spool_error(archive, "", error))?;
    Ok(Contents::alone(input_file(&format::single_name(name), file)))
}

fn in_archive(archive: &Archive, options: &InputOptions, directory: &Path) -> Result<Contents, InputError> {
    let listing = Listing::of(archive, options.platform.as_ref())?;
    let mut contents = chosen_of(archive, &listing, options, directory)?;
    contents.has_other_platforms = listing.has_other_platforms();
    Ok(contents)
}

fn chosen_of(
    archive: &Archive,
    listing: &Listing,
    options: &InputOptions,
    directory: &Path,
) -> Result<Contents, InputError> {
    if options.treat_as.is_none() && options.member_path.is_none() {
        refuse_source_tree(archive, listing)?;
    }
    let choice = match &options.member_path {
        Some(path) => member_path(path).map_err(|error| ArchiveError::NoSuchMember {
            shown: archive.shown.clone(),
            path: path.clone(),
            reason: error.to_string(),
        })?,
        None => listing.choose(&archive.shown)?.to_owned(),
    };
    let missing = |reason| ArchiveError::NoSuchMember {
        shown: archive.shown.clone(),
        path: choice.clone(),
        reason: format!("{reason}; {}", listing.inside()),
    };
    if options.keep_tree || listing.starts_distribution(&choice) {
        return Ok(tree::unpack(archive, listing, &choice, directory)?.map_err(missing)?);
    }
    let file = extract::extract(archive, &choice, directory)?.map_err(missing)?;
    let artifact = input_file(&choice, file);
    let names_files = needs::names_files(artifact.size, &artifact.content);
    if listing.has_mark() || names_files.map_err(|error| archive.read_error(&error))? {
        return Ok(tree::unpack_needed(archive, listing, &choice, directory)?.map_err(missing)?);
    }
    Ok(Contents { left_out: listing.programs_files(&choice), ..Contents::alone(artifact) })
}

fn refuse_source_tree(archive: &Archive, listing: &Listing) -> Result<(), InputError> {
    let Some(file) = listing.source_tree() else { return Ok(()) };
    Err(InputError::SourceTree {
        shown: archive.shown.clone(),
        build_file: file.name,
        build_system: file.system,
        archive: true,
    })
}

fn input_file(path: &str, SpoolFile { file, digest, size }: SpoolFile) -> InputFile {
    let name = artifact_name(path);
    InputFile { name, size, sha256: Some(digest), content: FileContent::temporary(file) }
}
