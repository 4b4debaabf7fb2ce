//! Owns the cache directory: its creation, its owner, and a directory for each part.
//!
//! The name of a part ends in the version of its format (`downloads-v1`). A b2i with another format uses another
//! directory, so no version reads a format it does not know. `leases` and `tmp` have no version; see [`super::lease`].
//! Must not know the content of a part.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::error::FileError;

/// Tells backup programs to skip the directory (Cache Directory Tagging Specification).
const CACHEDIR_TAG: &str =
    "Signature: 8a477f597d28d172789f06886806bc55\n# The cache of b2i; safe to delete.\n";

#[derive(Clone, Debug)]
pub struct CacheDirectory {
    root: PathBuf,
}

impl CacheDirectory {
    /// Opens the cache at `root`, or creates it with mode 0700. Fails if another user owns it or may write to it.
    pub fn open(root: &Path) -> Result<Self, FileError> {
        let root = std::path::absolute(root).map_err(|error| FileError::new("resolve", root, error))?;
        create_private_directory(&root).map_err(not_the_cache)?;
        check_owner(&root)?;
        let tag = root.join("CACHEDIR.TAG");
        match fs::OpenOptions::new().write(true).create_new(true).open(&tag) {
            Ok(mut file) => io::Write::write_all(&mut file, CACHEDIR_TAG.as_bytes())
                .map_err(|error| FileError::new("write to", &tag, error))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(FileError::new("create", &tag, error)),
        }
        Ok(Self { root })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of the part `name` in format `version`. Creates it if it does not exist.
    pub fn part(&self, name: &str, version: u32) -> Result<PathBuf, FileError> {
        let path = self.root.join(format!("{name}-v{version}"));
        create_private_directory(&path)?;
        Ok(path)
    }

    /// The directory `name` that every version shares. Creates it if it does not exist.
    pub(super) fn shared(&self, name: &str) -> Result<PathBuf, FileError> {
        let path = self.root.join(name);
        create_private_directory(&path)?;
        Ok(path)
    }
}

/// With mode 0700.
pub fn create_private_directory(path: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| FileError::new("create the directory", path, error))
}

/// Adds a hint: a home directory that the user cannot write to is a matter of settings, not a defect of the disk.
fn not_the_cache(error: FileError) -> FileError {
    match error {
        FileError::System { path, source, .. } => FileError::Refused {
            path,
            reason: format!("cannot be the cache: it cannot be created: {source}"),
            hint: Some("pass another directory with `--cache-dir DIR` or B2I_CACHE_DIR".to_owned()),
        },
        other => other,
    }
}

/// Refuses a directory that another user owns or may write to, because that user could put false bytes into it.
fn check_owner(root: &Path) -> Result<(), FileError> {
    let metadata = fs::metadata(root).map_err(|error| FileError::new("look at", root, error))?;
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    let refuse = |reason: String, hint: &str| FileError::refused(root, reason, Some(hint));
    if owner != user {
        return Err(refuse(
            format!("cannot be the cache: it belongs to user {owner}, and b2i runs as user {user}"),
            // The mount of a volume in a pod belongs to root, and its group may write to it.
            &format!(
                "pass a directory below it, which b2i creates: `--cache-dir {}`",
                root.join("b2i").display()
            ),
        ));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o022 != 0 {
        return Err(refuse(
            format!("cannot be the cache: others may write to it (mode {mode:04o})"),
            "check its content and run `chmod 700` on it, or delete it",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn creates_a_private_directory() {
        let parent = tempfile::tempdir().expect("temporary directory");
        let cache = CacheDirectory::open(&parent.path().join("a/b")).expect("opens");
        let mode = fs::metadata(cache.root()).expect("exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(cache.part("downloads", 1).expect("creates").ends_with("downloads-v1"));
        CacheDirectory::open(cache.root()).expect("opens a second time");
    }

    #[test]
    fn refuses_what_others_may_write_to() {
        let parent = tempfile::tempdir().expect("temporary directory");
        fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o770)).expect("chmod");
        let error = CacheDirectory::open(parent.path()).expect_err("refused");
        assert!(error.to_string().contains("mode 0770"), "{error}");
    }

    #[test]
    fn refuses_a_directory_of_another_user() {
        let parent = tempfile::tempdir().expect("temporary directory");
        if std::os::unix::fs::chown(parent.path(), Some(12345), None).is_err() {
            // Only root can give a directory away; everybody else finds one in `/`.
            let error = CacheDirectory::open(Path::new("/")).expect_err("refused");
            assert!(error.to_string().contains('/'), "{error}");
            return;
        }
        let error = CacheDirectory::open(parent.path()).expect_err("refused");
        assert!(error.to_string().contains("user 12345"), "{error}");
    }

    #[test]
    fn refuses_a_file() {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        assert!(CacheDirectory::open(file.path()).is_err());
    }
}
