//! Owns the mounts of a container on b2i's side: checks, order and ids.
//!
//! b2i opens files with the rights of its user only. For real root, ids inside are the same as on the disk, as with
//! Docker; otherwise those of the user namespace. Must not mount anything itself.

use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::detached::DetachedTree;
use super::error::SandboxError;
use super::mapping::Mapping;
use super::protocol::{Answer, Identity, MountRequest, MountedTree, Request};
use super::supervisor::{Supervisor, unexpected};
use crate::engine::{ContainerSpec, Mount, MountSource};
use crate::events::Events;
use crate::fs::cache_directory::CacheDirectory;

pub(super) struct Mounting<'a> {
    pub(super) supervisor: &'a Supervisor,
    pub(super) mapping: &'a Mapping,
    /// `user[:group]` of the command.
    pub(super) user: &'a str,
    pub(super) events: &'a Events,
}

/// Fails for mounts that are not possible, before the container is created.
pub(super) fn check(spec: &ContainerSpec, cache: &CacheDirectory) -> Result<(), SandboxError> {
    spec.mounts.iter().try_for_each(|mount| match &mount.source {
        MountSource::Volume(name) => Err(SandboxError::Mount {
            action: format!("mount the volume `{name}` at `{}`", mount.target),
            reason: "only daemons have volumes".into(),
            hint: Some(
                "pass a directory of this machine (`/PATH:PLACE`), or assemble with `--assemble docker`",
            ),
        }),
        MountSource::Path(path) => check_path(path, mount, cache),
        MountSource::BuildCache(_) | MountSource::Temporary => Ok(()),
    })
}

fn check_path(path: &Path, mount: &Mount, cache: &CacheDirectory) -> Result<(), SandboxError> {
    let refused = |reason: String, hint| SandboxError::Mount {
        action: format!("mount `{}` at `{}`", path.display(), mount.target),
        reason,
        hint,
    };
    let real = |path: &Path| path.canonicalize().map_err(|error| refused(error.to_string(), None));
    if !path.is_absolute() {
        return Err(refused("its path is not absolute".into(), None));
    }
    let (source, cache) = (real(path)?, real(cache.root())?);
    if !mount.read_only && share_files(&source, &cache) {
        let reason = format!("the script could change b2i's own cache, `{}`", cache.display());
        let hint = "mount it read-only with `:ro`, or mount a directory outside of the cache";
        return Err(refused(reason, Some(hint)));
    }
    Ok(())
}

/// Whether one directory is the other or in it, under any name: a mount shows a directory at a second place.
fn share_files(source: &Path, cache: &Path) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    let above = |path: &Path| -> Vec<(u64, u64)> { path.ancestors().filter_map(identity).collect() };
    // The parts of the cache may be mounted elsewhere, too.
    let parts = std::fs::read_dir(cache).into_iter().flatten().filter_map(Result::ok);
    let of_cache: Vec<(u64, u64)> =
        parts.filter_map(|part| identity(&part.path())).chain(identity(cache)).collect();
    let is_in_cache = above(source).iter().any(|found| of_cache.contains(found));
    is_in_cache || identity(source).is_some_and(|source| above(cache).contains(&source))
}

