//! Owns finding what a source build made: the one artifact at the places where it is expected, taken out of the
//! container into a file.
//!
//! What the container sends is hostile input: names are checked, sizes bounded, links never followed by b2i.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, FailureKind};
use crate::engine::{Container, EngineError};
use crate::image::digest::DigestBuilder;
use crate::image::{Digest, ImagePath};
use crate::stream::{pump, stream_to_reader};

/// How many files are looked at where one is expected.
const MAXIMUM_FILES: usize = 10_000;

/// How many are listed in a message.
const MAXIMUM_LISTED: usize = 20;

/// How many links are followed.
const MAXIMUM_LINKS: usize = 8;

/// A file that a source build made, outside of the container.
#[derive(Debug)]
pub struct ProducedFile {
    /// Its name.
    pub name: String,
    /// Where it was.
    pub path: ImagePath,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub file: tempfile::NamedTempFile,
}

/// Why there is no artifact.
#[derive(Debug, thiserror::Error)]
pub enum ProducedError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Nothing is where an artifact is expected.
    #[error("`assemble` left no artifact in {}", places.join(" or "))]
    Nothing {
        /// The places.
        places: Vec<String>,
    },
    /// Several are.
    #[error("`assemble` left {count} files where one artifact is expected:{}", listed(files))]
    Several {
        /// How many.
        count: usize,
        /// Their paths.
        files: Vec<String>,
    },
    /// It is nothing that can be an artifact.
    #[error("`{path}`, which `assemble` left, is {what}")]
    NotAFile {
        /// Its path.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// It is larger than allowed.
    #[error("`{path}`, which `assemble` left, is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Its path.
        path: String,
        /// The limit.
        limit: u64,
    },
    /// What the engine sent could not be read.
    #[error("`{path}` cannot be copied out of the container")]
    Read {
        /// The place.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The copy could not be written.
    #[error("a copy of `{path}` cannot be written in `{}`", directory.display())]
    Write {
        /// The place.
        path: String,
        /// The directory.
        directory: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn listed(files: &[String]) -> String {
    files.iter().take(MAXIMUM_LISTED).map(|file| format!("\n  {file}")).collect()
}

impl Diagnostic for ProducedError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Engine(error) => error.kind(),
            Self::Nothing { .. } | Self::Several { .. } | Self::NotAFile { .. } | Self::TooLarge { .. } => {
                FailureKind::Artifact
            }
            Self::Read { .. } => FailureKind::Engine,
            Self::Write { .. } => FailureKind::Input,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Engine(error) => error.hints(),
            Self::Nothing { .. } => vec!["name where it is in the builder with `--artifact PATH`".into()],
            Self::Several { .. } => vec!["name the one that is meant with `--artifact PATH`".into()],
            Self::NotAFile { .. } => vec!["`--artifact PATH` names another".into()],
            Self::TooLarge { .. } => vec!["raise the limit with `--max-size` if the size is right".into()],
            Self::Read { .. } => Vec::new(),
            Self::Write { .. } => vec!["free some space, or name another directory with TMPDIR".into()],
        }
    }
}

/// Finds the one artifact at `places`, and copies it to a file in `directory`.
///
/// # Errors
/// [`ProducedError`].
pub async fn take_artifact(
    container: &dyn Container,
    places: &[ImagePath],
    limit: u64,
    directory: &Path,
) -> Result<ProducedFile, ProducedError> {
    let mut candidates = Vec::new();
    for place in places {
        candidates.extend(look(container, place, limit, directory).await?);
    }
    for _ in 0..MAXIMUM_LINKS {
        match candidates.len() {
            0 => {
                let places = places.iter().map(|place| format!("`{place}`")).collect();
                return Err(ProducedError::Nothing { places });
            }
            1 => match candidates.remove(0) {
                Candidate::Copied(file) => return Ok(file),
                // More than one was there, so it is not the only one.
                Candidate::Seen(path) => {
                    return Err(ProducedError::NotAFile { path: path.to_string(), what: "a special file" });
                }
                Candidate::Link { path, target } => {
                    let parent = path.parent().unwrap_or(path);
                    if let Some(next) = followed(&parent, &target) {
                        candidates = look(container, &next, limit, directory).await?;
                    }
                }
            },
            count => {
                let files = candidates.iter().map(|candidate| candidate.path().to_string()).collect();
                return Err(ProducedError::Several { count, files });
            }
        }
    }
    let path = places.first().map(ToString::to_string).unwrap_or_default();
    Err(ProducedError::NotAFile { path, what: "a link that leads in a circle" })
}

