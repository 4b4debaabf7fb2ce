//! Owns the files around an artifact as a tree with symbolic links, as the kernel resolves paths in it.
//! Must not read the files.

use std::collections::BTreeMap;

use crate::image::ImagePath;
use crate::input::artifact::{AddedContent, AddedDestination, AddedFile};

/// The kernel's limit of links in one path.
const MOST_LINKS: usize = 40;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Directory,
    /// A regular file, by the number that the maker of the tree gave it.
    File(usize),
    Link(String),
}

/// Paths start at a root that may be any directory: no `/` at the beginning, empty for the root itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileTree {
    nodes: BTreeMap<String, Node>,
}

/// The file at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// Its path without links.
    pub(crate) path: String,
    pub(crate) node: Node,
    /// The links that led to it.
    pub(crate) links: Vec<String>,
}

impl FileTree {
    /// The files at their places in an image, those beside the artifact below `top`. The number of a file is its index.
    pub(crate) fn of_image(added: &[AddedFile], top: &ImagePath) -> Self {
        let mut tree = Self::default();
        for (number, file) in added.iter().enumerate() {
            let node = match &file.content {
                AddedContent::Directory => Node::Directory,
                AddedContent::File { .. } => Node::File(number),
                AddedContent::Symlink { target } => Node::Link(target.clone()),
            };
            tree.insert_at(&file.destination, top, node);
        }
        tree
    }

    /// Adds a file at a destination in an image, of which paths beside the artifact start at `top`.
    pub(crate) fn insert_at(&mut self, destination: &AddedDestination, top: &ImagePath, node: Node) {
        let path = match destination {
            AddedDestination::Beside(relative) => top.join(relative).ok(),
            AddedDestination::Absolute(path) => Some(path.clone()),
        };
        if let Some(path) = path {
            self.insert(path.as_str().trim_start_matches('/'), node);
        }
    }

    /// Adds a file, and its directories.
    pub(crate) fn insert(&mut self, path: &str, node: Node) {
        for (end, _) in path.match_indices('/') {
            self.nodes.entry(path[..end].to_owned()).or_insert(Node::Directory);
        }
        self.nodes.insert(path.to_owned(), node);
    }

    /// The file at `path` after all links. `path` may begin with `/`. `..` at the root stays there, as in a container.
    pub(crate) fn resolve(&self, path: &str) -> Option<Resolved> {
        let mut rest: Vec<String> = parts(path).rev().map(str::to_owned).collect();
        let mut current: Vec<String> = Vec::new();
        let mut links = Vec::new();
        while let Some(part) = rest.pop() {
            if part == ".." {
                current.pop();
                continue;
            }
            current.push(part);
            let path = current.join("/");
            match self.nodes.get(&path)? {
                Node::Directory => {}
                Node::File(_) if rest.is_empty() => {}
                Node::File(_) => return None,
                Node::Link(target) => {
                    if links.len() == MOST_LINKS {
                        return None;
                    }
                    links.push(path);
                    current.pop();
                    if target.starts_with('/') {
                        current.clear();
                    }
                    rest.extend(parts(target).rev().map(str::to_owned));
                }
            }
        }
        let path = current.join("/");
        let node = if path.is_empty() { Node::Directory } else { self.nodes.get(&path)?.clone() };
        Some(Resolved { path, node, links })
    }

    /// All paths below a directory, with what is there.
    pub(crate) fn below<'a>(&'a self, directory: &'a str) -> impl Iterator<Item = (&'a str, &'a Node)> {
        // All paths with one beginning are next to each other.
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let from = self.nodes.range(prefix.clone()..);
        from.map(|(path, node)| (path.as_str(), node)).take_while(move |(path, _)| path.starts_with(&prefix))
    }

    /// The paths of all files and links with this file name.
    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.nodes
            .iter()
            .filter(|(_, node)| **node != Node::Directory)
            .map(|(path, _)| path.as_str())
            .filter(move |path| path.rsplit('/').next() == Some(name))
    }
}

fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_resolved_as_the_kernel_does() {
        let mut tree = FileTree::default();
        tree.insert("app/versions/2/lib/x.so.1", Node::File(7));
        tree.insert("app/current", Node::Link("versions/2".into()));
        tree.insert("app/lib", Node::Link("/app/current/lib".into()));
        tree.insert("app/lib64", Node::Link("lib".into()));
        tree.insert("loop", Node::Link("loop".into()));
        tree.insert("out", Node::Link("../../etc".into()));
        for path in ["app/lib64/x.so.1", "/app/current/../2/lib/./x.so.1", "../app//lib/x.so.1"] {
            let found = tree.resolve(path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!((found.path.as_str(), found.node), ("app/versions/2/lib/x.so.1", Node::File(7)));
        }
        let links = tree.resolve("app/lib64/x.so.1").expect("there").links;
        assert_eq!(links, ["app/lib64", "app/lib", "app/current"]);
        assert_eq!(tree.resolve("").expect("the root").node, Node::Directory);
        for path in ["loop", "out", "app/versions/2/lib/x.so.1/y", "missing"] {
            assert_eq!(tree.resolve(path), None, "{path}");
        }
        let below: Vec<&str> = tree.below("app/versions").map(|(path, _)| path).collect();
        assert_eq!(below, ["app/versions/2", "app/versions/2/lib", "app/versions/2/lib/x.so.1"]);
        assert_eq!((tree.below("").count(), tree.below("ap").count()), (10, 0));
        assert_eq!(tree.named("x.so.1").collect::<Vec<_>>(), ["app/versions/2/lib/x.so.1"]);
    }
}
