//! Owns visiting the members of an archive of any format: in order, within limits, with checked names in normal form.
//! Must not know what a member is for.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use super::super::artifact::FileContent;
use super::super::{InputFile, InputOptions};
use super::error::ArchiveError;
use super::format::{Format, decompress};
use super::{tar, zip};
use crate::blocking::Stop;

/// More members than any real archive has.
pub(super) const MAX_MEMBERS: u64 = 250_000;

#[derive(Clone, Debug)]
pub(super) struct Archive {
    pub(super) content: FileContent,
    pub(super) format: Format,
    /// Its name in messages.
    pub(super) shown: String,
    /// The limit of unpacked bytes.
    pub(super) max_bytes: u64,
    pub(super) stop: Stop,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Its name in normal form; empty for the root itself.
    pub(super) path: String,
    pub(super) kind: MemberKind,
    /// The size that the archive states, in bytes.
    pub(super) size: u64,
    /// Whether its owner may execute it; `None` if the archive has no modes.
    pub(super) executable: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MemberKind {
    File,
    Directory,
    Symlink(String),
    /// Another name for an earlier member.
    HardLink(String),
    /// A device, pipe …
    Special(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    Stop,
}

/// A function that gets each member and a reader of its bytes.
pub(super) type Visitor<'a> = &'a mut dyn FnMut(&Member, &mut dyn Read) -> Result<Flow, ArchiveError>;

impl Archive {
    pub(super) fn new(
        file: &InputFile,
        format: Format,
        shown: &str,
        options: &InputOptions,
        stop: &Stop,
    ) -> Self {
        let (content, shown) = (file.content.clone(), shown.to_owned());
        Self { content, format, shown, max_bytes: options.max_size, stop: stop.clone() }
    }

    pub(super) fn visit(&self, visitor: Visitor<'_>) -> Result<(), ArchiveError> {
        let budget = Budget(Rc::new(Cell::new(Some(self.max_bytes))));
        let mut members = 0;
        let mut count = |member: &Member, reader: &mut dyn Read| {
            members += 1;
            if members > MAX_MEMBERS {
                return Err(ArchiveError::TooMany { shown: self.shown.clone(), limit: MAX_MEMBERS });
            }
            visitor(member, reader)
        };
        let result = match self.format {
            Format::Tar(compression) => tar::visit(self, compression, &budget, &mut count),
            Format::Zip => zip::visit(self, &budget, &mut count),
            Format::Single(_) => Ok(()),
        };
        // The limit is reached deep inside a decoder, which reports it in its own words.
        if budget.0.get().is_none() { Err(self.too_large()) } else { result }
    }

    /// Opens the bytes of a single-file archive.
    pub(super) fn open(&self) -> Result<Box<dyn Read>, ArchiveError> {
        let Format::Single(compression) = self.format else {
            return Err(ArchiveError::unreadable(&self.shown, "it is not a single file"));
        };
        decompress(&self.content, compression).map_err(|error| self.read_error(&error))
    }

    pub(super) fn too_large(&self) -> ArchiveError {
        ArchiveError::TooLarge { shown: self.shown.clone(), limit: self.max_bytes }
    }

    pub(super) fn read_error(&self, error: &io::Error) -> ArchiveError {
        ArchiveError::read(&self.shown, error)
    }
}

/// The number of decompressed bytes that may still be read, for all members together; `None` after the limit.
#[derive(Clone, Debug)]
pub(super) struct Budget(Rc<Cell<Option<u64>>>);

impl Budget {
    /// Wraps `inner` so that its bytes count.
    pub(super) fn reader<R: Read>(&self, inner: R, stop: &Stop) -> BudgetReader<R> {
        BudgetReader { inner, budget: self.clone(), stop: stop.clone() }
    }
}

/// Fails when the budget is used up, or when the work should stop.
pub(super) struct BudgetReader<R> {
    inner: R,
    budget: Budget,
    stop: Stop,
}

impl<R: Read> Read for BudgetReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stop.check()?;
        let count = self.inner.read(buffer)?;
        let left = self.budget.0.get().and_then(|left| left.checked_sub(count as u64));
        self.budget.0.set(left);
        left.map(|_| count).ok_or_else(|| io::Error::other("the size limit is reached"))
    }
}
