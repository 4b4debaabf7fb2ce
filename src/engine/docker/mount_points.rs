//! Owns mount points in committed images: without those of Podman, and with the directories of the plan.
//!
//! Podman creates a mount point for each of its mounts in the container's files, and a commit includes them. Docker has
//! a separate layer for them. A script sees the mounts, so the mount points stay empty; it can change only `/run` and
//! `/etc`. Must not touch files of a script. Source: Podman 4.3, `libpod/diff.go`, `initInodes`: the paths that
//! `podman diff` skips.
//!
//! A daemon creates mount points as root, and uploads there go into the mount. So the directories of the plan are
//! uploaded to a second container without mounts. One more commit is cheaper than reading the whole layer.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;

use super::DockerEngine;
use super::container::DockerContainer;
use crate::engine::{ContainerSpec, NO_COMMAND};
use crate::image::ImagePath;
use crate::image::layer::Layer;
use crate::store::archive::{TarEntry, tar_entries};
use crate::store::daemon::{ContainerCommit, DaemonError, remove_container};

/// Files, which are empty if Podman created them. `accounts` empties the account files, or they are mount points.
const FILES: [&str; 6] =
    ["etc/group", "etc/hostname", "etc/hosts", "etc/passwd", "etc/resolv.conf", "run/.containerenv"];

/// Mount points of directories. `run/secrets` comes from `mounts.conf` of the machine, `run/notify` from systemd.
const DIRECTORIES: [&str; 5] = ["dev", "proc", "run/notify", "run/secrets", "sys"];

/// Parents of mount points, which Podman creates if the image lacks them.
const PARENTS: [&str; 2] = ["etc", "run"];

/// A link that Podman creates if the image lacks it.
const LINK: (&str, &str) = ("etc/mtab", "/proc/mounts");

impl DockerContainer {
    /// The [`PARENTS`] that are missing, before the container starts.
    pub(super) async fn missing_parents(&self) -> Result<Vec<&'static str>, DaemonError> {
        let mut missing = Vec::new();
        for parent in PARENTS {
            let path = ImagePath::new(&format!("/{parent}")).expect("absolute and normal");
            if self.file_mode(&path).await?.is_none() {
                missing.push(parent);
            }
        }
        Ok(missing)
    }

    /// Adds the directories at mount points. The image below is removed with the lease.
    pub(super) async fn with_places(&self, commit: ContainerCommit) -> Result<ContainerCommit, DaemonError> {
        let Some(places) = self.spec.places.as_ref().filter(|places| !places.entries().is_empty()) else {
            return Ok(commit);
        };
        let engine = DockerEngine::new(self.daemon.clone(), self.spool_directory.clone());
        let spec = ContainerSpec {
            image: commit.image_id,
            command: vec![NO_COMMAND.to_owned()],
            lease: self.spec.lease.clone(),
            ..ContainerSpec::default()
        };
        let container = engine.create_container(spec).await?;
        let filled = fill(&container, places).await;
        let removed = remove_container(&self.daemon, &container.id).await;
        let filled = filled?;
        removed?;
        Ok(filled)
    }
}

async fn fill(container: &DockerContainer, places: &Layer) -> Result<ContainerCommit, DaemonError> {
    let mut tar = Vec::new();
    // Directories have no contents to read.
    places.write_undigested(&mut tar).expect("a Vec can be written to");
    let stream = futures_util::stream::iter([Ok(tar.into())]);
    let root = ImagePath::new("/").expect("absolute and normal");
    container.upload_tar(&root, Box::pin(stream)).await?;
    container.commit().await
}

/// Extents of Podman's own entries. `missing` lists the [`PARENTS`] that were missing before the container started.
pub(super) fn podmans_own(layer: &File, missing: &[&str]) -> io::Result<Vec<Range<u64>>> {
    let mut search = Search { missing, found: Vec::new(), directories: BTreeMap::new() };
    tar_entries(layer, |entry| search.see(&entry))?;
    Ok(search.end())
}

struct Search<'a> {
    missing: &'a [&'a str],
    found: Vec<Range<u64>>,
    /// Directories that are left out if they are empty.
    directories: BTreeMap<&'a str, Place>,
}

#[derive(Default)]
struct Place {
    extent: Option<Range<u64>>,
    occupied: bool,
}

