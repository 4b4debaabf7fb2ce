//! Owns confined unpacking: members of an archive become files below one directory and nowhere else.
//!
//! There are two checks. Names and links are checked here, and every path is opened through a directory handle
//! (cap-std) that cannot leave the directory. Modes, owners and times of the members are ignored. Must not know archive
//! formats.

use std::io::{self, Read, Write};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};

use super::error::FileError;
use super::path::cut;

const MAX_PATH_BYTES: usize = 4096;
const MAX_NAME_BYTES: usize = 255;
const MAX_DEPTH: usize = 128;

#[derive(Clone, Copy, Debug)]
pub struct TreeLimits {
    /// Members of any kind.
    pub entries: u64,
    /// Bytes of all files together.
    pub bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The member could lead out of the directory, or is not a file, directory or link.
    #[error("member `{}` is refused: {reason}", member.escape_debug())]
    Refused { member: String, reason: &'static str },
    #[error("it has more than {limit} members")]
    TooMany { limit: u64 },
    #[error("it unpacks to more than {limit} bytes (member `{}`)", member.escape_debug())]
    TooLarge {
        /// The member that exceeds the limit.
        member: String,
        limit: u64,
    },
    #[error("cannot read member `{}`: {source}", member.escape_debug())]
    Read {
        member: String,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Write(#[from] FileError),
}

fn refused(member: &str, reason: &'static str) -> UnpackError {
    UnpackError::Refused { member: member.to_owned(), reason }
}

/// A member's name in normal form: relative, `/` between its parts, no `.`; empty for the root. Refuses names
/// that are absolute, contain `..` or NUL, or are longer or deeper than file systems allow.
pub fn member_path(name: &str) -> Result<String, UnpackError> {
    let shown = cut(name, 200);
    if name.len() > MAX_PATH_BYTES {
        return Err(refused(shown, "its name is longer than 4096 bytes"));
    }
    if name.starts_with('/') {
        return Err(refused(shown, "its name is absolute"));
    }
    if name.contains('\0') {
        return Err(refused(shown, "its name contains a NUL"));
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err(refused(shown, "its name contains `..`"));
    }
    if parts.len() > MAX_DEPTH || parts.iter().any(|part| part.len() > MAX_NAME_BYTES) {
        return Err(refused(
            shown,
            "its name is deeper than 128 directories or has a part longer than 255 bytes",
        ));
    }
    Ok(parts.join("/"))
}

/// Whether a symbolic link at `link` (normal, relative to a tree) with this target stays inside the tree.
///
/// `..` is allowed only at the beginning. After the name of another link it would lead elsewhere than it seems.
pub fn link_stays_inside(link: &str, target: &str) -> bool {
    if target.is_empty() || target.starts_with('/') || target.contains('\0') || target.len() > MAX_PATH_BYTES
    {
        return false;
    }
    let mut parts = target.split('/').filter(|part| !matches!(*part, "" | ".")).peekable();
    let mut up = 0;
    while parts.next_if(|part| *part == "..").is_some() {
        up += 1;
    }
    up <= link.matches('/').count() && !parts.any(|part| part == "..")
}

pub struct TreeWriter {
    root: Dir,
    shown: std::path::PathBuf,
    limits: TreeLimits,
    entries: u64,
    bytes: u64,
    /// The directory that was created or checked last. Members of one directory mostly follow each other.
    last_directory: String,
}

impl TreeWriter {
    /// A writer for an existing, empty directory.
    pub fn new(directory: &Path, limits: TreeLimits) -> Result<Self, FileError> {
        let root = Dir::open_ambient_dir(directory, ambient_authority())
            .map_err(|error| FileError::new("open", directory, error))?;
        Ok(Self {
            root,
            shown: directory.to_owned(),
            limits,
            entries: 0,
            bytes: 0,
            last_directory: String::new(),
        })
    }

    /// Creates a directory, or keeps one that exists.
    pub fn directory(&mut self, name: &str) -> Result<(), UnpackError> {
        let path = self.admit(name)?;
        self.make_directories(name, &path)
    }

    /// Writes a file and returns its size in bytes.
    pub fn file(&mut self, name: &str, content: &mut dyn Read, executable: bool) -> Result<u64, UnpackError> {
        let path = self.admit_below_root(name)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let mut file =
            self.root.open_with(&path, &options).map_err(|error| self.not_created(name, &path, error))?;
        if executable {
            let mode = <cap_std::fs::Permissions as cap_std::fs::PermissionsExt>::from_mode(0o700);
            file.set_permissions(mode).map_err(|error| self.failed("set the mode of", &path, error))?;
        }
        self.copy(name, content, &mut file)
    }

    pub fn symlink(&mut self, name: &str, target: &str) -> Result<(), UnpackError> {
        let path = self.admit_below_root(name)?;
        if !link_stays_inside(&path, target) {
            return Err(refused(name, "it is a link that points outside"));
        }
        self.root.symlink(target, &path).map_err(|error| self.not_created(name, &path, error))
    }

    /// Creates a second name for a regular file that was written before.
    pub fn hard_link(&mut self, name: &str, original: &str) -> Result<(), UnpackError> {
        let path = self.admit_below_root(name)?;
        let original =
            member_path(original).map_err(|_| refused(name, "it is a hard link that points outside"))?;
        self.check_parents(name, &original)?;
        match self.root.symlink_metadata(&original) {
            Ok(metadata) if metadata.is_file() => {}
            _ => return Err(refused(name, "it is a hard link to something that is not an earlier file")),
        }
        self.root
            .hard_link(&original, &self.root, &path)
            .map_err(|error| self.not_created(name, &path, error))
    }

    fn admit(&mut self, name: &str) -> Result<String, UnpackError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(UnpackError::TooMany { limit: self.limits.entries });
        }
        member_path(name)
    }

    fn admit_below_root(&mut self, name: &str) -> Result<String, UnpackError> {
        let path = self.admit(name)?;
        if path.is_empty() {
            return Err(refused(name, "its name is empty"));
        }
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.make_directories(name, parent)?;
        }
        Ok(path)
    }

