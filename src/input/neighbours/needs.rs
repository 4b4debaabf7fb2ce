//! Owns what an artifact itself names among the files of its tree: the Class-Path of a JAR, libraries in the run path of a
//! program, the directories of formats that are always spread over several. Must not know where the files come from.
//!
//! Source: JAR File Specification, "Class-Path attribute"; PyInstaller, "Bundling to One Folder"; Quarkus, fast-jar.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;

use super::files::{FileTree, Node};
use super::loader::Loader;
use crate::detect::{LinkedFile, class_path_jar, linked_file};
use crate::input::artifact::{AddedContent, AddedDestination, AddedFile, FileContent};

/// More JARs than any class path has.
const MOST_JARS: usize = 4096;
/// More entries than all their class paths have together.
const MOST_ENTRIES: usize = 100_000;

/// The mark of Quarkus' fast-jar beside its runner, and the directories that the runner loads.
const FAST_JAR: &str = "quarkus/quarkus-application.dat";
const FAST_JAR_DIRECTORIES: [&str; 3] = ["app", "lib", "quarkus"];
/// The directory of PyInstaller's folders, and the file in the folders of its versions before 6.
const PYINSTALLER: &str = "_internal";
const OLD_PYINSTALLER: &str = "base_library.zip";

/// Whether a file with this path in an archive belongs to a format whose programs name no file: all of it may be needed.
pub(in crate::input) fn is_mark(path: &str) -> bool {
    fast_jar(path).is_some()
        || before(path, OLD_PYINSTALLER).is_some()
        || path.split('/').any(|part| part == PYINSTALLER)
}

/// The directory of the runner of a Quarkus fast-jar, with `/` at its end, if the file at `path` is its mark.
pub(in crate::input) fn fast_jar(path: &str) -> Option<&str> {
    before(path, FAST_JAR)
}

/// The directory before `end`.
fn before<'a>(path: &'a str, end: &str) -> Option<&'a str> {
    path.strip_suffix(end).filter(|directory| directory.is_empty() || directory.ends_with('/'))
}

/// Whether an artifact names other files by itself, relative to its own place.
pub(in crate::input) fn names_files(size: u64, content: &FileContent) -> io::Result<bool> {
    if let Some(file) = linked_file(size, content.reader())? {
        let mut paths = file.inherited_path.iter().chain(&file.own_path);
        return Ok(!file.libraries.is_empty() && paths.any(|path| !path.starts_with('/')));
    }
    let jar = class_path_jar(size, content.reader(), "")?;
    Ok(jar.is_some_and(|jar| !jar.class_path.is_empty()))
}

/// The paths of the files in the tree that the artifact at `path` names, and those that these name in turn.
pub(in crate::input) fn needed(
    files: &[AddedFile],
    (path, size, content): (&str, u64, &FileContent),
) -> io::Result<BTreeSet<String>> {
    let mut search = Search { files, tree: FileTree::default(), needed: BTreeSet::new() };
    for (number, file) in files.iter().enumerate() {
        if let AddedDestination::Beside(path) = &file.destination {
            let node = match &file.content {
                AddedContent::Directory => Node::Directory,
                AddedContent::File { .. } => Node::File(number),
                AddedContent::Symlink { target } => Node::Link(target.clone()),
            };
            search.tree.insert(path, node);
        }
    }
    search.tree.insert(path, Node::File(files.len()));
    let beside = |name: &str| match path.rsplit_once('/') {
        Some((directory, _)) => format!("{directory}/{name}"),
        None => name.to_owned(),
    };
    match linked_file(size, content.reader())? {
        Some(program) => {
            search.take_libraries(path, program)?;
            search.take(&beside(PYINSTALLER));
            if search.tree.resolve(&beside(OLD_PYINSTALLER)).is_some() {
                search.take(path.rsplit_once('/').map_or("", |(directory, _)| directory));
            }
        }
        None => {
            search.take_class_path(path, size, content)?;
            if search.tree.resolve(&beside(FAST_JAR)).is_some() {
                FAST_JAR_DIRECTORIES.iter().for_each(|name| search.take(&beside(name)));
            }
        }
    }
    search.needed.remove(path);
    Ok(search.needed)
}

struct Search<'a> {
    files: &'a [AddedFile],
    tree: FileTree,
    needed: BTreeSet<String>,
}

impl Search<'_> {
    /// Takes what is at `path`, a directory with everything in it, and the links that lead there.
    fn take(&mut self, path: &str) {
        let mut queue = VecDeque::from([path.to_owned()]);
        while let Some(path) = queue.pop_front() {
            let Some(found) = self.tree.resolve(&path) else { continue };
            self.needed.extend(found.links);
            match found.node {
                Node::Directory => {
                    let below: Vec<String> = self
                        .tree
                        .below(&found.path)
                        .map(|(path, node)| {
                            if matches!(node, Node::Link(_)) && !self.needed.contains(path) {
                                queue.push_back(path.to_owned());
                            }
                            path.to_owned()
                        })
                        .collect();
                    self.needed.extend(below);
                    if !found.path.is_empty() {
                        self.needed.insert(found.path);
                    }
                }
                Node::File(_) => drop(self.needed.insert(found.path)),
                Node::Link(_) => {}
            }
        }
    }

    fn take_libraries(&mut self, path: &str, program: LinkedFile) -> io::Result<()> {
        let (files, mut failure) = (self.files, None);
        let mut read: BTreeMap<usize, Option<Arc<LinkedFile>>> = BTreeMap::new();
        let mut linked = |number: usize| {
            let of_file = || match files.get(number).map(|file| &file.content) {
                Some(AddedContent::File { content, size, .. }) => linked_file(*size, content.reader()),
                _ => Ok(None),
            };
            let file = read.entry(number).or_insert_with(|| match of_file() {
                Ok(file) => file.map(Arc::new),
                Err(error) => {
                    failure = Some(error);
                    None
                }
            });
            file.clone()
        };
        let mut loader = Loader {
            files: &self.tree,
            linked: &mut linked,
            library_path: Vec::new(),
            working_directory: "",
        };
        let found = loader.search(&format!("/{path}"), Arc::new(program)).found;
        self.needed.extend(found);
        failure.map_or(Ok(()), Err)
    }

    fn take_class_path(&mut self, path: &str, size: u64, content: &FileContent) -> io::Result<()> {
        let mut queue = VecDeque::from([(path.to_owned(), size, content.clone())]);
        let mut seen = BTreeSet::from([path.to_owned()]);
        let mut left = MOST_ENTRIES;
        while let Some((path, size, content)) = queue.pop_front() {
            let Some(jar) = class_path_jar(size, content.reader(), "")? else { continue };
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            for entry in jar.class_path.iter().filter(|entry| !entry.starts_with('/')).take(left) {
                left -= 1;
                let Some(found) = self.tree.resolve(&format!("{directory}/{entry}")) else { continue };
                if found.node == Node::Directory && !seen.insert(found.path.clone()) {
                    continue;
                }
                self.take(&format!("{directory}/{entry}"));
                let Node::File(number) = found.node else { continue };
                if let Some(AddedContent::File { content, size, .. }) =
                    self.files.get(number).map(|file| &file.content)
                    && seen.len() < MOST_JARS
                    && seen.insert(found.path.clone())
                {
                    queue.push_back((found.path, *size, content.clone()));
                }
            }
        }
        Ok(())
    }
}
