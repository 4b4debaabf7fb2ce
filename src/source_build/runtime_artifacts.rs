//! Owns copying the artifacts of an extended build, files or directories, out of the builder.
//!
//! A link at an artifact's own path is followed in the container; links below it stay links. Must not know the runtime
//! image, nor trust the container: the archive is spooled within a limit.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::container_files::{ContainerFiles, OutwardLinks};
use super::extraction::{CopyError, ExtractionError, MAXIMUM_LINKS, copy, resolve};
use crate::engine::Container;
use crate::image::ImagePath;
use crate::image::layer::{Entry, Owner};
use crate::stream::{pump, stream_to_reader};

/// The artifacts, each with its directory in the runtime image.
#[derive(Clone, Default)]
pub struct RuntimeArtifacts(Vec<(ImagePath, ContainerFiles)>);

impl RuntimeArtifacts {
    /// Copies each artifact (the first of a pair) for a directory of the runtime image (the second). Copies of at most `limit`
    /// bytes are in `directory`.
    ///
    /// # Errors
    /// [`ExtractionError`].
    pub async fn take(
        container: &dyn Container,
        artifacts: &[(ImagePath, ImagePath)],
        limit: u64,
        directory: &Path,
    ) -> Result<Self, ExtractionError> {
        let mut taken = Vec::new();
        for (place, target) in artifacts {
            let spool = Spool { container, place, limit, directory };
            taken.push((target.clone(), spool.files().await?));
        }
        Ok(Self(taken))
    }

    /// The entries in the runtime image, without the target directories.
    pub(super) fn entries(&self, owner: Owner) -> Vec<Entry> {
        self.0.iter().flat_map(|(directory, files)| files.entries(directory, owner)).collect()
    }
}

/// The extraction of one artifact.
struct Spool<'a> {
    container: &'a dyn Container,
    /// The path that the user names.
    place: &'a ImagePath,
    limit: u64,
    directory: &'a Path,
}

impl Spool<'_> {
    fn refused(&self, reason: &'static str) -> ExtractionError {
        ExtractionError::RuntimeArtifact { path: self.place.to_string(), reason }
    }

    async fn files(&self) -> Result<ContainerFiles, ExtractionError> {
        const MISSING: &str = "`assemble` left no file or directory there";
        let content_error = |source| ExtractionError::Content { path: self.place.to_string(), source };
        let mut path = self.place.clone();
        for _ in 0..=MAXIMUM_LINKS {
            let file = self.archive(&path).await?.ok_or_else(|| self.refused(MISSING))?;
            let reading =
                tokio::task::spawn_blocking(move || ContainerFiles::read(&file, OutwardLinks::Allow));
            let files = reading.await.map_err(io::Error::other).flatten().map_err(content_error)?;
            let Some(target) = files.only_link() else {
                return match files.is_empty() {
                    // A pipe or a device.
                    true => Err(self.refused(MISSING)),
                    false => Ok(files.below_name(self.place.file_name())),
                };
            };
            let parent = path.parent().unwrap_or_else(|| path.clone());
            path = resolve(&parent, target).map_err(|_| self.refused(MISSING))?;
        }
        Err(self.refused("it is a link that leads to itself"))
    }

    /// Spools the archive of `path`; `None` if it does not exist.
    async fn archive(&self, path: &ImagePath) -> Result<Option<Arc<File>>, ExtractionError> {
        let Some(stream) = self.container.archive(path).await? else { return Ok(None) };
        let (shown, directory, limit) = (self.place.to_string(), self.directory.to_owned(), self.limit);
        let (sender, reader) = stream_to_reader();
        let copying = tokio::task::spawn_blocking(move || {
            let file = tempfile::tempfile_in(&directory).map_err(CopyError::Write);
            let copied = file.and_then(|mut file| copy(reader, &mut file, limit).map(|_| Arc::new(file)));
            copied.map_err(|error| match error {
                CopyError::Read(source) => ExtractionError::Content { path: shown, source },
                CopyError::Write(source) => ExtractionError::Write { path: shown, directory, source },
                CopyError::TooLarge => ExtractionError::TooLarge { path: shown, limit },
            })
        });
        let (copied, ()) = tokio::join!(copying, pump(stream, sender));
        let panicked = |panic| ExtractionError::Content {
            path: self.place.to_string(),
            source: io::Error::other(panic),
        };
        copied.map_err(panicked).flatten().map(Some)
    }
}
