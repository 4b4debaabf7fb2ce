//! Owns the files that are there only while `assemble` runs: secrets at `/run/secrets`, and injected directories.
//!
//! They are uploaded with everything else and named to the engine as no part of the change, so that neither the files
//! nor the directories made for them are in the image. Must not print or keep what is in them.

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

/// Where secrets are.
const SECRETS: &str = "/run/secrets";

/// A file that is to be there and cannot be.
#[derive(Debug, thiserror::Error)]
pub enum EphemeralError {
    /// It cannot be read.
    #[error("`{}` cannot be read for {what}", path.display())]
    Read {
        /// What it is for.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Its name makes no path in the container.
    #[error(transparent)]
    Path(#[from] InvalidImagePath),
}

impl Diagnostic for EphemeralError {
    fn kind(&self) -> FailureKind {
        FailureKind::Input
    }
}

/// One such file or directory; who owns it is known only in the container.
#[derive(Clone)]
pub struct EphemeralFile {
    /// Where it goes.
    pub path: ImagePath,
    kind: EntryKind,
    mode: u32,
}

/// Finds all of them.
///
/// # Errors
/// [`EphemeralError`] if one is not there or is no regular file.
pub fn ephemeral_files(
    secrets: &[SecretFile],
    injections: &[PlannedInjection],
) -> Result<Vec<EphemeralFile>, EphemeralError> {
    let mut files = Vec::new();
    if !secrets.is_empty() {
        directories(&ImagePath::new(SECRETS)?, &mut files);
    }
    for secret in secrets {
        let path = ImagePath::new(SECRETS)?.join(&secret.id)?;
        files.push(file("a secret", &secret.file, path, 0o400)?);
    }
    for injection in injections {
        directories(&injection.destination, &mut files);
        inject(&injection.source, &injection.destination, &mut files)?;
    }
    files.sort_by(|one, two| one.path.cmp(&two.path));
    files.dedup_by(|one, two| one.path == two.path);
    Ok(files)
}

/// The entries to upload for `files`: a directory only if the container lacks it.
pub(super) async fn missing_entries(
    files: &[EphemeralFile],
    container: &ContainerRun<'_>,
    owner: Owner,
) -> Result<Vec<Entry>, RunError> {
    let mut entries = Vec::new();
    for EphemeralFile { path, kind, mode } in files {
        if !matches!(kind, EntryKind::Directory) || !container.has(path).await? {
            entries.push(Entry { path: path.clone(), kind: kind.clone(), mode: *mode, owner });
        }
    }
    Ok(entries)
}

/// The directory and those above it.
fn directories(path: &ImagePath, files: &mut Vec<EphemeralFile>) {
    let mut next = Some(path.clone());
    while let Some(path) = next.filter(|path| path.as_str() != "/") {
        next = path.parent();
        files.push(EphemeralFile { path, kind: EntryKind::Directory, mode: 0o755 });
    }
}

fn inject(
    source: &Path,
    destination: &ImagePath,
    files: &mut Vec<EphemeralFile>,
) -> Result<(), EphemeralError> {
    const WHAT: &str = "an injection";
    let failed = |error| EphemeralError::Read { what: WHAT, path: source.to_owned(), source: error };
    for entry in std::fs::read_dir(source).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| failed(std::io::Error::other("a name in it is not UTF-8")))?;
        let path = destination.join(name)?;
        // A mounted volume of an orchestrator consists of links.
        let metadata = std::fs::metadata(entry.path()).map_err(failed)?;
        if metadata.is_dir() {
            files.push(EphemeralFile { path: path.clone(), kind: EntryKind::Directory, mode: 0o755 });
            inject(&entry.path(), &path, files)?;
        } else {
            files.push(file(WHAT, &entry.path(), path, 0o600)?);
        }
    }
    Ok(())
}

fn file(
    what: &'static str,
    source: &Path,
    path: ImagePath,
    mode: u32,
) -> Result<EphemeralFile, EphemeralError> {
    let failed = |error| EphemeralError::Read { what, path: source.to_owned(), source: error };
    let metadata = std::fs::metadata(source).map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(std::io::Error::other("it is not a regular file")));
    }
    let content = Arc::new(FileContent::by_name(source, FileStamp::of(&metadata)));
    Ok(EphemeralFile { path, kind: EntryKind::File { size: metadata.len(), content }, mode })
}