/// Something that may be the artifact.
enum Candidate {
    /// The first file; it was copied while it passed.
    Copied(ProducedFile),
    /// A further one: having two is an error.
    Seen(ImagePath),
    /// A link.
    Link { path: ImagePath, target: String },
}

impl Candidate {
    fn path(&self) -> &ImagePath {
        match self {
            Self::Copied(file) => &file.path,
            Self::Seen(path) | Self::Link { path, .. } => path,
        }
    }
}

/// Where a link leads, as a path of the container; nothing if it cannot be said without the container.
pub(super) fn followed(parent: &ImagePath, target: &str) -> Option<ImagePath> {
    let mut parts: Vec<&str> = if target.starts_with('/') {
        Vec::new()
    } else {
        parent.as_str().split('/').filter(|part| !part.is_empty()).collect()
    };
    for part in target.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    ImagePath::new(&format!("/{}", parts.join("/"))).ok()
}

async fn look(
    container: &dyn Container,
    place: &ImagePath,
    limit: u64,
    directory: &Path,
) -> Result<Vec<Candidate>, ProducedError> {
    let Some(stream) = container.archive(place).await? else { return Ok(Vec::new()) };
    let reading = Reading { place: place.clone(), limit, directory: directory.to_owned() };
    let (sender, reader) = stream_to_reader();
    let read = tokio::task::spawn_blocking(move || reading.candidates(reader));
    let (read, ()) = tokio::join!(read, pump(stream, sender));
    let read = read.unwrap_or_else(|panic| Err(Fault::Read(io::Error::other(panic))));
    read.map_err(|fault| fault.of(place, limit, directory))
}

/// Why one place could not be read.
enum Fault {
    Read(io::Error),
    Write(io::Error),
    TooLarge(ImagePath),
}

impl Fault {
    fn of(self, place: &ImagePath, limit: u64, directory: &Path) -> ProducedError {
        let path = place.to_string();
        match self {
            Self::Read(source) => ProducedError::Read { path, source },
            Self::Write(source) => ProducedError::Write { path, directory: directory.to_owned(), source },
            Self::TooLarge(path) => ProducedError::TooLarge { path: path.to_string(), limit },
        }
    }
}

/// The archive of one place.
struct Reading {
    place: ImagePath,
    limit: u64,
    directory: PathBuf,
}

impl Reading {
    /// The place itself if it is a file; the files at its top if it is a directory, but for hidden ones.
    fn candidates(&self, reader: impl Read) -> Result<Vec<Candidate>, Fault> {
        let mut archive = tar::Archive::new(reader);
        let mut found: Vec<Candidate> = Vec::new();
        for entry in archive.entries().map_err(Fault::Read)? {
            let mut entry = entry.map_err(Fault::Read)?;
            let Some(path) = self.path_of(&entry) else { continue };
            let kind = entry.header().entry_type();
            if kind.is_symlink() {
                let target = entry.link_name_bytes().map(|name| name.into_owned()).unwrap_or_default();
                if let Ok(target) = String::from_utf8(target) {
                    found.push(Candidate::Link { path, target });
                }
            } else if kind.is_file() || kind == tar::EntryType::Continuous {
                let is_first = found.is_empty();
                found.push(match is_first {
                    true => Candidate::Copied(self.copy(path, &mut entry)?),
                    false => Candidate::Seen(path),
                });
            } else if kind.is_hard_link() {
                found.push(Candidate::Seen(path));
            }
            if found.len() > MAXIMUM_FILES {
                break;
            }
        }
        Ok(found)
    }