impl Mounting<'_> {
    /// Mounts all, parents first: a later mount would hide what is below it.
    pub(super) fn mount_all(&self, mounts: &[Mount]) -> Result<(), SandboxError> {
        let mut ordered: Vec<(usize, &Mount)> = mounts.iter().enumerate().collect();
        ordered.sort_by(|(_, one), (_, other)| one.target.cmp(&other.target));
        ordered.into_iter().try_for_each(|(number, mount)| self.mount(number, mount))
    }

    fn mount(&self, number: usize, mount: &Mount) -> Result<(), SandboxError> {
        let (tree, open_file, shown) = match &mount.source {
            MountSource::Path(path) => {
                let shown = path.display().to_string();
                match self.mapped(path) {
                    Some(tree) => (MountedTree::OpenFile, Some(tree), shown),
                    None => (MountedTree::Path(path.to_path_buf()), None, shown),
                }
            }
            MountSource::BuildCache(path) => {
                (MountedTree::Path(path.to_path_buf()), None, "a build cache".into())
            }
            MountSource::Temporary => {
                (MountedTree::Temporary { name: format!("temporary-{number}") }, None, "a directory".into())
            }
            MountSource::Volume(_) => unreachable!("refused before"),
        };
        let action = "mount something";
        let request = MountRequest {
            tree,
            shown,
            target: mount.target.to_string(),
            read_only: mount.read_only,
            is_own: matches!(mount.source, MountSource::BuildCache(_)),
            user: self.user.to_owned(),
        };
        self.supervisor.send(&Request::Mount(Box::new(request)), action)?;
        if let Some(tree) = open_file {
            self.supervisor.send_file(tree.as_fd(), action)?;
        }
        match self.supervisor.answer(action)? {
            Answer::Mounted { can_write } => {
                if let (MountSource::Path(path), false) = (&mount.source, can_write) {
                    self.warn(path, mount);
                }
                Ok(())
            }
            answer => Err(unexpected(action, &answer)),
        }
    }

    /// The tree at `path` with the same ids as on the disk. None if b2i has no right to do so, or the
    /// filesystem does not support it.
    fn mapped(&self, path: &Path) -> Option<DetachedTree> {
        if !self.mapping.is_of_root() {
            return None;
        }
        let tree = DetachedTree::copy_of(path).ok()?;
        let namespace = self.supervisor.user_namespace().ok()?;
        match tree.map_ids(namespace.as_fd()) {
            Ok(()) => Some(tree),
            Err(error) => {
                tracing::debug!(%error, path = %path.display(), "the ids of a mount are not mapped");
                None
            }
        }
    }

    fn warn(&self, path: &Path, mount: &Mount) {
        let user = if self.user.is_empty() { "root" } else { self.user };
        let message = format!(
            "the script's user `{user}` cannot write to `{}`, which is `{}`",
            mount.target,
            path.display()
        );
        let hint = match self.mapping.identity() {
            Identity::Ranges { .. } => {
                "root owns your files in the sandbox: let all users write to the directory (`chmod o+w`), or its group \
                 if the user is in group 0 (`chmod g+w`)"
            }
            Identity::Host | Identity::Single => {
                "let the user write to the directory, or mount it with `:ro`"
            }
        };
        self.events.warning(message, Some(hint.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::ImagePath;

    #[test]
    fn the_cache_and_volumes_are_refused() {
        let root = tempfile::tempdir().expect("a directory");
        let directory = root.path().join("home");
        std::fs::create_dir_all(directory.join("project")).expect("made");
        let cache = CacheDirectory::open(&directory.join("cache")).expect("opens");
        std::fs::create_dir(directory.join("cache/part")).expect("made");
        std::os::unix::fs::symlink(directory.join("cache"), directory.join("link")).expect("links");
        let check = |source: MountSource, read_only| {
            let target = ImagePath::new("/mnt").expect("a path");
            let spec = ContainerSpec {
                mounts: vec![Mount { source, target, read_only }],
                ..ContainerSpec::default()
            };
            check(&spec, &cache).map_err(|error| error.to_string())
        };
        let path = |path: &str| MountSource::Path(directory.join(path));
        assert_eq!(check(path("project"), false), Ok(()));
        for inside in ["", "cache", "cache/part", "link", "project/../cache"] {
            let error = check(path(inside), false).expect_err("the cache is in it");
            assert!(error.contains("b2i's own cache"), "{inside}: {error}");
            assert_eq!(check(path(inside), true), Ok(()), "{inside}");
        }
        let missing = check(path("missing"), true).expect_err("is not there");
        assert!(missing.contains("missing` at `/mnt`: No such file"), "{missing}");
        let relative = check(MountSource::Path("project".into()), true).expect_err("is relative");
        assert!(relative.contains("not absolute"), "{relative}");
        let volume = check(MountSource::Volume("data".into()), true).expect_err("is a daemon's");
        assert!(volume.contains("the volume `data`"), "{volume}");
    }
}
