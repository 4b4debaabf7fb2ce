//! Owns what names sources, and how they are to be fetched.

use std::path::PathBuf;

use crate::input::{InputOptions, InputSource};

/// Where sources are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceLocation {
    /// A directory of this machine, as it is.
    Directory(PathBuf),
    /// A git repository.
    Git(GitLocation),
    /// An archive of sources: a file, a URL, or a tar on standard input.
    Archive(InputSource),
    /// No sources: the builder brings everything.
    Nothing,
}

/// A git repository at one of its commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitLocation {
    /// `https://…`, `ssh://…`, `git://…`, `file://…`, `user@host:path`, or a local path; as git takes it.
    pub repository: String,
    /// Branch, tag or commit; none means the remote's HEAD.
    pub reference: Option<String>,
}

/// How sources are fetched.
#[derive(Clone, Debug)]
pub struct SourceOptions {
    /// The directory in the tree that is built (`--context-dir`); none means its root.
    pub context_directory: Option<String>,
    /// Whether git submodules come along.
    pub submodules: bool,
    /// Paths (relative to the source root, `/` between components) that match this regular expression are left out;
    /// `.git` never comes along, whatever it says.
    pub exclude: Option<String>,
    /// Whether symbolic links that lead out of the tree are followed (their content is copied) rather than refused.
    /// Holds for somebody's own directory alone; a repository or archive may not name files of this machine.
    pub follow_links: bool,
    /// Whether `.dockerignore` counts. S2I knows `.s2iignore` alone, which always does.
    pub docker_ignore: bool,
    /// Downloads and archives.
    pub input: InputOptions,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            context_directory: None,
            submodules: true,
            exclude: None,
            follow_links: false,
            docker_ignore: true,
            input: InputOptions::default(),
        }
    }
}
