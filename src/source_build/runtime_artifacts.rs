//! Owns taking the artifacts of an extended build out of the assembled builder: each a file or a directory.
//!
//! What the container sends is hostile input: it is spooled within a limit and read by `container_files`. A link at the
//! place itself is followed as a path of the container; links below it stay links. Must not know the runtime image.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::container_files::{ContainerFiles, OutwardLinks};
use super::produced::followed;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::engine::{Container, EngineError};
use crate::image::ImagePath;
use crate::image::layer::{Entry, Owner};
use crate::stream::{pump, stream_to_reader};

/// How many links at the place of an artifact are followed.
const MAXIMUM_LINKS: usize = 8;

/// Artifacts on their way into the runtime image.
#[derive(Clone, Default)]
pub struct RuntimeArtifacts(Vec<RuntimeArtifact>);

#[derive(Clone)]
struct RuntimeArtifact {
    /// The directory that it goes to.
    directory: ImagePath,
    files: ContainerFiles,
}

/// Why the runtime image does not get its artifacts.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeArtifactError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It is not there.
    #[error("`assemble` left nothing at `{path}`, which the runtime image is to get")]
    Missing {
        /// The place.
        path: String,
    },
    /// Links lead in a circle.
    #[error("`{path}`, which the runtime image is to get, is a link that leads in a circle")]
    Circle {
        /// The place.
        path: String,
    },
    /// It is larger than allowed.
    #[error("`{path}`, which the runtime image is to get, is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The place.
        path: String,
        /// The limit.
        limit: u64,
    },
    /// What the engine sent is nothing that can be taken over.
    #[error("`{path}` cannot be taken into the runtime image")]
    Read {
        /// The place.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The copy cannot be written.
    #[error("a copy of `{path}` cannot be written")]
    Write {
        /// The place.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Diagnostic for RuntimeArtifactError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Engine(error) => error.kind(),
            Self::Missing { .. } | Self::Circle { .. } | Self::TooLarge { .. } | Self::Read { .. } => {
                FailureKind::Artifact
            }
            Self::Write { .. } => FailureKind::Input,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Engine(error) => error.hints(),
            Self::Missing { .. } | Self::Circle { .. } => vec![
                "name what `assemble` leaves with `--runtime-artifact PATH`, or correct the runtime image's label \
                 `io.openshift.s2i.assemble-input-files`"
                    .into(),
            ],
            Self::TooLarge { .. } => vec!["raise the limit with `--max-size` if the size is right".into()],
            Self::Read { .. } => Vec::new(),
            Self::Write { .. } => vec!["free some space, or name another directory with TMPDIR".into()],
        }
    }
}

impl RuntimeArtifacts {
    /// Takes what is at each of the `places` (the first of a pair) for the directory that it goes to (the second);
    /// copies are kept in `directory`, and one may have `limit` bytes.
    ///
    /// # Errors
    /// [`RuntimeArtifactError`].
    pub async fn take(
        container: &dyn Container,
        places: &[(ImagePath, ImagePath)],
        limit: u64,
        directory: &Path,
    ) -> Result<Self, RuntimeArtifactError> {
        let mut taken = Vec::new();
        for (place, target) in places {
            let files = take_one(container, place, limit, directory).await?;
            taken.push(RuntimeArtifact { directory: target.clone(), files });
        }
        Ok(Self(taken))
    }

    /// The entries in the runtime image, without the directories that they go to.
    pub(super) fn entries(&self, owner: Owner) -> Vec<Entry> {
        self.0.iter().flat_map(|artifact| artifact.files.entries(&artifact.directory, owner)).collect()
    }
}

async fn take_one(
    container: &dyn Container,
    place: &ImagePath,
    limit: u64,
    directory: &Path,
) -> Result<ContainerFiles, RuntimeArtifactError> {
    let shown = || place.to_string();
    let mut path = place.clone();
    for _ in 0..=MAXIMUM_LINKS {
        let file = spool(container, &path, place, limit, directory).await?;
        let file = file.ok_or_else(|| RuntimeArtifactError::Missing { path: shown() })?;
        let reading = tokio::task::spawn_blocking(move || ContainerFiles::read(&file, OutwardLinks::Kept));
        let files = reading.await.map_err(io::Error::other).flatten();
        let files = files.map_err(|source| RuntimeArtifactError::Read { path: shown(), source })?;
        let Some(target) = files.only_link() else {
            return match files.is_empty() {
                // A pipe or a device.
                true => Err(RuntimeArtifactError::Missing { path: shown() }),
                false => Ok(files.below_name(place.file_name())),
            };
        };
        let parent = path.parent().unwrap_or_else(|| path.clone());
        let next = followed(&parent, target);
        path = next.ok_or_else(|| RuntimeArtifactError::Missing { path: shown() })?;
    }
    Err(RuntimeArtifactError::Circle { path: shown() })
}

/// Copies the archive of one place to a file; nothing if nothing is there. `place` is what the user named.
async fn spool(
    container: &dyn Container,
    path: &ImagePath,
    place: &ImagePath,
    limit: u64,
    directory: &Path,
) -> Result<Option<Arc<File>>, RuntimeArtifactError> {
    let Some(stream) = container.archive(path).await? else { return Ok(None) };
    let shown = place.to_string();
    let file = tempfile::tempfile_in(directory);
    let file = file.map_err(|source| RuntimeArtifactError::Write { path: shown.clone(), source })?;
    let (sender, reader) = stream_to_reader();
    let copying = tokio::task::spawn_blocking(move || copy(reader, file, &shown, limit));
    let (copied, ()) = tokio::join!(copying, pump(stream, sender));
    let failed =
        |panic| RuntimeArtifactError::Read { path: place.to_string(), source: io::Error::other(panic) };
    copied.map_err(failed).flatten().map(|file| Some(Arc::new(file)))
}

fn copy(mut reader: impl Read, mut file: File, path: &str, limit: u64) -> Result<File, RuntimeArtifactError> {
    let path = || path.to_owned();
    let mut buffer = vec![0; 128 * 1024];
    let mut copied: u64 = 0;
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Ok(file),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(RuntimeArtifactError::Read { path: path(), source }),
        };
        copied += count as u64;
        if copied > limit {
            return Err(RuntimeArtifactError::TooLarge { path: path(), limit });
        }
        let written = file.write_all(&buffer[..count]);
        written.map_err(|source| RuntimeArtifactError::Write { path: path(), source })?;
    }
}
