//! Owns the files that exist only while `assemble` runs: secrets in `/run/secrets`, and injected directories.
//!
//! The engine excludes them, and the directories created for them, from the layer. Must not print or store their content.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::assemble::{ContainerRun, RunError};
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::fs::FileStamp;
use crate::image::ImagePath;
use crate::image::layer::{Entry, EntryKind, Owner};
use crate::image::path::InvalidImagePath;
use crate::input::FileContent;
use crate::plan::PlannedInjection;
use crate::request::SecretFile;

const SECRETS: &str = "/run/secrets";

#[derive(Debug, thiserror::Error)]
pub enum EphemeralError {
    #[error("cannot read `{}` for {purpose}", path.display())]
    Read { purpose: &'static str, path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Path(#[from] InvalidImagePath),
}

impl Diagnostic for EphemeralError {
    fn kind(&self) -> FailureKind {
        FailureKind::Input
    }
}

/// An ephemeral file or directory. Its owner is known only in the container.
#[derive(Clone)]
pub struct EphemeralFile {
    pub path: ImagePath,
    kind: EntryKind,
    mode: u32,
    /// Whether the container must have it already.
    is_required: bool,
}

/// # Errors
/// [`EphemeralError`] if a file does not exist or is not a regular file.
pub fn ephemeral_files(
    secrets: &[SecretFile],
    injections: &[PlannedInjection],
) -> Result<Vec<EphemeralFile>, EphemeralError> {
    let mut files = Vec::new();
    if !secrets.is_empty() {
        directories(&ImagePath::new(SECRETS)?, false, &mut files);
    }
    for secret in secrets {
        let path = ImagePath::new(SECRETS)?.join(&secret.id)?;
        files.push(file("a secret", &secret.file, path, 0o400)?);
    }
    for injection in injections {
        // As with s2i, the directory itself is made and those above it are not: a wrong path is noticed.
        directories(&injection.destination, true, &mut files);
        inject(&injection.source, &injection.destination, &mut files)?;
    }
    // Another injection may make a directory.
    files.sort_by(|one, two| (&one.path, one.is_required).cmp(&(&two.path, two.is_required)));
    files.dedup_by(|one, two| one.path == two.path);
    Ok(files)
}

/// The entries to upload for `files`, without directories that the container has.
pub(super) async fn missing_entries(
    files: &[EphemeralFile],
    container: &ContainerRun<'_>,
    owner: Owner,
) -> Result<Vec<Entry>, RunError> {
    let mut entries = Vec::new();
    for EphemeralFile { path, kind, mode, is_required } in files {
        if *is_required && !container.has(path).await? {
            return Err(RunError::NoInjectionPlace { path: path.clone() });
        }
        if !matches!(kind, EntryKind::Directory) || !container.has(path).await? {
            entries.push(Entry { path: path.clone(), kind: kind.clone(), mode: *mode, owner });
        }
    }
    Ok(entries)
}

/// Adds the directory and those above it.
fn directories(path: &ImagePath, above_are_required: bool, files: &mut Vec<EphemeralFile>) {
    let (mut next, mut is_required) = (Some(path.clone()), false);
    while let Some(path) = next.filter(|path| path.as_str() != "/") {
        next = path.parent();
        files.push(EphemeralFile { path, kind: EntryKind::Directory, mode: 0o755, is_required });
        is_required = above_are_required;
    }
}

fn inject(
    source: &Path,
    destination: &ImagePath,
    files: &mut Vec<EphemeralFile>,
) -> Result<(), EphemeralError> {
    const PURPOSE: &str = "an injection";
    let failed = |error| EphemeralError::Read { purpose: PURPOSE, path: source.to_owned(), source: error };
    for entry in std::fs::read_dir(source).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| failed(std::io::Error::other("a name in it is not UTF-8")))?;
        let path = destination.join(name)?;
        // The volumes of Kubernetes consist of links.
        let metadata = std::fs::metadata(entry.path()).map_err(failed)?;
        if metadata.is_dir() {
            files.push(EphemeralFile {
                path: path.clone(),
                kind: EntryKind::Directory,
                mode: 0o755,
                is_required: false,
            });
            inject(&entry.path(), &path, files)?;
        } else {
            files.push(file(PURPOSE, &entry.path(), path, 0o600)?);
        }
    }
    Ok(())
}

fn file(
    purpose: &'static str,
    source: &Path,
    path: ImagePath,
    mode: u32,
) -> Result<EphemeralFile, EphemeralError> {
    let failed = |error| EphemeralError::Read { purpose, path: source.to_owned(), source: error };
    let metadata = std::fs::metadata(source).map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(std::io::Error::other("it is not a regular file")));
    }
    let content = Arc::new(FileContent::by_name(source, FileStamp::of(&metadata)));
    let kind = EntryKind::File { size: metadata.len(), content };
    Ok(EphemeralFile { path, kind, mode, is_required: false })
}
