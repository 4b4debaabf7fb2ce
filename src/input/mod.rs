//! Owns input: it opens or downloads a file, finds the artifact in it if it is an archive, and collects added files.
//! Must not read the environment: its values are in [`InputOptions`].

pub mod add;
pub mod archive;
pub mod artifact;
mod candidates;
mod checksums;
pub(crate) mod directory;
mod documents;
mod error;
mod file;
pub mod http;
pub(crate) mod name;
mod neighbours;
mod secret;
mod source;
mod spool;
mod tree;

use std::io::Read;
use std::path::PathBuf;

pub use add::{AddError, AddRequest, ClassSearch, MissingJars, find_class};
pub use archive::ArchiveError;
pub use artifact::{AddedContent, AddedDestination, AddedFile, Artifact, FileContent, Origin};
pub use error::InputError;
pub use http::{HttpError, HttpOptions, Secret};
pub use neighbours::{MissingLibrary, NeededLibc, Neighbours, class_path_options};
pub use secret::{DownloadRequest, HeaderRequest, SecretReference};
pub use source::InputSource;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::blocking::run_stoppable;
use crate::config::values::ByteSize;
use crate::events::{Events, RunningStep, Step};
use crate::fs::Lease;
use crate::image::{Digest, Platform};
use crate::text;
pub(crate) use archive::UnpackedTree;
use checksums::Checksums;
use spool::Progress;

/// The name of every artifact in the image. No added file may have it.
pub const ARTIFACT_NAME: &str = "binary";

/// The default limit of an input, in bytes: 4 GiB.
pub const DEFAULT_MAX_SIZE: u64 = 4 * 1024 * 1024 * 1024;

/// The kind of an input that could be both (`--as`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TreatAs {
    /// A finished artifact, or an archive that contains one.
    Artifact,
    /// A source tree.
    Source,
}

/// How inputs are fetched, and what is added to them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct InputOptions {
    /// The expected digest of the input, which may be an archive.
    pub sha256: Option<Digest>,
    /// A file with the expected digest, as `sha256sum` writes it, which is found by the name of the input.
    pub sha256_file: Option<PathBuf>,
    /// The limit of bytes, for the input and for its unpacked members.
    #[serde(deserialize_with = "max_size")]
    #[schemars(with = "text::NumberOrText")]
    pub max_size: u64,
    /// The artifact's path in an archive (`--path`).
    pub member_path: Option<String>,
    /// Whether the other members of an archive become added files (`--keep-tree`).
    pub keep_tree: bool,
    /// The kind of an input that could be both.
    pub treat_as: Option<TreatAs>,
    /// Files to add.
    pub added: Vec<AddRequest>,
    /// Headers and credentials of downloads.
    pub download: DownloadRequest,
    /// How to download; the session fills it in.
    #[serde(skip)]
    #[doc(hidden)]
    pub http: HttpOptions,
    /// The platform of the program to choose among several; the pipeline fills it in.
    #[serde(skip)]
    #[doc(hidden)]
    pub platform: Option<Platform>,
    /// Whether the network must not be used; the session fills it in.
    #[serde(skip)]
    #[doc(hidden)]
    pub offline: bool,
}

impl Default for InputOptions {
    fn default() -> Self {
        Self {
            sha256: None,
            sha256_file: None,
            max_size: DEFAULT_MAX_SIZE,
            member_path: None,
            keep_tree: false,
            treat_as: None,
            added: Vec::new(),
            download: DownloadRequest::default(),
            http: HttpOptions::default(),
            platform: None,
            offline: false,
        }
    }
}

fn max_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let size = text::quantity(deserializer, |size: ByteSize| size.0)?;
    Ok(size.unwrap_or(DEFAULT_MAX_SIZE))
}

/// The artifact, or an archive.
struct InputFile {
    name: String,
    size: u64,
    sha256: Option<Digest>,
    content: FileContent,
}

/// The input before the search for the artifact.
enum Fetched {
    File(InputFile),
    Directory(PathBuf),
}

