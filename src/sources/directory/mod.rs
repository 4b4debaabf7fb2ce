//! Owns walking a directory into a source tree.
//!
//! Must not leave the root: every path is opened through a handle of it (cap-std), so a link that appears during the walk
//! cannot lead elsewhere. Of a file's mode, only the owner's execute bit is used.

mod content;
mod links;

#[cfg(all(test, unix))]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirEntry};

use super::ignore::{DOCKER_IGNORE, IgnoreRules, Verdict};
use super::{SourceError, SourceOptions, TreeEntry, TreeEntryKind};
use crate::blocking::Stop;
use crate::detect::source_tree;
use crate::events::Events;
use links::{LinkPolicy, LinkTarget, follow, stays_inside};

/// Largest number of entries; they are held in memory.
const MAX_ENTRIES: usize = 2_000_000;
/// Longest path that Linux allows (`PATH_MAX`); a longer one could not be unpacked in a container.
const MAX_PATH_BYTES: usize = 4096;
/// Largest number of special files that a warning names.
const MAX_SHOWN: usize = 5;

/// A directory that cannot be left.
pub(super) struct Root {
    dir: Dir,
    shown: PathBuf,
}

impl Root {
    fn open(path: &Path) -> Result<Arc<Self>, SourceError> {
        let dir = Dir::open_ambient_dir(path, ambient_authority());
        let dir = dir.map_err(|source| SourceError::Read { path: path.to_owned(), source })?;
        Ok(Arc::new(Self { dir, shown: path.to_owned() }))
    }

    fn open_below(&self, inside: &str) -> Result<Dir, SourceError> {
        let inside = if inside.is_empty() { "." } else { inside };
        self.dir.open_dir(inside).map_err(|source| self.failed(inside, source))
    }

    fn failed(&self, inside: &str, source: std::io::Error) -> SourceError {
        SourceError::Read { path: self.shown.join(inside), source }
    }
}

pub(super) struct WalkRequest<'a> {
    pub(super) root: &'a Path,
    /// The name in messages.
    pub(super) shown: &'a str,
    /// Whether it is the user's own directory. Only its links may lead to other files of this machine.
    pub(super) is_own: bool,
    pub(super) options: &'a SourceOptions,
}

/// Lists the directory, or its context directory: sorted by path, without excluded entries.
pub(super) fn walk(
    request: &WalkRequest<'_>,
    events: &Events,
    stop: &Stop,
) -> Result<Vec<TreeEntry>, SourceError> {
    let mut root = Root::open(request.root)?;
    if let Some(context) = context_directory(request.options)? {
        root = open_context(&root, &context, request.shown)?;
    }
    let rules = IgnoreRules::read(&root.dir, request.shown, request.options)?;
    let links = match (request.options.follow_links, request.is_own) {
        (true, true) => LinkPolicy::Follow,
        (_, is_own) => LinkPolicy::Refuse { may_follow: is_own },
    };
    let mut walk =
        Walk { rules, links, stop, entries: Vec::new(), optional: BTreeSet::new(), skipped: Vec::new() };
    walk.run(root)?;
    walk.warn(events);
    let mut entries = walk.entries;
    entries.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    Ok(entries)
}

/// The context directory in normal form; `None` if it is the root.
pub(super) fn context_directory(options: &SourceOptions) -> Result<Option<String>, SourceError> {
    let Some(directory) = &options.context_directory else { return Ok(None) };
    let invalid = |reason| SourceError::ContextDirectory { directory: directory.clone(), reason };
    if directory.starts_with('/') || Path::new(directory).is_absolute() {
        return Err(invalid("it is absolute"));
    }
    let parts: Vec<&str> = directory.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err(invalid("it contains `..`"));
    }
    if parts.contains(&".git") || directory.contains('\0') {
        return Err(invalid("it is not a directory of the sources"));
    }
    Ok(Some(parts.join("/")).filter(|path| !path.is_empty()))
}

fn open_context(root: &Root, context: &str, shown: &str) -> Result<Arc<Root>, SourceError> {
    let missing = |reason: String| SourceError::NoContextDirectory {
        shown: shown.to_owned(),
        context: context.to_owned(),
        reason,
    };
    match root.dir.metadata(context) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(missing("it is not a directory".to_owned())),
        Err(error) => return Err(missing(error.to_string())),
    }
    Ok(Arc::new(Root { dir: root.open_below(context)?, shown: root.shown.join(context) }))
}

struct Walk<'a> {
    rules: IgnoreRules,
    links: LinkPolicy,
    stop: &'a Stop,
    entries: Vec<TreeEntry>,
    /// Directories that become entries only with an entry in them.
    optional: BTreeSet<String>,
    /// Sockets, pipes and devices.
    skipped: Vec<String>,
}

/// An entry during the walk.
struct Position {
    root: Arc<Root>,
    /// Its path below `root`.
    inside: String,
    /// Its path in the tree.
    path: String,
    /// The directories with the links that lead here, to find loops.
    ancestors: Arc<Vec<PathBuf>>,
}

