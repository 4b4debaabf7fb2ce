//! Owns the steps from a location to its source tree. Must not know what the tree is for.

use std::io::Read;
use std::path::Path;

use super::directory::{WalkRequest, context_directory, walk, warn_of_docker_ignore};
use super::git::{Checkout, GitFetch};
use super::ignore::exclude;
use super::{SourceError, SourceInfo, SourceLocation, SourceOptions, SourceTree, TreeEntry};
use crate::blocking::run_stoppable;
use crate::detect::{DetectOptions, detect};
use crate::events::{Events, Step};
use crate::fs::Lease;
use crate::input::name::safe_name;
use crate::input::{FileContent, InputSource, SourceArchive, fetch_source_archive};

/// The name of a tree whose location has no name.
const FALLBACK_NAME: &str = "source";

/// Fetches the sources at `location`.
///
/// Temporary files are in the lease's directory, so the tree is readable while the lease is held. `stdin` is read only for a
/// tar on standard input. Dropping the future stops the work.
///
/// # Errors
/// [`SourceError`]; the lease removes what was fetched so far.
pub async fn fetch_source(
    location: &SourceLocation,
    options: &SourceOptions,
    lease: &Lease,
    stdin: impl Read + Send + 'static,
    events: &Events,
) -> Result<SourceTree, SourceError> {
    // Invalid options should fail before a download.
    let context_directory = context_directory(options)?;
    exclude(options)?;
    let info = |location| SourceInfo { location, context_directory, commit: None };
    match location {
        SourceLocation::Directory(path) => {
            let step = events.start(Step::Fetch, path.display().to_string(), None);
            let entries = list(path, path.display().to_string(), true, options, events).await?;
            step.finish(counted(&entries));
            Ok(SourceTree { name: directory_name(path), info: info(None), entries })
        }
        SourceLocation::Nothing => {
            Ok(SourceTree { name: FALLBACK_NAME.to_owned(), info: info(None), entries: Vec::new() })
        }
        SourceLocation::Git(location) => {
            let shown = location.to_string();
            let step = events.start(Step::Fetch, shown.clone(), None);
            let fetch = GitFetch {
                location,
                options: &options.git,
                submodules: options.submodules,
                offline: options.input.offline,
                limit: options.input.max_size,
                events,
                step: &step,
            };
            let Checkout { directory, commit } = fetch.run(lease).await?;
            let entries = list(&directory, shown, false, options, events).await?;
            step.finish(counted(&entries));
            let name = location.name().unwrap_or_else(|| FALLBACK_NAME.to_owned());
            let info = SourceInfo { commit: Some(commit), ..info(location.recorded()) };
            Ok(SourceTree { name, info, entries })
        }
        SourceLocation::Archive(source) => {
            let step = events.start(Step::Fetch, location.to_string(), None);
            let archive = fetch_source_archive(source, &options.input, lease, stdin, events, &step).await?;
            let unpacked = match archive {
                SourceArchive::Unpacked(unpacked) => unpacked,
                SourceArchive::Other { name, size, content } => {
                    return Err(no_archive(location.to_string(), &name, size, &content));
                }
            };
            let entries = list(&unpacked.directory, location.to_string(), false, options, events).await?;
            step.finish(counted(&entries));
            let place = matches!(source, InputSource::Url(_)).then(|| location.to_string());
            // A stream has no name. Its single top directory may have one.
            let name = match source {
                InputSource::Stdin => unpacked.top.as_deref().and_then(safe_name),
                InputSource::File(_) | InputSource::Url(_) => safe_name(&unpacked.name),
            };
            let name = name.unwrap_or_else(|| FALLBACK_NAME.to_owned());
            Ok(SourceTree { name, info: info(place), entries })
        }
    }
}

/// The error for a file that is not an archive of sources.
fn no_archive(shown: String, name: &str, size: u64, content: &FileContent) -> SourceError {
    match detect(name, size, content.reader(), &DetectOptions::default()) {
        Ok(facts) => SourceError::IsArtifact { shown, what: facts.describe() },
        Err(_) => SourceError::NoArchive { shown },
    }
}

/// Walks `root` on a thread for blocking work.
async fn list(
    root: &Path,
    shown: String,
    is_own: bool,
    options: &SourceOptions,
    events: &Events,
) -> Result<Vec<TreeEntry>, SourceError> {
    let (root, options, events) = (root.to_owned(), options.clone(), events.clone());
    let work = run_stoppable(move |stop| {
        let request = WalkRequest { root: &root, shown: &shown, is_own, options: &options };
        let entries = walk(&request, &events, stop)?;
        warn_of_docker_ignore(&root, &options, &entries, &events);
        Ok(entries)
    });
    work.await
}

fn counted(entries: &[TreeEntry]) -> String {
    match entries.len() {
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    }
}

/// The directory's own name, also for `.` and `a/..`.
fn directory_name(path: &Path) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = real.file_name().and_then(|name| safe_name(&name.to_string_lossy()));
    name.unwrap_or_else(|| FALLBACK_NAME.to_owned())
}
