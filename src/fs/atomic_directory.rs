//! Owns atomic directories: at any moment the name leads to the old tree or to all of the new one. Must not know what
//! the files are, nor decide whether an existing directory may be replaced.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::FileError;
use super::lease::{Lease, remove_if_there};

/// A directory under construction next to its target. Dropping it without [`AtomicDirectory::commit`] removes it.
#[derive(Debug)]
pub struct AtomicDirectory {
    target: PathBuf,
    partial: PathBuf,
}

impl AtomicDirectory {
    /// Starts a directory for `target` and creates its parents. A symbolic link is followed and stays. Fails
    /// if the target is not a directory, or contains the working directory.
    pub fn create(target: &Path, working_directory: Option<&Path>, lease: &Lease) -> Result<Self, FileError> {
        let target = resolve(target, working_directory)?;
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|error| FileError::new("create", parent, error))?;
        }
        let partial = lease.partial_path(&target);
        lease.create(&partial, || {
            fs::create_dir(&partial).map_err(|error| FileError::new("create", &target, error))
        })?;
        Ok(Self { target, partial })
    }

    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Gives the directory its name and removes the old one. After an error, the target is unchanged.
    pub fn commit(self) -> Result<(), FileError> {
        if let Ok(old) = fs::metadata(&self.target) {
            // Whoever could read the old directory can read the new one.
            fs::set_permissions(&self.partial, old.permissions())
                .map_err(|error| FileError::new("set the mode of", &self.target, error))?;
        }
        let is_filled = self.target.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        let renamed = match is_filled {
            true => exchange(&self.partial, &self.target),
            // `rename` replaces an empty directory, like a file.
            false => fs::rename(&self.partial, &self.target),
        };
        renamed.map_err(|error| FileError::new("replace", &self.target, error))
        // `drop` removes what has the temporary name now: nothing, or the old tree.
    }
}

impl Drop for AtomicDirectory {
    fn drop(&mut self) {
        // The lease lists it, so a later run tries again.
        drop(remove_if_there(&self.partial));
    }
}

#[cfg(target_os = "linux")]
fn exchange(new: &Path, old: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE)?)
}

/// Outside of Linux names cannot be exchanged at once: for a moment there is no directory, but never half of one.
#[cfg(not(target_os = "linux"))]
fn exchange(new: &Path, old: &Path) -> std::io::Result<()> {
    let mut aside = new.as_os_str().to_owned();
    aside.push(".old");
    fs::rename(old, &aside)?;
    fs::rename(new, old)?;
    fs::rename(&aside, new)
}

fn resolve(target: &Path, working_directory: Option<&Path>) -> Result<PathBuf, FileError> {
    let refused = |reason: &str, hint: &str| FileError::refused(target, reason, Some(hint));
    let resolved = match fs::canonicalize(target) {
        Ok(resolved) => resolved,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !target.is_symlink() => {
            std::path::absolute(target).map_err(|error| FileError::new("resolve", target, error))?
        }
        Err(error) => return Err(FileError::new("look at", target, error)),
    };
    if resolved.exists() && !resolved.is_dir() {
        return Err(refused("is not a directory", "pass a directory, or a path that does not exist yet"));
    }
    // Replacing it would leave the user's shell in a directory without a name.
    if working_directory.is_some_and(|current| current.starts_with(&resolved)) {
        return Err(refused("is the working directory or above it", "pass a directory in it"));
    }
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::tests::{names, with_lease};

    fn written(target: &Path, file: &str, lease: &Lease) -> AtomicDirectory {
        let directory = AtomicDirectory::create(target, None, lease).expect("creates");
        fs::write(directory.path().join(file), "x").expect("writes");
        directory
    }

    #[test]
    fn the_name_shows_the_old_tree_or_the_new_one() {
        with_lease(|root, lease| {
            let target = root.join("above/out");
            written(&target, "one", lease).commit().expect("takes a free name");
            let second = written(&target, "two", lease);
            assert_eq!(names(&target), ["one"]);
            second.commit().expect("replaces what is there");
            assert_eq!(names(&target), ["two"]);
            drop(written(&target, "three", lease));
            assert_eq!(
                (names(&target), names(&root.join("above"))),
                (vec!["two".into()], vec!["out".into()])
            );
            fs::remove_file(target.join("two")).expect("removes");
            written(&target, "four", lease).commit().expect("replaces an empty one");
            assert_eq!(names(&target), ["four"]);
        });
    }

    #[test]
    fn a_link_stays_and_what_is_no_directory_is_refused() {
        with_lease(|root, lease| {
            fs::create_dir(root.join("real")).expect("makes");
            std::os::unix::fs::symlink("real", root.join("link")).expect("links");
            written(&root.join("link"), "one", lease).commit().expect("follows the link");
            assert!(root.join("link").is_symlink());
            assert_eq!(names(&root.join("real")), ["one"]);
            fs::write(root.join("file"), "x").expect("writes");
            let error = AtomicDirectory::create(&root.join("file"), None, lease).expect_err("is a file");
            assert!(error.to_string().contains("is not a directory"), "{error}");
            let real = root.join("real").canonicalize().expect("is there");
            for place in [real.as_path(), &root.join("link"), root, Path::new("/")] {
                let stands = Some(real.as_path());
                let error = AtomicDirectory::create(place, stands, lease).expect_err("somebody stands in it");
                assert!(error.to_string().contains("working directory"), "{error}");
            }
            let below = real.join("below");
            AtomicDirectory::create(&below, Some(&real), lease).expect("nobody stands in it");
        });
    }
}