    /// The path of an entry that may be the artifact: the place itself, or a file at its top.
    fn path_of(&self, entry: &tar::Entry<'_, impl Read>) -> Option<ImagePath> {
        let name = String::from_utf8(entry.path_bytes().into_owned()).ok()?;
        let mut parts = name.split('/').filter(|part| !matches!(*part, "" | "."));
        if parts.next()? != self.place.file_name() {
            return None;
        }
        let Some(file) = parts.next() else { return Some(self.place.clone()) };
        if parts.next().is_some() || file.starts_with('.') {
            return None;
        }
        self.place.join(file).ok()
    }

    fn copy(&self, path: ImagePath, entry: &mut tar::Entry<'_, impl Read>) -> Result<ProducedFile, Fault> {
        let size = entry.size();
        if size > self.limit {
            return Err(Fault::TooLarge(path));
        }
        let mut file = tempfile::NamedTempFile::new_in(&self.directory).map_err(Fault::Write)?;
        let mut digest = DigestBuilder::new();
        let mut buffer = vec![0; 128 * 1024];
        let mut copied = 0;
        loop {
            let count = match entry.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Fault::Read(error)),
            };
            digest.update(&buffer[..count]);
            file.write_all(&buffer[..count]).map_err(Fault::Write)?;
            copied += count as u64;
        }
        if copied != size {
            return Err(Fault::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        let name = path.file_name().to_owned();
        Ok(ProducedFile { name, path, size, digest: digest.finish(), file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(place: &str, names: &[&str]) -> Vec<String> {
        let mut tar = tar::Builder::new(Vec::new());
        for name in names {
            let mut header = tar::Header::new_gnu();
            let is_directory = name.ends_with('/');
            header.set_entry_type(match is_directory {
                true => tar::EntryType::Directory,
                false => tar::EntryType::Regular,
            });
            header.set_size(if is_directory { 0 } else { 1 });
            header.set_mode(0o644);
            let content: &[u8] = if is_directory { b"" } else { b"x" };
            tar.append_data(&mut header, name, content).expect("in memory");
        }
        let bytes = tar.into_inner().expect("in memory");
        let directory = tempfile::tempdir().expect("a directory");
        let place = ImagePath::new(place).expect("valid");
        let reading = Reading { place, limit: 10, directory: directory.path().to_owned() };
        let found = reading.candidates(bytes.as_slice()).unwrap_or_default();
        found.iter().map(|candidate| candidate.path().to_string()).collect()
    }

    #[test]
    fn a_directory_gives_the_files_at_its_top() {
        let found =
            read("/opt/out", &["out/", "out/app", "out/.keep", "out/classes/", "out/classes/A.class"]);
        assert_eq!(found, ["/opt/out/app"]);
        assert_eq!(read("/opt/out", &["out/", "out/a", "out/b"]), ["/opt/out/a", "/opt/out/b"]);
        assert_eq!(read("/opt/app", &["app"]), ["/opt/app"]);
        assert_eq!(read("/opt/app", &["other/app"]), [""; 0]);
    }

    #[test]
    fn links_lead_nowhere_but_into_the_container() {
        let from = ImagePath::new("/opt/out").expect("valid");
        let to = |target: &str| followed(&from, target).map(|path| path.to_string());
        assert_eq!(to("../build/./app").as_deref(), Some("/opt/build/app"));
        assert_eq!(to("/srv/app").as_deref(), Some("/srv/app"));
        assert_eq!(to("../../../../etc/passwd").as_deref(), Some("/etc/passwd"));
    }
}