    /// Creates `path` and its parents. Each of them must be a real directory, not a link to one.
    fn make_directories(&mut self, member: &str, path: &str) -> Result<(), UnpackError> {
        if path.is_empty() || path == self.last_directory {
            return Ok(());
        }
        let ends = path.match_indices('/').map(|(index, _)| index).chain([path.len()]);
        for end in ends {
            let directory = &path[..end];
            match self.root.create_dir(directory) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    self.check_directory(member, directory)?;
                }
                Err(error) => return Err(self.failed("create", directory, error)),
            }
        }
        path.clone_into(&mut self.last_directory);
        Ok(())
    }

    fn check_parents(&self, member: &str, path: &str) -> Result<(), UnpackError> {
        path.match_indices('/').try_for_each(|(end, _)| self.check_directory(member, &path[..end]))
    }

    fn check_directory(&self, member: &str, directory: &str) -> Result<(), UnpackError> {
        match self.root.symlink_metadata(directory) {
            Ok(metadata) if metadata.is_dir() => Ok(()),
            Ok(_) => Err(refused(member, "an earlier member at one of its parents is not a directory")),
            Err(error) => Err(self.failed("look at", directory, error)),
        }
    }

    fn copy(
        &mut self,
        name: &str,
        content: &mut dyn Read,
        file: &mut impl Write,
    ) -> Result<u64, UnpackError> {
        let mut buffer = vec![0; 64 * 1024];
        let mut size = 0;
        loop {
            let count = match content.read(&mut buffer) {
                Ok(0) => return Ok(size),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(UnpackError::Read { member: name.to_owned(), source }),
            };
            self.bytes += count as u64;
            size += count as u64;
            if self.bytes > self.limits.bytes {
                return Err(UnpackError::TooLarge { member: name.to_owned(), limit: self.limits.bytes });
            }
            file.write_all(&buffer[..count]).map_err(|error| {
                UnpackError::Write(FileError::new("write to", &self.shown, error).after(self.bytes))
            })?;
        }
    }

    fn not_created(&self, name: &str, path: &str, error: io::Error) -> UnpackError {
        match error.kind() {
            io::ErrorKind::AlreadyExists => refused(name, "an earlier member has the same name"),
            _ => self.failed("create", path, error),
        }
    }

    fn failed(&self, action: &'static str, path: &str, error: io::Error) -> UnpackError {
        UnpackError::Write(FileError::new(action, &self.shown.join(path), error))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: TreeLimits = TreeLimits { entries: 10, bytes: 100 };

    fn writer() -> (tempfile::TempDir, TreeWriter) {
        let directory = tempfile::tempdir().expect("temporary directory");
        let writer = TreeWriter::new(directory.path(), LIMITS).expect("opens");
        (directory, writer)
    }

    #[test]
    fn writes_files_directories_and_links() {
        let (directory, mut writer) = writer();
        writer.directory("./lib/").expect("makes");
        assert_eq!(writer.file("lib/deep/a.txt", &mut &b"abc"[..], false).expect("writes"), 3);
        writer.symlink("lib/b.txt", "deep/../deep/a.txt").expect_err("`..` behind a name");
        writer.symlink("lib/b.txt", "deep/a.txt").expect("links");
        writer.symlink("lib/deep/up", "../b.txt").expect("links");
        writer.hard_link("c.txt", "lib/deep/a.txt").expect("links");
        assert_eq!(std::fs::read(directory.path().join("lib/deep/up")).expect("reads"), b"abc");
        assert_eq!(std::fs::read(directory.path().join("c.txt")).expect("reads"), b"abc");
    }

    #[test]
    fn refuses_names_that_lead_out() {
        let (_directory, mut writer) = writer();
        for name in ["../x", "a/../../x", "/etc/passwd", "a\0b", "", ".", &"a/".repeat(200), &"a".repeat(300)]
        {
            assert!(
                matches!(writer.file(name, &mut io::empty(), false), Err(UnpackError::Refused { .. })),
                "{name:?}"
            );
            writer.entries = 0;
        }
    }

    #[test]
    fn refuses_links_that_point_out_and_writing_through_links() {
        let (_directory, mut writer) = writer();
        for (link, target) in [("l", "/etc"), ("l", ".."), ("a/l", "../.."), ("l", ""), ("l", "x/../..")] {
            assert!(writer.symlink(link, target).is_err(), "{link} -> {target}");
        }
        writer.directory("real").expect("makes");
        writer.symlink("link", "real").expect("links");
        let error = writer.file("link/pwn", &mut io::empty(), false).expect_err("refused");
        assert!(error.to_string().contains("`link/pwn`"), "{error}");
        writer.symlink("link", "real").expect_err("the name is taken");
        writer.entries = 0;
        writer.hard_link("h", "link").expect_err("not a regular file");
        writer.hard_link("h", "../../etc/passwd").expect_err("outside");
        writer.hard_link("h", "link/x").expect_err("through a link");
    }

    #[test]
    fn refuses_duplicates_and_files_as_directories() {
        let (_directory, mut writer) = writer();
        writer.file("a", &mut &b"1"[..], false).expect("writes");
        writer.file("a", &mut &b"2"[..], false).expect_err("duplicate");
        writer.file("a/b", &mut io::empty(), false).expect_err("not a directory");
        writer.directory("a").expect_err("not a directory");
        writer.directory("d").expect("makes");
        writer.directory("d").expect("a directory may be named twice");
    }

    #[test]
    fn stops_at_the_limits() {
        let (_directory, mut writer) = writer();
        let error = writer.file("bomb", &mut io::repeat(0), false).expect_err("stops");
        assert!(matches!(error, UnpackError::TooLarge { limit: 100, .. }), "{error}");
        let error = (0..20).find_map(|index| writer.directory(&format!("d{index}")).err()).expect("stops");
        assert!(matches!(error, UnpackError::TooMany { limit: 10 }), "{error}");
    }

    proptest! {
        #[test]
        fn normal_names_stay_below_the_root(name in "[a/.\\\\\0 é]{0,30}") {
            if let Ok(path) = member_path(&name) {
                prop_assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."));
                prop_assert_eq!(member_path(&path).expect("normal"), path.clone());
            }
        }
    }
}
