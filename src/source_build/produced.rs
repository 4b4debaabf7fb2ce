//! Owns finding the artifact of a source build: the single file at its declared places, copied out of the container.
//!
//! Must not trust the container: names are checked, sizes are bounded, and links are resolved only as container paths.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::extraction::{CopyError, ExtractionError, MAXIMUM_LINKS, copy, resolve};
use crate::engine::Container;
use crate::fs::BoundedTar;
use crate::image::digest::DigestWriter;
use crate::image::{Digest, ImagePath};
use crate::input::name::artifact_name;
use crate::stream::{pump, stream_to_reader};

/// Largest number of candidates at one place.
const MAXIMUM_FILES: usize = 10_000;

/// The artifact of a source build, outside of the container.
#[derive(Debug)]
pub struct ProducedFile {
    pub name: String,
    /// Its path in the container.
    pub path: ImagePath,
    pub size: u64,
    pub digest: Digest,
    pub file: tempfile::NamedTempFile,
}

/// Finds the single artifact at `places`, and copies it to a file in `directory`.
///
/// # Errors
/// [`ExtractionError`].
pub async fn take_artifact(
    container: &dyn Container,
    places: &[ImagePath],
    limit: u64,
    directory: &Path,
) -> Result<ProducedFile, ExtractionError> {
    let mut candidates = Vec::new();
    for place in places {
        candidates.extend(candidates_at(container, place, limit, directory).await?);
    }
    for _ in 0..MAXIMUM_LINKS {
        match candidates.len() {
            0 => {
                let places = places.iter().map(|place| format!("`{place}`")).collect();
                return Err(ExtractionError::Missing { places });
            }
            1 => match candidates.remove(0) {
                Candidate::Copied(file) => return Ok(file),
                // A hard link whose file is not a candidate.
                Candidate::NotCopied(path) => {
                    return Err(ExtractionError::NotAFile { path: path.to_string(), what: "a special file" });
                }
                Candidate::Link { path, target } => {
                    let parent = path.parent().unwrap_or(path);
                    if let Ok(next) = resolve(&parent, &target) {
                        candidates = candidates_at(container, &next, limit, directory).await?;
                    }
                }
            },
            _ => {
                let files = candidates.iter().map(|candidate| candidate.path().to_string()).collect();
                return Err(ExtractionError::Several { files });
            }
        }
    }
    let path = places.first().map(ToString::to_string).unwrap_or_default();
    Err(ExtractionError::NotAFile { path, what: "a link that leads to itself" })
}

enum Candidate {
    /// The first file, copied as it arrived.
    Copied(ProducedFile),
    /// Another file; two files are an error.
    NotCopied(ImagePath),
    Link {
        path: ImagePath,
        target: String,
    },
}

impl Candidate {
    fn path(&self) -> &ImagePath {
        match self {
            Self::Copied(file) => &file.path,
            Self::NotCopied(path) | Self::Link { path, .. } => path,
        }
    }
}

async fn candidates_at(
    container: &dyn Container,
    place: &ImagePath,
    limit: u64,
    directory: &Path,
) -> Result<Vec<Candidate>, ExtractionError> {
    let Some(stream) = container.archive(place).await? else { return Ok(Vec::new()) };
    let archive = PlaceArchive { place: place.clone(), limit, directory: directory.to_owned() };
    let (sender, reader) = stream_to_reader();
    let read = tokio::task::spawn_blocking(move || archive.candidates(reader));
    let (read, ()) = tokio::join!(read, pump(stream, sender));
    let path = place.to_string();
    read.unwrap_or_else(|panic| Err(ExtractionError::Transfer { path, source: io::Error::other(panic) }))
}

/// The archive of one place.
struct PlaceArchive {
    place: ImagePath,
    limit: u64,
    directory: PathBuf,
}

impl PlaceArchive {
    fn transfer_error(&self, source: io::Error) -> ExtractionError {
        ExtractionError::Transfer { path: self.place.to_string(), source }
    }

    /// The place itself if it is a file; if it is a directory, the files in it that are not hidden.
    fn candidates(&self, reader: impl Read) -> Result<Vec<Candidate>, ExtractionError> {
        let mut archive = BoundedTar::new(reader);
        let mut found: Vec<Candidate> = Vec::new();
        for entry in archive.entries().map_err(|error| self.transfer_error(error))? {
            let mut entry = entry.map_err(|error| self.transfer_error(error))?;
            let Some(path) = self.path_of(&entry) else { continue };
            let kind = entry.header().entry_type();
            if kind.is_symlink() {
                let target = entry.link_name_bytes().map(|name| name.into_owned()).unwrap_or_default();
                if let Ok(target) = String::from_utf8(target) {
                    found.push(Candidate::Link { path, target });
                }
            } else if kind.is_file() || kind == tar::EntryType::Continuous {
                found.push(match found.is_empty() {
                    true => Candidate::Copied(self.copy(path, &mut entry)?),
                    false => Candidate::NotCopied(path),
                });
            } else if kind.is_hard_link() {
                found.push(Candidate::NotCopied(path));
            }
            if found.len() > MAXIMUM_FILES {
                break;
            }
        }
        Ok(found)
    }

    /// The path of an entry that may be the artifact: the place itself, or a file directly in it.
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

    fn copy(
        &self,
        path: ImagePath,
        entry: &mut tar::Entry<'_, impl Read>,
    ) -> Result<ProducedFile, ExtractionError> {
        let (size, limit) = (entry.size(), self.limit);
        let too_large = || ExtractionError::TooLarge { path: path.to_string(), limit };
        let write_error = |source| ExtractionError::Write {
            path: self.place.to_string(),
            directory: self.directory.clone(),
            source,
        };
        if size > limit {
            return Err(too_large());
        }
        let file = tempfile::NamedTempFile::new_in(&self.directory).map_err(write_error)?;
        let mut writer = DigestWriter::new(file);
        let copied = copy(entry, &mut writer, limit).map_err(|error| match error {
            CopyError::Read(source) => self.transfer_error(source),
            CopyError::Write(source) => write_error(source),
            CopyError::TooLarge => too_large(),
        })?;
        if copied != size {
            return Err(self.transfer_error(io::ErrorKind::UnexpectedEof.into()));
        }
        let (file, digest, _) = writer.finish();
        Ok(ProducedFile { name: artifact_name(path.file_name()), path, size, digest, file })
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
        let archive = PlaceArchive { place, limit: 10, directory: directory.path().to_owned() };
        let found = archive.candidates(bytes.as_slice()).unwrap_or_default();
        found.iter().map(|candidate| candidate.path().to_string()).collect()
    }

    #[test]
    fn a_name_that_the_script_chose_is_made_safe() {
        let name = "out/\u{1b}[31mred\n\u{202e}gpj.exe";
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o755);
        tar.append_data(&mut header, name, &b"x"[..]).expect("in memory");
        let bytes = tar.into_inner().expect("in memory");
        let directory = tempfile::tempdir().expect("a directory");
        let place = ImagePath::new("/opt/out").expect("valid");
        let archive = PlaceArchive { place, limit: 10, directory: directory.path().to_owned() };
        let found = archive.candidates(bytes.as_slice()).expect("one file");
        let [Candidate::Copied(file)] = found.as_slice() else { panic!("one file") };
        assert_eq!(
            (file.name.as_str(), file.path.relative()),
            ("[31mredgpj.exe", &format!("opt/{name}")[..])
        );
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
}
