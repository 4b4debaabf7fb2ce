//! Owns walking a directory into a source tree.
//!
//! Every path is opened through a handle of the root (cap-std) that cannot be left; so links that are put in the way
//! meanwhile lead nowhere else. Takes no mode from the disk but whether the owner may execute a file. Contents are
//! opened when they are read, and refused if they are no longer what was found.

mod content;
mod links;

#[cfg(all(test, unix))]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirEntry};

use super::error::SourceError;
use super::ignore::{DOCKER_IGNORE, IgnoreRules, Verdict};
use super::location::SourceOptions;
use super::tree::{TreeEntry, TreeEntryKind};
use crate::blocking::Stop;
use crate::detect::source_tree;
use crate::events::Events;
use content::found_file;
use links::{Followed, LinkPolicy, follow, leads_inside};

/// More entries than a source tree has; they are held in memory.
const MAX_ENTRIES: usize = 2_000_000;
/// What systems allow; no longer path could be unpacked in a container.
const MAX_PATH_BYTES: usize = 4096;
/// Sockets and the like that a note names.
const MAX_SHOWN: usize = 5;

/// A directory that cannot be left.
pub(super) struct Root {
    dir: Dir,
    shown: PathBuf,
}

impl Root {
    /// Opens `path`.
    fn open(path: &Path) -> Result<Arc<Self>, SourceError> {
        let dir = Dir::open_ambient_dir(path, ambient_authority());
        let dir = dir.map_err(|source| SourceError::Read { path: path.to_owned(), source })?;
        Ok(Arc::new(Self { dir, shown: path.to_owned() }))
    }

    /// Opens the directory `inside` of it.
    fn open_below(&self, inside: &str) -> Result<Dir, SourceError> {
        let inside = if inside.is_empty() { "." } else { inside };
        self.dir.open_dir(inside).map_err(|source| self.failed(inside, source))
    }

    fn failed(&self, inside: &str, source: std::io::Error) -> SourceError {
        SourceError::Read { path: self.shown.join(inside), source }
    }
}

/// What is walked.
pub(super) struct WalkRequest<'a> {
    /// The directory.
    pub(super) root: &'a Path,
    /// How messages call it.
    pub(super) shown: &'a str,
    /// Whether links that lead out of it may be followed, should the options say so: only somebody's own directory
    /// may name files of this machine.
    pub(super) is_own: bool,
    pub(super) options: &'a SourceOptions,
}

/// Lists the directory, or the context directory in it: sorted by path, without what is left out.
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
        (_, is_own) => LinkPolicy::Refuse { is_own },
    };
    let mut walk =
        Walk { rules, links, stop, entries: Vec::new(), looked_into: BTreeSet::new(), left: Vec::new() };
    walk.everything(root)?;
    walk.tell(events);
    let mut entries = walk.entries;
    entries.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    Ok(entries)
}

/// The context directory in normal form; nothing if it is the root.
pub(super) fn context_directory(options: &SourceOptions) -> Result<Option<String>, SourceError> {
    let Some(given) = &options.context_directory else { return Ok(None) };
    let invalid = |reason| SourceError::ContextDirectory { given: given.clone(), reason };
    if given.starts_with('/') || Path::new(given).is_absolute() {
        return Err(invalid("it is absolute"));
    }
    let parts: Vec<&str> = given.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err(invalid("it contains `..`"));
    }
    if parts.contains(&".git") || given.contains('\0') {
        return Err(invalid("it is no directory of the sources"));
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
        Ok(_) => return Err(missing("it is no directory".to_owned())),
        Err(error) => return Err(missing(error.to_string())),
    }
    Ok(Arc::new(Root { dir: root.open_below(context)?, shown: root.shown.join(context) }))
}

struct Walk<'a> {
    rules: IgnoreRules,
    links: LinkPolicy,
    stop: &'a Stop,
    entries: Vec<TreeEntry>,
    /// Directories that come along only if something in them does.
    looked_into: BTreeSet<String>,
    /// Sockets and the like.
    left: Vec<String>,
}

/// A directory whose entries are still to be listed.
struct Pending {
    root: Arc<Root>,
    /// Its path below `root`.
    inside: String,
    /// Its path in the tree.
    path: String,
    /// Directories that it was reached from through links, to notice that it goes round in circles.
    followed: Arc<Vec<PathBuf>>,
}

