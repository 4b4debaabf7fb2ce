//! Owns the scripts of a source build that come from outside of the builder: their origins and their bytes.
//!
//! For each script, the first place that has it: what the user names (`--scripts-url`), then the sources themselves
//! (`.s2i/bin`, before that `.sti/bin`). Must not download, nor know the builder.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::{SourceTree, TreeEntryKind};
use crate::image::ImagePath;
use crate::image::layer::{Content, Entry, EntryKind, Owner};

/// Directories of the sources that may hold scripts, newest first.
pub const SOURCE_SCRIPTS: [&str; 2] = [".s2i/bin", ".sti/bin"];

/// Scripts that come from outside of the builder, for each of S2I's names.
pub const NAMES: [&str; 3] = ["assemble", "run", "save-artifacts"];

/// Where a script comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum ScriptOrigin {
    /// A download.
    Url {
        /// The URL without user name, password and query.
        url: String,
    },
    /// A file of this machine.
    File {
        /// Its path.
        path: PathBuf,
    },
    /// The sources themselves.
    Sources {
        /// Its path in them.
        path: String,
    },
    /// The builder image.
    Image,
}

impl fmt::Display for ScriptOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url } => formatter.write_str(url),
            Self::File { path } => write!(formatter, "{}", path.display()),
            Self::Sources { path } => write!(formatter, "{path} of the sources"),
            Self::Image => formatter.write_str("the builder image"),
        }
    }
}

/// A script from outside of the builder image.
#[derive(Clone)]
pub struct ScriptFile {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub origin: ScriptOrigin,
    /// Its size in bytes.
    pub size: u64,
    /// Its bytes.
    pub content: Arc<dyn Content>,
}

/// The scripts from outside of the builder, and where the user says that the builder's own are.
#[derive(Clone, Default)]
pub struct ScriptFiles {
    /// Those at the place that the user named.
    pub named: Vec<ScriptFile>,
    /// A directory of the builder image that the user named: every script is there.
    pub directory: Option<ImagePath>,
    /// Those of the sources.
    pub of_sources: Vec<ScriptFile>,
}

impl ScriptFiles {
    /// Takes the scripts out of the sources, as S2I does.
    pub fn take_from(tree: &mut SourceTree) -> Vec<ScriptFile> {
        let mut taken = Vec::new();
        for name in NAMES.into_iter().chain(["assemble-runtime"]) {
            for directory in SOURCE_SCRIPTS {
                let path = format!("{directory}/{name}");
                let Some(index) = tree.entries.iter().position(|entry| entry.path == path) else { continue };
                let TreeEntryKind::File { size, content } = &tree.entries[index].kind else { continue };
                let script = ScriptFile {
                    name: name.to_owned(),
                    origin: ScriptOrigin::Sources { path },
                    size: *size,
                    content: content.clone(),
                };
                tree.entries.remove(index);
                if !taken.iter().any(|earlier: &ScriptFile| earlier.name == name) {
                    taken.push(script);
                }
            }
        }
        taken
    }

    /// The script of this name from outside of the image, if one is to be used.
    pub fn file(&self, name: &str) -> Option<&ScriptFile> {
        let named = self.named.iter().find(|script| script.name == name);
        named.or_else(|| match self.directory {
            Some(_) => None,
            None => self.of_sources.iter().find(|script| script.name == name),
        })
    }

    /// What is uploaded of those that are used, with the directory they go to; nothing if all are the image's.
    pub fn entries(&self, names: &[&str], destination: &ImagePath, owner: Owner) -> Vec<Entry> {
        let directory = scripts_directory(destination);
        let files: Vec<Entry> = names
            .iter()
            .filter_map(|name| self.file(name))
            .map(|script| Entry {
                path: directory.join(&script.name).expect("script names are plain words"),
                kind: EntryKind::File { size: script.size, content: script.content.clone() },
                mode: 0o755,
                owner,
            })
            .collect();
        if files.is_empty() {
            return files;
        }
        let directory = Entry { path: directory, kind: EntryKind::Directory, mode: 0o755, owner };
        std::iter::once(directory).chain(files).collect()
    }
}

/// Where scripts from outside go.
pub fn scripts_directory(destination: &ImagePath) -> ImagePath {
    destination.join("scripts").expect("a plain word")
}
