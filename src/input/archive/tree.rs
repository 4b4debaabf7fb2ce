//! Owns unpacking a whole archive: as the tree of its artifact, and as a source tree.
//! Must not know archive formats.
//!
//! The top of the artifact's tree is the root of the archive, or the one directory that contains everything (`tool-1.2/`).

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::super::add::walk;
use super::super::artifact::FileContent;
use super::super::name::artifact_name;
use super::super::tree::Tree;
use super::super::{InputError, InputFile, InputOptions};
use super::error::ArchiveError;
use super::extract::check_size;
use super::format::{self, Format};
use super::list::Listing;
use super::members::{Archive, Flow, Member, MemberKind};
use super::{Contents, check_unchanged};
use crate::blocking::Stop;
use crate::fs::unpack::UnpackError;
use crate::fs::{FileError, TreeLimits, TreeWriter};
use crate::image::digest::DigestReader;

/// More files than any release has.
const MAX_FILES: u64 = 200_000;

/// Unpacks everything below `directory`. The inner error says why the member `choice` is not a file.
pub(super) fn unpack(
    archive: &Archive,
    listing: &Listing,
    choice: &str,
    directory: &Path,
) -> Result<Result<Contents, String>, ArchiveError> {
    let root = directory_in(directory)?;
    write_members(archive, &root, Refused::Fails)?;
    contents(archive, listing, choice, &root)
}

/// Unpacks everything below `directory`, and takes what the artifact names.
pub(super) fn unpack_needed(
    archive: &Archive,
    listing: &Listing,
    choice: &str,
    directory: &Path,
) -> Result<Result<Contents, String>, ArchiveError> {
    let root = directory_in(directory)?;
    write_members(archive, &root, Refused::StaysOut)?;
    let mut contents = match contents(archive, listing, choice, &root)? {
        Ok(contents) => contents,
        Err(reason) => return Ok(Err(reason)),
    };
    let artifact = &contents.artifact;
    let tree = contents.tree.take().expect("`contents` makes a tree");
    let tree = tree.needed(artifact.size, &artifact.content).map_err(|error| archive.read_error(&error))?;
    contents.left_out = listing.programs_files(choice).saturating_sub(tree.programs_files());
    // Without a neighbour it is a single file.
    contents.tree = Some(tree).filter(|tree| !tree.files.is_empty());
    Ok(Ok(contents))
}

/// The artifact and its whole tree in the unpacked archive. The inner error says why the member `choice` is not a file.
fn contents(
    archive: &Archive,
    listing: &Listing,
    choice: &str,
    root: &Path,
) -> Result<Result<Contents, String>, ArchiveError> {
    let Some(path) = resolve(root, choice) else {
        return Ok(Err(format!("`{}` is missing or not a file", choice.escape_debug())));
    };
    let artifact = open_artifact(&root.join(&path), &path)?;
    let common = listing.common_root().filter(|common| root.join(common).is_dir());
    let top = common.map_or_else(|| root.to_owned(), |common| root.join(common));
    let path = common.and_then(|common| path.strip_prefix(common)).unwrap_or(&path);
    let path = path.trim_start_matches('/');
    let tree = Tree::below(&top, path, &archive.stop)
        .map_err(|error| ArchiveError::unreadable(&archive.shown, error.to_string()))?;
    Ok(Ok(Contents { tree: Some(tree), ..Contents::alone(artifact) }))
}

/// An unpacked source tree.
pub(crate) struct UnpackedTree {
    /// The archive's name without `.tar.gz` or another extension of archives.
    pub(crate) name: String,
    /// The root of the archive, or the one directory in it that contains everything.
    pub(crate) directory: PathBuf,
    /// The name of that directory.
    pub(crate) top: Option<String>,
}

/// Unpacks `file` below `directory`; `None` if it is not an archive, or a Java archive.
pub(in crate::input) fn unpack_sources(
    file: &InputFile,
    shown: &str,
    options: &InputOptions,
    directory: &Path,
    stop: &Stop,
) -> Result<Option<UnpackedTree>, InputError> {
    let format = match format::recognise(&file.content, &file.name, shown)? {
        Some(format @ (Format::Tar(_) | Format::Zip)) => format,
        Some(Format::Single(_)) | None => return Ok(None),
    };
    let archive = Archive::new(file, format, shown, options, stop);
    let root = directory_in(directory)?;
    write_members(&archive, &root, Refused::Fails)?;
    check_unchanged(&file.content)?;
    let top = top_directory(&root).map_err(|error| FileError::new("read", &root, error))?;
    let directory = top.as_ref().map_or_else(|| root.clone(), |top| root.join(top));
    Ok(Some(UnpackedTree { name: format::stem(&file.name).to_owned(), directory, top }))
}

