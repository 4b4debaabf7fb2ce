//! Owns writing the small files that a command is asked for: whole or not at all.

use std::io::Write;
use std::path::Path;

use super::failure::CliError;
use crate::diagnostic::FailureKind;
use crate::fs::open_descriptor;

/// Writes `content` to `path` by way of a temporary file beside it, so that a reader never sees half of it.
///
/// What is no regular file (`/dev/stdout`, a named pipe) is written to as it is.
///
/// # Errors
/// A failure of class image that names the path.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), CliError> {
    let failed = |error: std::io::Error| {
        CliError::file(FailureKind::Image, format!("cannot write `{}`", path.display()), error)
    };
    // What a process has open, as `/dev/stdout`: another file in its place would be read by nobody.
    if let Some(mut file) = open_descriptor(path).map_err(failed)? {
        return file.write_all(content).map_err(failed);
    }
    // Through a symbolic link, not over it.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if std::fs::metadata(&target).is_ok_and(|metadata| !metadata.is_file()) {
        let mut file = std::fs::OpenOptions::new().write(true).open(&target).map_err(failed)?;
        return file.write_all(content).map_err(failed);
    }
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".b2i-");
    #[cfg(unix)]
    // As any new file: the umask decides. A temporary file would be the owner's alone.
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(directory).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.persist(&target).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_files_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("id");
        for content in ["one, long", "two"] {
            write(&path, content.as_bytes()).expect("writing");
            assert_eq!(std::fs::read_to_string(&path).expect("reading"), content);
        }
        assert_eq!(std::fs::read_dir(directory.path()).expect("listing").count(), 1);
        let error = write(&directory.path().join("missing/id"), b"x").expect_err("no directory");
        assert_eq!(error.exit_code(), 7);
    }

    #[cfg(unix)]
    #[test]
    fn writes_through_links_and_to_devices() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (path, link) = (directory.path().join("id"), directory.path().join("link"));
        std::fs::write(&path, "old").expect("writing");
        std::os::unix::fs::symlink(&path, &link).expect("linking");
        write(&link, b"new").expect("writing");
        assert_eq!(std::fs::read_to_string(&path).expect("reading"), "new");
        assert!(std::fs::symlink_metadata(&link).expect("it is there").is_symlink());
        write(Path::new("/dev/null"), b"x").expect("writing");
        assert!(!std::fs::metadata("/dev/null").expect("it is there").is_file());
    }
}