impl Walk<'_> {
    fn run(&mut self, root: Arc<Root>) -> Result<(), SourceError> {
        // Not recursive: a tree may be deeper than the stack.
        let first = Position { root, inside: String::new(), path: String::new(), ancestors: Arc::default() };
        let mut pending = vec![first];
        while let Some(directory) = pending.pop() {
            let failed = |source| directory.root.failed(&directory.inside, source);
            let handle = directory.root.open_below(&directory.inside)?;
            for entry in handle.entries().map_err(failed)? {
                self.stop.check().map_err(|_| SourceError::Stopped)?;
                pending.extend(self.entry(&directory, &handle, &entry.map_err(failed)?)?);
            }
        }
        Ok(())
    }

    /// Adds one entry. Returns it if it is a directory to list.
    fn entry(
        &mut self,
        directory: &Position,
        handle: &Dir,
        entry: &DirEntry,
    ) -> Result<Option<Position>, SourceError> {
        let name = entry.file_name();
        let shown = || directory.root.shown.join(&directory.inside).join(&name);
        let kind = entry.file_type().map_err(|source| SourceError::Read { path: shown(), source })?;
        // No rule can name such an entry, only its directory.
        let Some(name) = name.to_str() else { return Err(SourceError::NotUtf8 { path: shown() }) };
        let (path, inside) = (join(&directory.path, name), join(&directory.inside, name));
        if path.len() > MAX_PATH_BYTES {
            return Err(SourceError::TooLong { path: shown(), limit: MAX_PATH_BYTES });
        }
        let verdict = self.rules.verdict(&path, kind.is_dir());
        if verdict == Verdict::Exclude {
            return Ok(None);
        }
        let (root, ancestors) = (Arc::clone(&directory.root), Arc::clone(&directory.ancestors));
        let position = Position { root, inside, path, ancestors };
        if kind.is_dir() {
            return self.directory(position, verdict).map(Some);
        }
        if kind.is_symlink() {
            return self.link(position, handle, name);
        }
        if kind.is_file() {
            let file = content::file(handle, name, &position.root, &position.inside)?;
            self.add(position.path, file)?;
        } else {
            self.skipped.push(position.path);
        }
        Ok(None)
    }

    fn directory(&mut self, position: Position, verdict: Verdict) -> Result<Position, SourceError> {
        match verdict {
            Verdict::SearchInside => drop(self.optional.insert(position.path.clone())),
            Verdict::Include | Verdict::Exclude => self.add(position.path.clone(), DIRECTORY)?,
        }
        Ok(position)
    }

    fn link(
        &mut self,
        position: Position,
        handle: &Dir,
        name: &str,
    ) -> Result<Option<Position>, SourceError> {
        let Position { root, inside, path, ancestors } = position;
        let shown = root.shown.join(&inside);
        let target = handle.read_link_contents(name).map_err(|source| root.failed(&inside, source))?;
        let Some(target) = target.to_str() else { return Err(SourceError::NotUtf8 { path: shown }) };
        let link = (TreeEntryKind::Symlink { target: target.to_owned() }, 0o777);
        // The path is relative to the link's own root: a directory behind a link is copied as a whole.
        if stays_inside(&inside, target) {
            return self.add(path, link).map(|()| None);
        }
        match follow(self.links, &shown, target, &ancestors)? {
            LinkTarget::Missing => self.add(path, link).map(|()| None),
            LinkTarget::Other => {
                self.skipped.push(path);
                Ok(None)
            }
            LinkTarget::File { parent, name } => {
                let root = Root::open(&parent)?;
                let file = content::file(&root.dir, &name, &root, &name)?;
                self.add(path, file).map(|()| None)
            }
            LinkTarget::Directory { path: real, ancestors } => {
                // The first verdict was for a link. Some rules apply only to directories.
                let verdict = self.rules.verdict(&path, true);
                let (root, ancestors) = (Root::open(&real)?, Arc::new(ancestors));
                self.directory(Position { root, inside: String::new(), path, ancestors }, verdict).map(Some)
            }
        }
    }

    fn add(&mut self, path: String, (kind, mode): (TreeEntryKind, u32)) -> Result<(), SourceError> {
        if self.entries.len() >= MAX_ENTRIES {
            return Err(SourceError::TooMany { limit: MAX_ENTRIES });
        }
        if !self.optional.is_empty() {
            for parent in path.match_indices('/').map(|(end, _)| &path[..end]) {
                if self.optional.remove(parent) {
                    let (kind, mode) = DIRECTORY;
                    self.entries.push(TreeEntry { path: parent.to_owned(), kind, mode });
                }
            }
        }
        self.entries.push(TreeEntry { path, kind, mode });
        Ok(())
    }

    fn warn(&self, events: &Events) {
        if self.skipped.is_empty() {
            return;
        }
        let names: Vec<String> =
            self.skipped.iter().take(MAX_SHOWN).map(|path| format!("`{}`", path.escape_debug())).collect();
        let more = self.skipped.len() - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let list = names.join(", ");
        events.warning(format!("skipping sockets, pipes and devices in the sources: {list}{more}"), None);
    }
}

const DIRECTORY: (TreeEntryKind, u32) = (TreeEntryKind::Directory, 0o755);

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

/// Warns if `.dockerignore` excludes the build file: it was probably written for another image.
pub(super) fn warn_of_docker_ignore(
    root: &Path,
    options: &SourceOptions,
    entries: &[TreeEntry],
    events: &Events,
) {
    let top = entries.iter().map(|entry| entry.path.as_str()).filter(|path| !path.contains('/'));
    if !options.docker_ignore || source_tree(top).is_some() {
        return;
    }
    let context = context_directory(options).ok().flatten().unwrap_or_default();
    let Ok(listing) = std::fs::read_dir(root.join(context)) else { return };
    let names: Vec<String> =
        listing.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok()).collect();
    if let Some(build_file) = source_tree(names.iter().map(String::as_str))
        && names.iter().any(|name| name == DOCKER_IGNORE)
    {
        events.warning(
            format!("`{DOCKER_IGNORE}` excludes `{}` from the sources", build_file.name),
            Some(format!("include it again with a line `!{}` in a file `.s2iignore`", build_file.name)),
        );
    }
}
