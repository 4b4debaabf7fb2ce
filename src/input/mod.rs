//! The room of input: from what the user named to an artifact in an open file.
//!
//! The main road is [`fetch`]: a file, standard input or a URL is opened or downloaded, the one artifact is found in
//! it if it is an archive, and the files that the user adds are gathered. Never reads the environment; what it needs
//! from there comes with [`InputOptions`].

pub mod add;
pub mod archive;
pub mod artifact;
mod candidates;
mod error;
mod file;
pub mod http;
pub(crate) mod name;
mod source;
mod spool;

use std::io::Read;

pub use add::{AddError, AddRequest, ClassSearch, find_class, missing_class_path};
pub use archive::ArchiveError;
pub use artifact::{AddedContent, AddedDestination, AddedFile, Artifact, FileContent, Origin};
pub use error::InputError;
pub use http::{HttpError, HttpOptions, Secret};
pub use source::InputSource;

use crate::events::{Events, RunningStep, Step};
use crate::fs::Lease;
use crate::image::Digest;
pub(crate) use archive::UnpackedTree;
use spool::{Progress, run_blocking};

/// The name under which every artifact is placed; nothing added may take it.
pub const ARTIFACT_NAME: &str = "binary";

/// How many bytes an input may have unless the user says otherwise: 4 GiB.
pub const DEFAULT_MAX_SIZE: u64 = 4 * 1024 * 1024 * 1024;

/// What an input with both natures is to be taken as (`--as`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreatAs {
    /// A finished artifact, or an archive that holds one.
    Artifact,
    /// A source tree.
    Source,
}

impl TreatAs {
    /// Parses the value of `--as`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "artifact" => Some(Self::Artifact),
            "source" => Some(Self::Source),
            _ => None,
        }
    }
}

/// What the user said about the input.
#[derive(Clone, Debug)]
pub struct InputOptions {
    /// The digest that the fetched bytes (the archive, not what is in it) must have.
    pub sha256: Option<Digest>,
    /// How many bytes the input, and what is unpacked from it, may have.
    pub max_size: u64,
    /// Which member of an archive is the artifact (`--path`).
    pub member_path: Option<String>,
    /// Whether the rest of an archive comes along (`--keep-tree`).
    pub keep_tree: bool,
    /// What it is to be taken as.
    pub treat_as: Option<TreatAs>,
    /// Files to add.
    pub added: Vec<AddRequest>,
    /// How to download.
    pub http: HttpOptions,
    /// Whether the network must not be used.
    pub offline: bool,
}

impl Default for InputOptions {
    fn default() -> Self {
        Self {
            sha256: None,
            max_size: DEFAULT_MAX_SIZE,
            member_path: None,
            keep_tree: false,
            treat_as: None,
            added: Vec::new(),
            http: HttpOptions::default(),
            offline: false,
        }
    }
}

/// One file, before it was asked whether it is an archive.
struct Fetched {
    name: String,
    size: u64,
    sha256: Option<Digest>,
    content: FileContent,
}

/// Fetches `source` and finds the artifact in it.
///
/// Temporary files live in the lease's directory, downloads in its cache. `stdin` is read only for
/// [`InputSource::Stdin`]. Dropping the future stops the work; a read that waits for standard input ends with the
/// process.
///
/// # Errors
/// [`InputError`]; whatever was begun is removed.
pub async fn fetch(
    source: &InputSource,
    options: &InputOptions,
    lease: &Lease,
    stdin: impl Read + Send + 'static,
    events: &Events,
) -> Result<Artifact, InputError> {
    let shown = source.to_string();
    if options.treat_as == Some(TreatAs::Source) {
        return Err(InputError::SourceBuild { shown });
    }
    // A file of this machine is opened, not fetched: a step without work is no news.
    let reports = if matches!(source, InputSource::File(_)) { Events::silent() } else { events.clone() };
    let step = reports.start(Step::Fetch, shown.clone(), None);
    let fetched = fetch_file(source, options, lease, stdin, events, &step).await?;
    let (options, directory) = (options.clone(), lease.temporary_directory().to_owned());
    let found = run_blocking(move |stop| {
        let archive::Found { artifact, tree } =
            archive::find_artifact(fetched, &shown, &options, &directory, stop)?;
        let mut added = tree;
        added.extend(add::resolve(&options.added, stop)?);
        Ok::<_, InputError>((artifact, add::merge(added)?))
    });
    let (artifact, added) = found.await?;
    step.made(artifact.name.clone()).sized(artifact.size).finish("");
    let Fetched { name, size, sha256, content } = artifact;
    Ok(Artifact { name, size, sha256, origin: source.origin(), content, added })
}

/// Fetches the one file that `source` names, whatever is in it.
async fn fetch_file(
    source: &InputSource,
    options: &InputOptions,
    lease: &Lease,
    mut stdin: impl Read + Send + 'static,
    events: &Events,
    step: &RunningStep,
) -> Result<Fetched, InputError> {
    let progress = Progress::new(step.clone());
    let options = options.clone();
    match source {
        InputSource::Url(url) => http::fetch(url, &options, lease, events, progress).await,
        InputSource::File(path) => {
            let path = path.clone();
            run_blocking(move |stop| file::open(&path, &options, stop)).await
        }
        InputSource::Stdin => {
            let directory = lease.temporary_directory().to_owned();
            run_blocking(move |stop| file::spool_stdin(&mut stdin, &options, &directory, progress, stop))
                .await
        }
    }
}

/// An archive of sources, unpacked; or what is no archive.
pub(crate) enum SourceArchive {
    /// It is an archive.
    Unpacked(UnpackedTree),
    /// It is something else.
    Other {
        /// Its name.
        name: String,
        /// Its size in bytes.
        size: u64,
        /// Its bytes.
        content: FileContent,
    },
}

/// Fetches `source` and unpacks all of it below the lease's directory, where it stays until the lease goes.
///
/// # Errors
/// [`InputError`]; whatever was begun goes with the lease.
pub(crate) async fn fetch_source_archive(
    source: &InputSource,
    options: &InputOptions,
    lease: &Lease,
    stdin: impl Read + Send + 'static,
    events: &Events,
    step: &RunningStep,
) -> Result<SourceArchive, InputError> {
    let shown = source.to_string();
    let fetched = fetch_file(source, options, lease, stdin, events, step).await?;
    let (options, directory) = (options.clone(), lease.temporary_directory().to_owned());
    let unpacked = run_blocking(move |stop| {
        let found = archive::unpack_sources(&fetched, &shown, &options, &directory, stop)?;
        Ok::<_, InputError>(match found {
            Some(tree) => SourceArchive::Unpacked(tree),
            None => SourceArchive::Other { name: fetched.name, size: fetched.size, content: fetched.content },
        })
    });
    unpacked.await
}

/// Gathers the files that go with an artifact which is there already.
///
/// # Errors
/// [`InputError`] if one is missing or two want one place.
pub async fn added(requests: &[AddRequest]) -> Result<Vec<AddedFile>, InputError> {
    let requests = requests.to_vec();
    run_blocking(move |stop| Ok::<_, InputError>(add::merge(add::resolve(&requests, stop)?)?)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A front end may run many fetches on threads of its own.
    #[test]
    fn fetching_can_move_between_threads() {
        fn is_send(future: impl Future + Send) {
            drop(future);
        }
        let cache = tempfile::tempdir().expect("temporary directory");
        let lease = Lease::acquire(cache.path()).expect("acquires");
        let (options, events) = (InputOptions::default(), Events::silent());
        is_send(fetch(&InputSource::Stdin, &options, &lease, std::io::empty(), &events));
    }
}