/// Fetches `source` and finds the artifact in it.
///
/// Temporary files are in the lease's directory, downloads in its cache. `stdin` is read only for
/// [`InputSource::Stdin`]. Dropping the future stops the work. A read that waits for standard input ends with the
/// process. After an error, partial files are removed.
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
    // A local file is only opened, which is not worth a step.
    let reports = if matches!(source, InputSource::File(_)) { Events::silent() } else { events.clone() };
    let step = reports.start(Step::Fetch, shown.clone(), None);
    let fetched = match source {
        InputSource::File(path) if path.is_dir() => Fetched::Directory(path.clone()),
        _ => {
            let options = with_expected_digest(source, options).await?;
            Fetched::File(fetch_file(source, &options, lease, stdin, events, &step).await?)
        }
    };
    let (options, directory) = (options.clone(), lease.temporary_directory().to_owned());
    let search = run_stoppable(move |stop| {
        let contents = match fetched {
            Fetched::File(file) => archive::find_artifact(file, &shown, &options, &directory, stop),
            Fetched::Directory(path) => directory::find_artifact(&path, &options, stop),
        };
        let archive::Contents { artifact, tree, left_out, has_other_platforms } = contents?;
        let (tree_path, files) = tree.map(|tree| (tree.artifact, tree.files)).unzip();
        let mut added = files.unwrap_or_default();
        added.extend(add::resolve(&options.added, tree_path.as_deref(), stop)?);
        let added = add::merge(added, tree_path.as_deref())?;
        Ok::<_, InputError>((artifact, tree_path, added, left_out, has_other_platforms))
    });
    let (artifact, tree_path, added, left_out, has_other_platforms) = search.await?;
    step.made(artifact.name.clone()).sized(artifact.size).finish("");
    let InputFile { name, size, sha256, content } = artifact;
    let origin = source.origin();
    Ok(Artifact { name, size, sha256, origin, content, tree_path, added, left_out, has_other_platforms })
}

/// The options with the digest of the input that the checksum file has.
async fn with_expected_digest(
    source: &InputSource,
    options: &InputOptions,
) -> Result<InputOptions, InputError> {
    let mut options = options.clone();
    if let Some(path) = options.sha256_file.clone() {
        let name = source.file_name();
        let digest = run_stoppable(move |stop| Checksums::read(&path, stop)?.require(name.as_deref()));
        options.sha256 = Some(digest.await?);
    }
    Ok(options)
}

async fn fetch_file(
    source: &InputSource,
    options: &InputOptions,
    lease: &Lease,
    mut stdin: impl Read + Send + 'static,
    events: &Events,
    step: &RunningStep,
) -> Result<InputFile, InputError> {
    let progress = Progress::new(step.clone());
    let options = options.clone();
    match source {
        InputSource::Url(url) => http::fetch(url, &options, lease, events, progress).await,
        InputSource::File(path) => {
            let path = path.clone();
            run_stoppable(move |stop| file::open(&path, &options, stop)).await
        }
        InputSource::Stdin => {
            let directory = lease.temporary_directory().to_owned();
            run_stoppable(move |stop| file::spool_stdin(&mut stdin, &options, &directory, progress, stop))
                .await
        }
    }
}

/// An unpacked archive of sources, or a file that is not an archive.
pub(crate) enum SourceArchive {
    Unpacked(UnpackedTree),
    Other { name: String, size: u64, content: FileContent },
}

/// Fetches `source` and unpacks all of it below the lease's directory. The files are removed with the lease.
pub(crate) async fn fetch_source_archive(
    source: &InputSource,
    options: &InputOptions,
    lease: &Lease,
    stdin: impl Read + Send + 'static,
    events: &Events,
    step: &RunningStep,
) -> Result<SourceArchive, InputError> {
    let shown = source.to_string();
    let file = fetch_file(source, options, lease, stdin, events, step).await?;
    let (options, directory) = (options.clone(), lease.temporary_directory().to_owned());
    run_stoppable(move |stop| {
        let tree = archive::unpack_sources(&file, &shown, &options, &directory, stop)?;
        Ok(match tree {
            Some(tree) => SourceArchive::Unpacked(tree),
            None => SourceArchive::Other { name: file.name, size: file.size, content: file.content },
        })
    })
    .await
}

/// Collects the files to add to an artifact that was fetched or built before.
pub async fn added(requests: &[AddRequest]) -> Result<Vec<AddedFile>, InputError> {
    let requests = requests.to_vec();
    run_stoppable(move |stop| {
        let added = add::resolve(&requests, None, stop)?;
        Ok::<_, InputError>(add::merge(added, None)?)
    })
    .await
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
