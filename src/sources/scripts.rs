//! Owns the S2I scripts from outside of the builder: their origins and bytes.
//!
//! The first origin that has a script is used: `--scripts-url`, then `.s2i/bin` and `.sti/bin` of the sources, then the URL
//! of the builder image's label. Must not download, nor know the builder.

use std::fmt;
use std::io::Read as _;
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
    /// The URL without user name, password and query.
    Url { url: String },
    // A plan also has the script's path in the container, so this key has another name.
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
    /// Whether only a shell can start it; see [`needs_shell`].
    pub needs_shell: bool,
}

impl fmt::Debug for ScriptFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of {}", self.name, self.origin)
    }
}

impl ScriptFile {
    pub fn new(name: String, origin: ScriptOrigin, size: u64, content: Arc<dyn Content>) -> Self {
        let needs_shell = file_needs_shell(&*content);
        Self { name, origin, size, content, needs_shell }
    }
}

/// Bytes that tell how a script starts.
const HEAD: u64 = 256;

/// Whether only a shell can start the file; see [`needs_shell`].
pub fn file_needs_shell(content: &dyn Content) -> bool {
    let mut head = Vec::new();
    // A file that cannot be read is an error of its upload.
    let read = content.open().and_then(|reader| reader.take(HEAD).read_to_end(&mut head));
    read.is_ok() && needs_shell(&head)
}

/// Whether the kernel refuses to start a script with these first bytes, and a shell starts it. S2I starts every script from
/// a shell, which reads a file without a `#!` line itself. Shells take a file with a NUL in its first line for a program.
pub fn needs_shell(head: &[u8]) -> bool {
    let first_line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    !head.starts_with(b"#!") && !first_line.contains(&0)
}

#[derive(Clone, Default)]
pub struct ScriptFiles {
    /// A location from `--scripts-url`.
    pub named: Vec<ScriptFile>,
    /// The directory of all scripts in the builder image, from `--scripts-url image://…`.
    pub directory: Option<ImagePath>,
    pub of_sources: Vec<ScriptFile>,
    /// From the URL in the label of the builder image.
    pub of_builder: Vec<ScriptFile>,
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
                let origin = ScriptOrigin::Sources { path };
                let script = ScriptFile::new(name.to_owned(), origin, *size, content.clone());
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
            None => self.of_sources.iter().chain(&self.of_builder).find(|script| script.name == name),
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
