//! Owns the S2I scripts from outside of the builder: their origins and bytes.
//!
//! The first origin that has a script is used: `--scripts-url`, then `.s2i/bin` and `.sti/bin` of the sources. Must not
//! download, nor know the builder.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SourceTree, TreeEntryKind};
use crate::image::ImagePath;
use crate::image::layer::{Content, Entry, EntryKind, Owner};

/// Directories of scripts in the sources, newest first.
pub const SOURCE_SCRIPTS: [&str; 2] = [".s2i/bin", ".sti/bin"];

pub const NAMES: [&str; 3] = ["assemble", "run", "save-artifacts"];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum ScriptOrigin {
    /// Without user name, password and query.
    Url { url: String },
    // A plan writes these beside the script's path in the container, so the key is another one.
    File {
        #[serde(rename = "file")]
        path: PathBuf,
    },
    Sources {
        #[serde(rename = "file")]
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

#[derive(Clone)]
pub struct ScriptFile {
    pub name: String,
    pub origin: ScriptOrigin,
    pub size: u64,
    pub content: Arc<dyn Content>,
}

#[derive(Clone, Default)]
pub struct ScriptFiles {
    /// A location from `--scripts-url`.
    pub named: Vec<ScriptFile>,
    /// The directory of all scripts in the builder image, from `--scripts-url image://…`.
    pub directory: Option<ImagePath>,
    pub of_sources: Vec<ScriptFile>,
}

impl ScriptFiles {
    /// Moves the scripts out of the sources, as S2I does.
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

    pub fn file(&self, name: &str) -> Option<&ScriptFile> {
        let named = self.named.iter().find(|script| script.name == name);
        named.or_else(|| match self.directory {
            Some(_) => None,
            None => self.of_sources.iter().find(|script| script.name == name),
        })
    }

    /// The entries of the scripts and their directory; empty if the image has all of them.
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

pub fn scripts_directory(destination: &ImagePath) -> ImagePath {
    destination.join("scripts").expect("a plain word")
}
