//! Owns which scripts a source build uses: where each comes from, and the bytes of those from outside of the builder.
//!
//! For each script, the first place that has it: what the user names (`--scripts-url`), the sources themselves
//! (`.s2i/bin`, before that `.sti/bin`), the builder image. Must not download or read directories; that is the road's.

use std::sync::Arc;

use crate::builder::BuilderError;
use crate::image::ImagePath;
use crate::image::layer::{Content, Entry, EntryKind, Owner};
use crate::plan::{PlannedScript, ScriptOrigin};
use crate::sources::{SourceTree, TreeEntryKind};

/// Directories of the sources that may hold scripts, newest first.
pub const SOURCE_SCRIPTS: [&str; 2] = [".s2i/bin", ".sti/bin"];

/// Scripts that come from outside of the builder, for each of S2I's names.
pub const NAMES: [&str; 3] = ["assemble", "run", "save-artifacts"];

/// A script from outside of the builder image.
#[derive(Clone)]
pub struct GivenScript {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub origin: ScriptOrigin,
    /// Its size in bytes.
    pub size: u64,
    /// Its bytes.
    pub content: Arc<dyn Content>,
}

/// What is known of scripts before the builder is asked.
#[derive(Clone, Default)]
pub struct GivenScripts {
    /// Those that the user named a place for.
    pub named: Vec<GivenScript>,
    /// A directory of the builder image that the user named: every script is there.
    pub directory: Option<ImagePath>,
    /// Those of the sources.
    pub of_sources: Vec<GivenScript>,
}

impl GivenScripts {
    /// Takes the scripts out of the sources, as S2I does.
    pub fn take_from(tree: &mut SourceTree) -> Vec<GivenScript> {
        let mut taken = Vec::new();
        for name in NAMES.into_iter().chain(["assemble-runtime"]) {
            for directory in SOURCE_SCRIPTS {
                let path = format!("{directory}/{name}");
                let Some(index) = tree.entries.iter().position(|entry| entry.path == path) else { continue };
                let TreeEntryKind::File { size, content } = &tree.entries[index].kind else { continue };
                let script = GivenScript {
                    name: name.to_owned(),
                    origin: ScriptOrigin::Sources { path },
                    size: *size,
                    content: content.clone(),
                };
                tree.entries.remove(index);
                if !taken.iter().any(|earlier: &GivenScript| earlier.name == name) {
                    taken.push(script);
                }
            }
        }
        taken
    }

    /// The script of this name from outside of the image, if one is to be used.
    pub fn given(&self, name: &str) -> Option<&GivenScript> {
        let named = self.named.iter().find(|script| script.name == name);
        named.or_else(|| match self.directory {
            Some(_) => None,
            None => self.of_sources.iter().find(|script| script.name == name),
        })
    }

    /// Decides where the script `name` is. Nothing if neither the user nor the sources have it and the builder has no
    /// directory of scripts, which is what `own` gives; it is asked only where it matters.
    ///
    /// # Errors
    /// What `own` gives.
    pub fn place(
        &self,
        name: &str,
        destination: &ImagePath,
        own: impl FnOnce() -> Result<Option<ImagePath>, BuilderError>,
    ) -> Result<Option<PlannedScript>, BuilderError> {
        let join = |directory: &ImagePath| directory.join(name).expect("script names are plain words");
        if let Some(script) = self.given(name) {
            let path = join(&scripts_directory(destination));
            return Ok(Some(PlannedScript { path, origin: script.origin.clone() }));
        }
        let directory = match &self.directory {
            Some(directory) => Some(directory.clone()),
            None => own()?,
        };
        Ok(directory.map(|directory| PlannedScript { path: join(&directory), origin: ScriptOrigin::Image }))
    }

    /// What is uploaded of those that are used, with the directory they go to; nothing if all are the image's.
    pub fn entries(&self, names: &[&str], destination: &ImagePath, owner: Owner) -> Vec<Entry> {
        let directory = scripts_directory(destination);
        let files: Vec<Entry> = names
            .iter()
            .filter_map(|name| self.given(name))
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
