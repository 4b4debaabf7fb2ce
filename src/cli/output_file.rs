//! Owns the write of a small file, such as `--iidfile`.
//!
//! Must not leave a partial file.

use std::io::Write;
use std::path::Path;

use super::failure::CliError;
use crate::diagnostic::FailureKind;
use crate::fs::open_descriptor;

/// Writes `content` to a temporary file and renames it to `path`. Devices and pipes are written directly.
///
/// # Errors
/// A failure of class image that names the path.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), CliError> {
    let failed = |error: std::io::Error| {
        CliError::file(FailureKind::Image, format!("cannot write `{}`", path.display()), error)
    };
    // The path is an open descriptor, such as `/dev/stdout`. A new file in its place would have no reader.
    if let Some(mut file) = open_descriptor(path).map_err(failed)? {
        return file.write_all(content).map_err(failed);
    }
    // A symbolic link stays: the file is written to its target.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if std::fs::metadata(&target).is_ok_and(|metadata| !metadata.is_file()) {
        let mut file = std::fs::OpenOptions::new().write(true).open(&target).map_err(failed)?;
        return file.write_all(content).map_err(failed);
    }
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".b2i-");
    #[cfg(unix)]
    // The umask applies, as to any new file. The default of a temporary file is 0600.
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
    fn files_are_replaced_as_a_whole() {
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
