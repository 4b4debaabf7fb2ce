//! Owns the first pass over an archive: which members could be the artifact, and what else there is.
//!
//! Keeps only what it needs to decide and to explain; its memory does not grow with the archive.

use std::collections::BTreeSet;
use std::io::Read;

use super::super::candidates::{HEAD_BYTES, candidate};
use super::error::ArchiveError;
use super::format::is_archive_head;
use super::members::{Archive, Flow, MemberKind};
use crate::detect::Strength;
use crate::fs::unpack::UnpackError;

const MAX_NAMES: usize = 10_000;
const MAX_SHOWN: usize = 10;

/// What an archive holds.
#[derive(Debug, Default)]
pub(super) struct Listing {
    artifacts: Candidates,
    companions: Candidates,
    scripts: Candidates,
    first_files: Vec<String>,
    files: u64,
    foreign: Option<(String, &'static str)>,
    nested: Option<String>,
    root: Root,
}

#[derive(Debug, Default)]
struct Candidates {
    first: Vec<(String, u64)>,
    total: u64,
}

impl Candidates {
    fn add(&mut self, path: &str, size: u64) {
        self.total += 1;
        if self.first.len() < MAX_SHOWN {
            self.first.push((path.to_owned(), size));
        }
    }
}

/// The names in the root, and in the one directory in it if there is nothing else.
#[derive(Debug, Default)]
struct Root {
    names: BTreeSet<String>,
    names_below: BTreeSet<String>,
}

impl Root {
    fn add(&mut self, path: &str, is_directory: bool) {
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        if first.is_empty() {
            return;
        }
        if self.names.len() < MAX_NAMES {
            self.names.insert(first.to_owned());
        }
        if rest.is_empty() && !is_directory {
            // A file in the root: there is no directory around everything.
            self.names.insert(String::new());
        }
        let below = rest.split('/').next().unwrap_or_default();
        if self.names.len() == 1 && !below.is_empty() && self.names_below.len() < MAX_NAMES {
            self.names_below.insert(below.to_owned());
        }
    }

    /// The one directory around everything.
    fn common(&self) -> Option<&str> {
        if self.names.len() == 1 { self.names.first().map(String::as_str) } else { None }
    }
}

impl Listing {
    /// Goes through `archive` once.
    pub(super) fn of(archive: &Archive) -> Result<Self, ArchiveError> {
        let mut listing = Self::default();
        archive.visit(&mut |member, reader| {
            listing.root.add(&member.path, member.kind == MemberKind::Directory);
            if member.kind == MemberKind::File {
                let mut head = Vec::with_capacity(HEAD_BYTES);
                let result = reader.take(HEAD_BYTES as u64).read_to_end(&mut head);
                result.map_err(|error| archive.read_error(&error))?;
                listing.add_file(archive, &member.path, member.size, &head)?;
            }
            Ok(Flow::Continue)
        })?;
        Ok(listing)
    }

    fn add_file(
        &mut self,
        archive: &Archive,
        path: &str,
        size: u64,
        head: &[u8],
    ) -> Result<(), ArchiveError> {
        self.files += 1;
        if self.first_files.len() < MAX_SHOWN {
            self.first_files.push(path.to_owned());
        }
        let candidates = match candidate(path, head).map(|candidate| candidate.strength) {
            Some(Strength::Artifact) => &mut self.artifacts,
            Some(Strength::Companion) => &mut self.companions,
            Some(Strength::Script) => &mut self.scripts,
            Some(Strength::Foreign) => {
                self.foreign.get_or_insert_with(|| (path.to_owned(), system(head)));
                return Ok(());
            }
            None => {
                if self.nested.is_none() && is_archive_head(path, head) {
                    self.nested = Some(path.to_owned());
                }
                return Ok(());
            }
        };
        if candidates.first.iter().any(|(known, _)| known == path) {
            let reason = "an earlier member has the same name";
            let refused = UnpackError::Refused { member: path.to_owned(), reason };
            return Err(ArchiveError::member(&archive.shown, refused));
        }
        candidates.add(path, size);
        Ok(())
    }

    /// The one directory that holds everything, if the archive is packed that way.
    pub(super) fn common_root(&self) -> Option<&str> {
        self.root.common()
    }

    /// The names that stand where a source tree has its build file.
    pub(super) fn top_level_names(&self) -> impl Iterator<Item = &str> {
        let names = if self.root.common().is_some() { &self.root.names_below } else { &self.root.names };
        names.iter().map(String::as_str)
    }

    /// The one member that is the artifact.
    pub(super) fn choose(&self, shown: &str) -> Result<&str, ArchiveError> {
        let strongest_first = [&self.artifacts, &self.companions, &self.scripts];
        let present = strongest_first.into_iter().find(|candidates| candidates.total > 0);
        let Some(candidates) = present else { return Err(self.nothing(shown)) };
        match candidates.first.as_slice() {
            [(path, _)] => Ok(path),
            several => Err(ArchiveError::Several {
                shown: shown.to_owned(),
                candidates: several.to_vec(),
                total: candidates.total,
            }),
        }
    }

    /// Says what the archive holds, for an error.
    pub(super) fn inside(&self) -> String {
        let shown: Vec<String> =
            self.first_files.iter().map(|path| format!("`{}`", path.escape_debug())).collect();
        let more = self.files.saturating_sub(shown.len() as u64);
        match (shown.is_empty(), more) {
            (true, _) => "it holds no files".to_owned(),
            (false, 0) => format!("it holds {}", shown.join(", ")),
            (false, more) => format!("it holds {} and {more} more", shown.join(", ")),
        }
    }

    fn nothing(&self, shown: &str) -> ArchiveError {
        let (reason, hint) = if let Some((path, system)) = &self.foreign {
            let reason = format!("`{}` is a {system} program", path.escape_debug());
            (reason, Some("use the archive that is published for Linux".to_owned()))
        } else if let Some(path) = &self.nested {
            let reason =
                format!("it holds another archive, `{}`; b2i looks into one only", path.escape_debug());
            (reason, Some("unpack the outer one and give b2i the inner one".to_owned()))
        } else {
            (self.inside(), Some("choose a file with `--path` if one of them is the artifact".to_owned()))
        };
        ArchiveError::Nothing { shown: shown.to_owned(), reason, hint }
    }
}

/// The system that a program of another system is for.
fn system(head: &[u8]) -> &'static str {
    if head.starts_with(b"MZ") { "Windows" } else { "macOS" }
}
