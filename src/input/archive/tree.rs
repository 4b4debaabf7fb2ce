//! Owns `--keep-tree`: the whole archive is unpacked, and all but the artifact becomes added files.
//!
//! Layout: the artifact becomes `binary`, as always; every other member keeps its path beside it, counted from the
//! root of the archive, or from the one directory that holds everything (`tool-1.2/`). So what the program finds by
//! paths from the root of its release is still there. A link to the artifact is turned to `binary`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::super::add::walk;
use super::super::artifact::{AddedContent, AddedDestination, AddedFile, FileContent};
use super::super::name::{FALLBACK, safe_name};
use super::super::{ARTIFACT_NAME, Fetched};
use super::Found;
use super::error::ArchiveError;
use super::extract::check_size;
use super::list::Listing;
use super::members::{Archive, Flow, Member, MemberKind};
use crate::fs::lexical_path::link_target;
use crate::fs::unpack::UnpackError;
use crate::fs::{FileError, TreeLimits, TreeWriter};
use crate::image::digest::DigestReader;

/// More files than a release has.
const MAX_FILES: u64 = 200_000;
const MAX_LINKS: usize = 8;

/// Unpacks everything below `directory`. The inner error says why `chosen` is no file.
pub(super) fn unpack(
    archive: &Archive,
    listing: &Listing,
    chosen: &str,
    directory: &Path,
) -> Result<Result<Found, String>, ArchiveError> {
    let root = directory_in(directory)?;
    write_members(archive, &root)?;
    let Some(chosen) = resolve(&root, chosen) else {
        return Ok(Err(format!("there is no file `{}`", chosen.escape_debug())));
    };
    let artifact = open_artifact(&root.join(&chosen), &chosen)?;
    let common = listing.common_root().filter(|common| root.join(common).is_dir());
    let top = common.map_or_else(|| root.clone(), |common| root.join(common));
    let chosen = common.and_then(|common| chosen.strip_prefix(common)).unwrap_or(&chosen);
    let tree = added_files(archive, &top, chosen.trim_start_matches('/'))?;
    Ok(Ok(Found { artifact, tree }))
}

/// Makes a directory in `directory` that stays until the lease goes: files are read much later.
pub(super) fn directory_in(directory: &Path) -> Result<PathBuf, FileError> {
    let root = tempfile::Builder::new().prefix("tree-").disable_cleanup(true).tempdir_in(directory);
    Ok(root.map_err(|error| FileError::new("create a directory in", directory, error))?.keep())
}

/// Writes every member below `root`.
pub(super) fn write_members(archive: &Archive, root: &Path) -> Result<(), ArchiveError> {
    let limits = TreeLimits { entries: MAX_FILES, bytes: archive.max_bytes };
    let mut writer = TreeWriter::new(root, limits)?;
    archive.visit(&mut |member, reader| {
        let result = match &member.kind {
            MemberKind::Directory => writer.directory(&member.path),
            MemberKind::Symlink(target) => writer.symlink(&member.path, target),
            MemberKind::HardLink(original) => writer.hard_link(&member.path, original),
            MemberKind::Special(_) => {
                let reason = "it is a device, a pipe or of a type that cannot be packaged";
                Err(UnpackError::Refused { member: member.path.clone(), reason })
            }
            MemberKind::File => match write_file(&mut writer, member, reader) {
                Ok(size) => {
                    return check_size(archive, &member.path, member.size, size).map(|()| Flow::Continue);
                }
                Err(error) => Err(error),
            },
        };
        result.map_err(|error| ArchiveError::member(&archive.shown, error))?;
        Ok(Flow::Continue)
    })
}

/// Writes a file, executable if the archive says so; one that says nothing of modes has programs and scripts by
/// their first bytes.
fn write_file(writer: &mut TreeWriter, member: &Member, reader: &mut dyn Read) -> Result<u64, UnpackError> {
    if let Some(executable) = member.executable {
        return writer.file(&member.path, reader, executable);
    }
    let mut head = Vec::new();
    let read = reader.take(4).read_to_end(&mut head);
    read.map_err(|source| UnpackError::Read { member: member.path.clone(), source })?;
    let executable = head.starts_with(b"\x7fELF") || head.starts_with(b"#!");
    writer.file(&member.path, &mut head.as_slice().chain(reader), executable)
}

/// Follows links from `path` to a regular file.
fn resolve(root: &Path, path: &str) -> Option<String> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let metadata = std::fs::symlink_metadata(root.join(&path)).ok()?;
        if metadata.is_file() {
            return Some(path);
        }
        let target = std::fs::read_link(root.join(&path)).ok()?;
        path = link_target(&path, target.to_str()?)?;
    }
    None
}

fn open_artifact(path: &Path, member: &str) -> Result<Fetched, ArchiveError> {
    let failed = |error| FileError::new("read", path, error);
    let content = FileContent::private(File::open(path).map_err(failed)?, path);
    let mut reader = DigestReader::new(content.reader());
    std::io::copy(&mut reader, &mut std::io::sink()).map_err(failed)?;
    let (digest, size) = reader.finish();
    let name = safe_name(member).unwrap_or_else(|| FALLBACK.to_owned());
    Ok(Fetched { name, size, sha256: Some(digest), content })
}

fn added_files(archive: &Archive, top: &Path, artifact: &str) -> Result<Vec<AddedFile>, ArchiveError> {
    let walked = walk::walk(top, &archive.stop)
        .map_err(|error| ArchiveError::unreadable(&archive.shown, error.to_string()))?;
    let files = walked.into_iter().filter(|file| file.path != artifact).map(|file| {
        let content = match file.content {
            AddedContent::Symlink { target } => {
                AddedContent::Symlink { target: redirect(&file.path, target, artifact) }
            }
            content => content,
        };
        AddedFile { destination: AddedDestination::Beside(file.path), content }
    });
    Ok(files.collect())
}

/// Turns a link to the artifact to where the artifact will be.
fn redirect(link: &str, target: String, artifact: &str) -> String {
    if link_target(link, &target).as_deref() != Some(artifact) {
        return target;
    }
    format!("{}{ARTIFACT_NAME}", "../".repeat(link.matches('/').count()))
}
