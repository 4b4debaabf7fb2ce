//! Owns the files that the user adds to the artifact (`--add SRC[:DEST]`), and their destinations.
//! Must not allow two files at one destination.

mod class_path;
mod error;
crate::text::as_text!(AddRequest);

#[cfg(test)]
mod tests;
pub(super) mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::ARTIFACT_NAME;
use super::artifact::{AddedContent, AddedDestination, AddedFile};
use crate::blocking::Stop;
use crate::fs::unpack::member_path;
use crate::image::ImagePath;
pub use class_path::{ClassSearch, MissingJars, find_class};
pub use error::AddError;

/// A file or directory to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddRequest {
    /// The file or directory.
    pub source: PathBuf,
    /// Absolute, or relative to the artifact's directory. With a trailing `/`, the source keeps its name in it. Without
    /// a destination, the source is placed next to the artifact.
    pub destination: Option<String>,
}

impl std::str::FromStr for AddRequest {
    type Err = AddError;

    /// Parses `SRC` or `SRC:DEST`, separated by the last colon. A SRC with a colon in its name needs another at its end.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (source, destination) = match text.rsplit_once(':') {
            Some((source, "")) => (source, None),
            Some((source, destination)) => (source, Some(destination.to_owned())),
            None => (text, None),
        };
        if source.is_empty() {
            return Err(AddError::Usage { text: text.to_owned(), reason: "SRC is empty" });
        }
        Ok(Self { source: PathBuf::from(source), destination })
    }
}

impl std::fmt::Display for AddRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.source.display(), self.destination.as_deref().unwrap_or_default())
    }
}

/// Finds the files of `requests`, each with its destination. `tree_path` is the artifact's path in its tree: relative
/// destinations start at its directory.
pub(super) fn resolve(
    requests: &[AddRequest],
    tree_path: Option<&str>,
    stop: &Stop,
) -> Result<Vec<AddedFile>, AddError> {
    let mut added = Vec::new();
    for request in requests {
        resolve_one(request, stop, &mut added)?;
    }
    if let Some((directory, _)) = tree_path.and_then(|path| path.rsplit_once('/')) {
        for file in &mut added {
            if let AddedDestination::Beside(path) = &mut file.destination {
                *path = format!("{directory}/{path}");
            }
        }
    }
    Ok(added)
}

fn resolve_one(request: &AddRequest, stop: &Stop, added: &mut Vec<AddedFile>) -> Result<(), AddError> {
    let source = &request.source;
    // A link that the user passes is followed. Links below it stay links.
    let metadata =
        std::fs::metadata(source).map_err(|error| AddError::Read { path: source.clone(), source: error })?;
    let content = walk::content(source, &metadata)?;
    let target = destination(request)?;
    if !matches!(content, AddedContent::Directory) {
        if matches!(&target, AddedDestination::Beside(path) if path.is_empty()) {
            let text = request.destination.clone().unwrap_or_default();
            let reason = "a file needs a name; append `/` to keep its own name";
            return Err(AddError::Usage { text, reason });
        }
        added.push(AddedFile { destination: target, content });
        return Ok(());
    }
    for file in walk::walk(source, walk::Modes::Ignored, stop)? {
        let destination = below(&target, &file.path)?;
        added.push(AddedFile { destination, content: file.content });
    }
    if target != AddedDestination::Beside(String::new()) {
        added.push(AddedFile { destination: target, content });
    }
    Ok(())
}

/// The destination of the file or directory itself.
fn destination(request: &AddRequest) -> Result<AddedDestination, AddError> {
    let own_name = || own_name(&request.source);
    let Some(text) = &request.destination else { return Ok(AddedDestination::Beside(own_name()?)) };
    let into = text.ends_with('/');
    let invalid = |reason: String| AddError::Destination { text: text.clone(), reason };
    let target = if text.starts_with('/') {
        AddedDestination::Absolute(ImagePath::new(text).map_err(|error| invalid(error.to_string()))?)
    } else {
        AddedDestination::Beside(member_path(text).map_err(|error| invalid(error.to_string()))?)
    };
    if into { below(&target, &own_name()?) } else { Ok(target) }
}

fn own_name(source: &Path) -> Result<String, AddError> {
    let name = source.file_name().ok_or_else(|| AddError::Usage {
        text: source.display().to_string(),
        reason: "it has no file name; pass a destination: `SRC:DEST`",
    })?;
    name.to_str().map(str::to_owned).ok_or_else(|| AddError::NotUtf8 { path: source.to_owned() })
}

fn below(target: &AddedDestination, path: &str) -> Result<AddedDestination, AddError> {
    Ok(match target {
        AddedDestination::Beside(directory) if directory.is_empty() => {
            AddedDestination::Beside(path.to_owned())
        }
        AddedDestination::Beside(directory) => AddedDestination::Beside(format!("{directory}/{path}")),
        AddedDestination::Absolute(directory) => {
            AddedDestination::Absolute(directory.join(path).map_err(|error| AddError::Destination {
                text: directory.to_string(),
                reason: error.to_string(),
            })?)
        }
    })
}

/// Sorts `files` by destination and refuses two at one destination, or one at the artifact's: `binary`, or `tree_path` if
/// the artifact came with a tree. A directory may occur more than once. Directories next to the artifact are listed with
/// their files, because a missing one would be created with root as its owner.
pub(super) fn merge(files: Vec<AddedFile>, tree_path: Option<&str>) -> Result<Vec<AddedFile>, AddError> {
    let mut merged: BTreeMap<AddedDestination, AddedContent> = BTreeMap::new();
    let reserved = tree_path.unwrap_or(ARTIFACT_NAME);
    for AddedFile { destination, content } in files {
        if let AddedDestination::Beside(path) = &destination
            && path.strip_prefix(reserved).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        {
            return Err(AddError::Reserved { destination: path.clone() });
        }
        match merged.get(&destination) {
            None => drop(merged.insert(destination, content)),
            Some(AddedContent::Directory) if matches!(content, AddedContent::Directory) => {}
            Some(_) => return Err(AddError::Twice { destination: destination.to_string() }),
        }
    }
    let mut parents = BTreeSet::new();
    let artifact = tree_path.map(|path| AddedDestination::Beside(path.to_owned()));
    for destination in merged.keys().chain(&artifact) {
        let mut parent = parent(destination);
        while let Some(directory) = parent {
            if merged.get(&directory).is_some_and(|content| !matches!(content, AddedContent::Directory)) {
                let (destination, file) = (destination.to_string(), directory.to_string());
                return Err(AddError::Below { destination, file });
            }
            parent = self::parent(&directory);
            if matches!(directory, AddedDestination::Beside(_)) {
                parents.insert(directory);
            }
        }
    }
    for directory in parents {
        merged.entry(directory).or_insert(AddedContent::Directory);
    }
    Ok(merged.into_iter().map(|(destination, content)| AddedFile { destination, content }).collect())
}

fn parent(destination: &AddedDestination) -> Option<AddedDestination> {
    match destination {
        AddedDestination::Beside(path) => {
            path.rsplit_once('/').map(|(parent, _)| AddedDestination::Beside(parent.to_owned()))
        }
        AddedDestination::Absolute(path) => path.parent().map(AddedDestination::Absolute),
    }
}