impl Walk<'_> {
    fn everything(&mut self, root: Arc<Root>) -> Result<(), SourceError> {
        // Not recursive: a tree may be deeper than the stack.
        let first = Pending { root, inside: String::new(), path: String::new(), followed: Arc::default() };
        let mut pending = vec![first];
        while let Some(directory) = pending.pop() {
            let handle = directory.root.open_below(&directory.inside)?;
            let listing =
                handle.entries().map_err(|source| directory.root.failed(&directory.inside, source))?;
            for entry in listing {
                self.stop.check().map_err(|_| SourceError::Stopped)?;
                let entry = entry.map_err(|source| directory.root.failed(&directory.inside, source))?;
                pending.extend(self.entry(&directory, &handle, &entry)?);
            }
        }
        Ok(())
    }

    /// Takes one entry along, and gives the directory that is to be listed for it.
    fn entry(
        &mut self,
        directory: &Pending,
        handle: &Dir,
        entry: &DirEntry,
    ) -> Result<Option<Pending>, SourceError> {
        let name = entry.file_name();
        let place = || directory.root.shown.join(&directory.inside).join(&name);
        let kind = entry.file_type().map_err(|source| SourceError::Read { path: place(), source })?;
        let Some(name) = name.to_str() else {
            // What is left out may have any name; no rule can name this one but through its directory.
            return Err(SourceError::NotUtf8 { path: place() });
        };
        let (path, inside) = (join(&directory.path, name), join(&directory.inside, name));
        if path.len() > MAX_PATH_BYTES {
            return Err(SourceError::TooLong { path: place(), limit: MAX_PATH_BYTES });
        }
        let verdict = self.rules.verdict(&path, kind.is_dir());
        if verdict == Verdict::LeaveOut {
            return Ok(None);
        }
        let found = Found { root: &directory.root, followed: &directory.followed, inside, path, verdict };
        if kind.is_dir() {
            return self.directory(found).map(Some);
        }
        if kind.is_symlink() {
            return self.link(found, handle, name);
        }
        if kind.is_file() {
            let file = found_file(handle, name, found.root, &found.inside)?;
            self.add(found.path, file)?;
            return Ok(None);
        }
        self.left.push(found.path);
        Ok(None)
    }

    fn directory(&mut self, found: Found<'_>) -> Result<Pending, SourceError> {
        match found.verdict {
            Verdict::LookInside => drop(self.looked_into.insert(found.path.clone())),
            Verdict::Keep | Verdict::LeaveOut => self.add(found.path.clone(), directory_kind())?,
        }
        Ok(Pending {
            root: Arc::clone(found.root),
            inside: found.inside,
            path: found.path,
            followed: Arc::clone(found.followed),
        })
    }

    fn link(&mut self, found: Found<'_>, handle: &Dir, name: &str) -> Result<Option<Pending>, SourceError> {
        let place = found.root.shown.join(&found.inside);
        let target = handle.read_link_contents(name);
        let target = target.map_err(|source| SourceError::Read { path: place.clone(), source })?;
        let Some(target) = target.to_str() else { return Err(SourceError::NotUtf8 { path: place }) };
        let link = TreeEntryKind::Symlink { target: target.to_owned() };
        // Counted from where the link's own tree begins: a directory that was followed is copied as a whole.
        if leads_inside(&found.inside, target) {
            self.add(found.path, (link, 0o777))?;
            return Ok(None);
        }
        match follow(self.links, &place, target, found.followed)? {
            Followed::Nothing => self.add(found.path, (link, 0o777)).map(|()| None),
            Followed::Other => {
                self.left.push(found.path);
                Ok(None)
            }
            Followed::File { parent, name } => {
                let root = Root::open(&parent)?;
                let file = found_file(&root.dir, &name, &root, &name)?;
                self.add(found.path, file)?;
                Ok(None)
            }
            Followed::Directory { path: real, followed } => {
                // Rules that name directories did not know that it is one.
                let verdict = self.rules.verdict(&found.path, true);
                let (root, followed) = (Root::open(&real)?, Arc::new(followed));
                let inside = String::new();
                self.directory(Found { root: &root, followed: &followed, inside, path: found.path, verdict })
                    .map(Some)
            }
        }
    }

    fn add(&mut self, path: String, (kind, mode): (TreeEntryKind, u32)) -> Result<(), SourceError> {
        if self.entries.len() >= MAX_ENTRIES {
            return Err(SourceError::TooMany { limit: MAX_ENTRIES });
        }
        if !self.looked_into.is_empty() {
            let parents = path.match_indices('/').map(|(end, _)| &path[..end]);
            let needed: Vec<&str> = parents.filter(|parent| self.looked_into.contains(*parent)).collect();
            for parent in needed {
                self.looked_into.remove(parent);
                let (kind, mode) = directory_kind();
                self.entries.push(TreeEntry { path: parent.to_owned(), kind, mode });
            }
        }
        self.entries.push(TreeEntry { path, kind, mode });
        Ok(())
    }

    fn tell(&self, events: &Events) {
        if !self.left.is_empty() {
            let shown: Vec<String> =
                self.left.iter().take(MAX_SHOWN).map(|path| format!("`{}`", path.escape_debug())).collect();
            let more = self.left.len() - shown.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let list = shown.join(", ");
            events.warning(
                format!("sockets, pipes and devices are left out of the sources: {list}{more}"),
                None,
            );
        }
    }
}

/// An entry that is not left out.
struct Found<'a> {
    root: &'a Arc<Root>,
    followed: &'a Arc<Vec<PathBuf>>,
    inside: String,
    path: String,
    verdict: Verdict,
}

fn directory_kind() -> (TreeEntryKind, u32) {
    (TreeEntryKind::Directory, 0o755)
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

/// Warns if `.dockerignore` takes the file out that says how the tree is built: it was written for another image.
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
    let is_there = |name: &&str| *name == DOCKER_IGNORE;
    if let Some(build_file) = source_tree(names.iter().map(String::as_str))
        && names.iter().map(String::as_str).any(|name| is_there(&name))
    {
        events.warning(
            format!("`{DOCKER_IGNORE}` leaves `{}` out of the sources", build_file.name),
            Some(format!("bring it back with a line `!{}` in a file `.s2iignore`", build_file.name)),
        );
    }
}
