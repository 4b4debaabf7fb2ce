//! Owns saying which file a path means, so that two ways of writing one path are seen to be one.

use std::path::{Path, PathBuf};

/// The file that `path` means: without links, `.` and `..`, as far as it is there.
///
/// A file that is still to be made is known by its directory and its name; what nothing can be found out of is given
/// back as it is.
pub fn canonical_path(path: &Path) -> PathBuf {
    if let Ok(place) = path.canonicalize() {
        return place;
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (directory.canonicalize(), path.file_name()) {
        (Ok(directory), Some(name)) => directory.join(name),
        _ => path.to_owned(),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn one_file_is_one_place_however_it_is_written() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let there = directory.path().join("there");
        std::fs::write(&there, "x").expect("writes");
        std::os::unix::fs::symlink("there", directory.path().join("link")).expect("links");
        for name in ["there", "./there", "link"] {
            assert_eq!(canonical_path(&directory.path().join(name)), canonical_path(&there), "{name}");
        }
        let missing = directory.path().join("missing");
        std::fs::create_dir(directory.path().join("sub")).expect("makes");
        assert_eq!(canonical_path(&directory.path().join("sub/../missing")), canonical_path(&missing));
        assert_ne!(canonical_path(&missing), canonical_path(&there));
        let nowhere = directory.path().join("no/such/file");
        assert_eq!(canonical_path(&nowhere), nowhere);
    }
}
