//! Owns what every extraction from a container shares: its error, bounded copying, and how links resolve.
//!
//! Must not trust the container: it may send any name, size and content.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, FailureKind};
use crate::engine::EngineError;
use crate::image::ImagePath;
use crate::image::path::InvalidImagePath;

/// Largest number of links that are followed for one file.
pub(super) const MAXIMUM_LINKS: usize = 8;
/// Largest number of files in a message.
const MAXIMUM_LISTED: usize = 20;

#[derive(Debug, thiserror::Error)]
pub enum ExtractionError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("`assemble` left no artifact in {}", places.join(" or "))]
    Missing { places: Vec<String> },
    #[error("`assemble` left {} files, not one artifact:{}", files.len(), listed(files))]
    Several { files: Vec<String> },
    #[error("`assemble` left `{path}`, which is {what}")]
    NotAFile { path: String, what: &'static str },
    #[error("cannot copy `{path}` into the runtime image: {reason}")]
    RuntimeArtifact { path: String, reason: &'static str },
    #[error("`assemble` left `{path}`, which is larger than the limit of {limit} bytes")]
    TooLarge { path: String, limit: u64 },
    #[error("cannot copy `{path}` out of the container")]
    Transfer { path: String, source: io::Error },
    #[error("cannot copy `{path}` into the runtime image")]
    Content { path: String, source: io::Error },
    #[error("cannot write a copy of `{path}` in `{}`", directory.display())]
    Write { path: String, directory: PathBuf, source: io::Error },
}

fn listed(files: &[String]) -> String {
    files.iter().take(MAXIMUM_LISTED).map(|file| format!("\n  {file}")).collect()
}

impl Diagnostic for ExtractionError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Engine(error) => error.kind(),
            Self::Transfer { .. } => FailureKind::Engine,
            Self::Write { .. } => FailureKind::Input,
            _ => FailureKind::Artifact,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Engine(error) => return error.hints(),
            Self::Missing { .. } | Self::Several { .. } => {
                "pass the path of the artifact in the builder: `--artifact PATH`"
            }
            Self::NotAFile { .. } => "pass another path with `--artifact PATH`",
            Self::RuntimeArtifact { .. } => {
                "pass a path that `assemble` leaves with `--runtime-artifact PATH`, or correct the label \
                 `io.openshift.s2i.assemble-input-files` of the runtime image"
            }
            Self::TooLarge { .. } => "raise the limit with `--max-size`",
            Self::Write { .. } => "free some space, or set TMPDIR to another directory",
            Self::Transfer { .. } | Self::Content { .. } => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

/// An error while bytes are copied, which becomes an [`ExtractionError`].
pub(super) enum CopyError {
    Read(io::Error),
    Write(io::Error),
    TooLarge,
}

/// Copies at most `limit` bytes, and returns their number.
pub(super) fn copy(mut from: impl Read, mut to: impl Write, limit: u64) -> Result<u64, CopyError> {
    let mut buffer = vec![0; 128 * 1024];
    let mut copied = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Read(error)),
        };
        copied += count as u64;
        if copied > limit {
            return Err(CopyError::TooLarge);
        }
        to.write_all(&buffer[..count]).map_err(CopyError::Write)?;
    }
}

/// The path in a container that a link or an instruction in `directory` names. The parent of the root is the root.
pub(super) fn resolve(directory: &ImagePath, path: &str) -> Result<ImagePath, InvalidImagePath> {
    let start = if path.starts_with('/') { "" } else { directory.as_str() };
    let mut parts: Vec<&str> = Vec::new();
    for part in start.split('/').chain(path.split('/')).filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    ImagePath::new(&format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_nowhere_but_into_the_container() {
        let from = ImagePath::new("/opt/out").expect("valid");
        let to = |target: &str| resolve(&from, target).ok().map(|path| path.to_string());
        assert_eq!(to("../build/./app").as_deref(), Some("/opt/build/app"));
        assert_eq!(to("/srv/app").as_deref(), Some("/srv/app"));
        assert_eq!(to("../../../../etc/passwd").as_deref(), Some("/etc/passwd"));
    }
}
