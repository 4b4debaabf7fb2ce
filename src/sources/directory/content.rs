//! Owns the content of a file in a source tree. Must not return bytes of a file that changed since the walk.

use std::io::{self, Read};
use std::sync::Arc;

use cap_std::fs::{Dir, OpenOptions};

use super::Root;
use crate::fs::FileStamp;
use crate::image::layer::Content;
use crate::input::FileContent;
use crate::sources::{SourceError, TreeEntryKind};

/// The file `inside` a root, with its stamp at the time of the walk.
struct TreeFile {
    root: Arc<Root>,
    inside: String,
    stamp: FileStamp,
}

/// The file `name` of the open directory `handle`; its path in `root` is `inside`.
///
/// A file that cannot be read is an error now, not in the middle of the build.
pub(super) fn file(
    handle: &Dir,
    name: &str,
    root: &Arc<Root>,
    inside: &str,
) -> Result<(TreeEntryKind, u32), SourceError> {
    let failed = |source| root.failed(inside, source);
    let file = open(handle, name).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::other("it was a file a moment ago")));
    }
    let stamp = FileStamp::of(&metadata);
    let mode = if is_executable(&metadata, &file).map_err(failed)? { 0o755 } else { 0o644 };
    let content = TreeFile { root: Arc::clone(root), inside: inside.to_owned(), stamp };
    Ok((TreeEntryKind::File { size: stamp.size, content: Arc::new(content) }, mode))
}

impl Content for TreeFile {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        let path = self.root.shown.join(&self.inside);
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot read `{}`: {error}", path.display()))
        };
        let file = open(&self.root.dir, &self.inside).map_err(named)?;
        if FileStamp::of(&file.metadata().map_err(named)?) != self.stamp {
            let message = format!("`{}` was changed while b2i was using it", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(Box::new(FileContent::with_stamp(file, &path, self.stamp).reader()))
    }
}

/// Opens a file. Does not follow a link that replaced it, and does not wait for the other end of a pipe.
fn open(dir: &Dir, path: &str) -> io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NOFOLLOW;
        cap_std::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
    }
    dir.open_with(path, &options).map(cap_std::fs::File::into_std)
}

/// The owner's bit decides, as in git.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems must read the file")]
fn is_executable(metadata: &std::fs::Metadata, _file: &std::fs::File) -> io::Result<bool> {
    Ok(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o100 != 0)
}

/// Other systems have no such bit. The first bytes identify a program or script.
#[cfg(not(unix))]
fn is_executable(_metadata: &std::fs::Metadata, mut file: &std::fs::File) -> io::Result<bool> {
    let mut head = Vec::new();
    Read::take(&mut file, 4).read_to_end(&mut head)?;
    Ok(head.starts_with(b"\x7fELF") || head.starts_with(b"#!"))
}
