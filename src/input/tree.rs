//! Owns the tree of files that an artifact came with: a release in an archive, or a directory.
//! Must not choose the artifact.
//!
//! The tree stays whole and untouched in the image: every file keeps its path, its name and whether it is executable, and
//! links stay links. So a program finds its neighbours as if the release had been unpacked.

use std::io;
use std::path::Path;

use super::add::AddError;
use super::add::walk::{Modes, walk};
use super::artifact::{AddedContent, AddedDestination, AddedFile, FileContent};
use super::documents::is_document;
use super::neighbours::needs;
use crate::blocking::Stop;

/// The files around an artifact.
#[derive(Debug)]
pub(super) struct Tree {
    /// The artifact's path from the top of the tree.
    pub(super) artifact: String,
    /// All other files, with their paths from the top.
    pub(super) files: Vec<AddedFile>,
}

impl Tree {
    /// Everything below the directory `top`, in which `artifact` is a regular file.
    pub(super) fn below(top: &Path, artifact: &str, stop: &Stop) -> Result<Self, AddError> {
        let files = walk(top, Modes::Kept, stop)?
            .into_iter()
            .filter(|file| file.path != artifact)
            .map(|file| AddedFile { destination: AddedDestination::Beside(file.path), content: file.content })
            .collect();
        Ok(Self { artifact: artifact.to_owned(), files })
    }

    /// The number of files without documents.
    pub(super) fn programs_files(&self) -> u64 {
        let counts = |file: &&AddedFile| {
            matches!(file.content, AddedContent::File { .. }) && !is_document(&file.destination.to_string())
        };
        self.files.iter().filter(counts).count() as u64
    }

    /// The part of the tree that the artifact itself names, with the same paths.
    pub(super) fn needed(mut self, size: u64, content: &FileContent) -> io::Result<Self> {
        let needed = needs::needed(&self.files, (&self.artifact, size, content))?;
        self.files.retain(
            |file| matches!(&file.destination, AddedDestination::Beside(path) if needed.contains(path)),
        );
        // Directories come with what is in them.
        let has_file = self.files.iter().any(|file| !matches!(file.content, AddedContent::Directory));
        if !has_file {
            self.files.clear();
        }
        Ok(self)
    }
}