impl<'a> Search<'a> {
    fn see(&mut self, entry: &TarEntry<'_>) {
        let is = |path: &&&str| path.as_bytes() == entry.path;
        let place = FILES.iter().any(|path| is(&path)) && entry.kind.is_file() && entry.size == 0;
        let link = entry.path == LINK.0.as_bytes() && entry.link == Some(LINK.1.as_bytes());
        if place || (link && entry.kind.is_symlink()) {
            self.found.push(entry.extent.clone());
            return;
        }
        let directory = DIRECTORIES.iter().chain(self.missing).find(is).copied();
        match directory.filter(|_| entry.kind.is_dir()) {
            Some(path) => self.directories.entry(path).or_default().extent = Some(entry.extent.clone()),
            None => self.occupy(entry.path),
        }
    }

    /// Keeps the parents of `path`.
    fn occupy(&mut self, path: &[u8]) {
        for directory in DIRECTORIES.iter().chain(self.missing) {
            if path.strip_prefix(directory.as_bytes()).is_some_and(|rest| rest.starts_with(b"/")) {
                self.directories.entry(directory).or_default().occupied = true;
            }
        }
    }

    fn end(mut self) -> Vec<Range<u64>> {
        // In reverse order, contents come before their directory.
        let paths: Vec<&str> = self.directories.keys().rev().copied().collect();
        for path in paths {
            let Some(Place { extent: Some(extent), occupied }) = self.directories.remove(path) else {
                continue;
            };
            match occupied {
                true => self.occupy(path.as_bytes()),
                false => self.found.push(extent),
            }
        }
        self.found
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tar::EntryType::{Directory, Link, Regular, Symlink};

    use super::*;

    /// Says what stays of a layer with these entries; the text is a file's content or a link's target.
    fn rest(missing: &[&str], entries: &[(&str, tar::EntryType, &str)]) -> Vec<String> {
        let mut builder = tar::Builder::new(tempfile::tempfile().expect("a file"));
        for (path, kind, text) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            header.set_size(0);
            match kind {
                Symlink | Link => builder.append_link(&mut header, path, text),
                _ => {
                    header.set_size(text.len() as u64);
                    builder.append_data(&mut header, path, text.as_bytes())
                }
            }
            .expect("written");
        }
        let mut file = builder.into_inner().expect("written");
        file.flush().expect("written");
        let gone = podmans_own(&file, missing).expect("a tar");
        let mut kept = Vec::new();
        tar_entries(&file, |entry| {
            if !gone.contains(&entry.extent) {
                kept.push(String::from_utf8_lossy(entry.path).into_owned());
            }
        })
        .expect("a tar");
        kept
    }

    #[test]
    fn only_what_podman_made_goes() {
        let all = [
            ("dev/", Directory, ""),
            ("etc/", Directory, ""),
            ("etc/group", Regular, ""),
            ("etc/hostname", Regular, ""),
            ("etc/hosts", Regular, ""),
            ("etc/mtab", Symlink, "/proc/mounts"),
            ("etc/resolv.conf", Regular, ""),
            ("proc/", Directory, ""),
            ("run/", Directory, ""),
            ("run/.containerenv", Regular, ""),
            ("run/secrets/", Directory, ""),
            ("sys/", Directory, ""),
            ("tmp/", Directory, ""),
            ("tmp/etc/hosts", Regular, ""),
        ];
        assert_eq!(rest(&PARENTS, &all), ["tmp", "tmp/etc/hosts"]);
        // A script may have changed the mode of a directory that was there.
        assert_eq!(rest(&[], &all), ["etc", "run", "tmp", "tmp/etc/hosts"]);
    }

    #[test]
    fn what_has_content_or_another_form_stays() {
        let all = [
            ("dev", Symlink, "/x"),
            ("etc/", Directory, ""),
            ("etc/hosts", Regular, "127.0.0.1 localhost"),
            ("etc/mtab", Symlink, "/etc/other"),
            ("proc", Regular, ""),
            ("run/", Directory, ""),
            ("run/.containerenv", Directory, ""),
            ("run/secrets/", Directory, ""),
            ("run/secrets/.wh.token", Regular, ""),
            ("sys/", Directory, ""),
            ("sys/own/", Directory, ""),
        ];
        let kept: Vec<&str> = all.iter().map(|(path, ..)| path.trim_end_matches('/')).collect();
        assert_eq!(rest(&PARENTS, &all), kept);
    }

    #[test]
    fn the_order_of_the_entries_does_not_matter() {
        let backwards = [
            ("run/mine", Regular, ""),
            ("run/secrets/", Directory, ""),
            ("run/.containerenv", Regular, ""),
            ("run/", Directory, ""),
            ("runtime/x", Regular, ""),
        ];
        assert_eq!(rest(&PARENTS, &backwards), ["run/mine", "run", "runtime/x"]);
    }
}