/// The name of the one directory that contains everything, as in archives of releases.
fn top_directory(root: &Path) -> std::io::Result<Option<String>> {
    let mut entries = std::fs::read_dir(root)?;
    let (Some(first), None) = (entries.next().transpose()?, entries.next()) else { return Ok(None) };
    let is_directory = first.file_type()?.is_dir();
    Ok(first.file_name().into_string().ok().filter(|_| is_directory))
}

/// Creates a directory in `directory`. It stays until the lease is released, because its files are read later.
fn directory_in(directory: &Path) -> Result<PathBuf, FileError> {
    let root = tempfile::Builder::new().prefix("tree-").disable_cleanup(true).tempdir_in(directory);
    Ok(root.map_err(|error| FileError::new("create a directory in", directory, error))?.keep())
}

/// The treatment of a member that cannot be unpacked, such as a device or a link that points outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Fails,
    /// Nobody asked for it.
    StaysOut,
}

/// Writes every member below `root`.
fn write_members(archive: &Archive, root: &Path, refused: Refused) -> Result<(), ArchiveError> {
    let limits = TreeLimits { entries: MAX_FILES, bytes: archive.max_bytes };
    let mut writer = TreeWriter::new(root, limits)?;
    archive.visit(&mut |member, reader| {
        let mut written = None;
        let result = match &member.kind {
            MemberKind::Directory => writer.directory(&member.path),
            MemberKind::Symlink(target) => writer.symlink(&member.path, target),
            MemberKind::HardLink(original) => writer.hard_link(&member.path, original),
            MemberKind::Special(_) => {
                let reason = "it is a device, a pipe or another type that cannot be packaged";
                Err(UnpackError::Refused { member: member.path.clone(), reason })
            }
            MemberKind::File => write_file(&mut writer, member, reader).map(|size| written = Some(size)),
        };
        match result {
            Err(UnpackError::Refused { .. }) if refused == Refused::StaysOut => return Ok(Flow::Continue),
            result => result.map_err(|error| ArchiveError::member(&archive.shown, error))?,
        }
        if let Some(size) = written {
            check_size(archive, &member.path, member.size, size)?;
        }
        Ok(Flow::Continue)
    })
}

/// Writes a file, with the archive's executable bit. If the archive has no modes, programs and scripts are executable,
/// recognised by their first bytes.
fn write_file(writer: &mut TreeWriter, member: &Member, reader: &mut dyn Read) -> Result<u64, UnpackError> {
    if let Some(executable) = member.executable {
        return writer.file(&member.path, reader, executable);
    }
    let mut head = Vec::new();
    let read = reader.take(4).read_to_end(&mut head);
    read.map_err(|source| UnpackError::Read { member: member.path.clone(), source })?;
    let executable = walk::starts_like_program(&head);
    writer.file(&member.path, &mut head.as_slice().chain(reader), executable)
}

/// Follows links from `path` to a regular file. The unpacked links lead to no place outside of `root`.
pub(in crate::input) fn resolve(root: &Path, path: &str) -> Option<String> {
    let root = root.canonicalize().ok()?;
    let path = root.join(path).canonicalize().ok()?;
    let inside = path.strip_prefix(&root).ok()?.to_str()?.to_owned();
    path.is_file().then_some(inside)
}

fn open_artifact(path: &Path, member: &str) -> Result<InputFile, ArchiveError> {
    let failed = |error| FileError::new("read", path, error);
    let content = FileContent::private(File::open(path).map_err(failed)?, path);
    let mut reader = DigestReader::new(content.reader());
    std::io::copy(&mut reader, &mut std::io::sink()).map_err(failed)?;
    let (digest, size) = reader.finish();
    let name = artifact_name(member);
    Ok(InputFile { name, size, sha256: Some(digest), content })
}
