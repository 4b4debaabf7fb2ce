//! Owns files that move from one container to another: it reads the tar of the first into entries for the second.
//!
//! The tar is hostile. Must not accept a name outside of the target directory, replace an entry by a later one, or follow a
//! link.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use crate::fs::BoundedTar;
use crate::fs::unpack::{link_stays_inside, member_path};
use crate::image::ImagePath;
use crate::image::layer::{Content, Entry, EntryKind, Owner};

/// Largest number of entries.
const MAXIMUM_ENTRIES: usize = 1_000_000;

/// The files of a tar. Their bytes stay in it.
#[derive(Clone, Default)]
pub struct ContainerFiles(Vec<ContainerFile>);

#[derive(Clone)]
struct ContainerFile {
    /// Relative to the common directory.
    path: String,
    kind: EntryKind,
    mode: u32,
}

/// The treatment of symbolic links that lead out of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutwardLinks {
    Refuse,
    /// The links stay, and lead to a path of the other container.
    Allow,
}

impl ContainerFiles {
    /// Reads a tar, without special files.
    ///
    /// # Errors
    /// An error of reading, or one that names the refused entry.
    pub fn read(file: &Arc<File>, outward: OutwardLinks) -> io::Result<Self> {
        let invalid = |name: &str, reason: &str| {
            io::Error::new(io::ErrorKind::InvalidData, format!("`{}`: {reason}", name.escape_debug()))
        };
        let mut reader = &**file;
        reader.rewind()?;
        let mut found: Vec<ContainerFile> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for entry in BoundedTar::new(reader).entries_with_seek()? {
            let entry = entry?;
            let name = String::from_utf8(entry.path_bytes().into_owned()).map_err(io::Error::other)?;
            let path = member_path(&name).map_err(io::Error::other)?;
            if path.is_empty() || !seen.insert(path.clone()) {
                continue;
            }
            if found.len() >= MAXIMUM_ENTRIES {
                return Err(invalid(&name, "there are too many entries"));
            }
            let link = entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned());
            let kind = match (entry.header().entry_type(), link) {
                (tar::EntryType::Directory, _) => EntryKind::Directory,
                (tar::EntryType::Regular | tar::EntryType::Continuous, _) => {
                    let (start, size) = (entry.raw_file_position(), entry.size());
                    EntryKind::File { size, content: Arc::new(Part { file: file.clone(), start, size }) }
                }
                (tar::EntryType::Symlink, Some(target)) => {
                    if outward == OutwardLinks::Refuse && !link_stays_inside(&path, &target) {
                        return Err(invalid(&name, "the link leads out of the artifacts"));
                    }
                    if target.is_empty() || target.contains('\0') {
                        return Err(invalid(&name, "the link has no valid target"));
                    }
                    EntryKind::Symlink { target }
                }
                (tar::EntryType::Link, Some(target)) => {
                    let target = member_path(&target).map_err(io::Error::other)?;
                    if !seen.contains(&target) {
                        return Err(invalid(&name, "it is a hard link to a file that does not exist"));
                    }
                    EntryKind::HardLink {
                        target: ImagePath::new(&format!("/{target}")).map_err(io::Error::other)?,
                    }
                }
                _ => continue,
            };
            found.push(ContainerFile { path, kind, mode: entry.header().mode()? & 0o777 });
        }
        Ok(Self(found))
    }

    /// The target, if this is exactly one symbolic link.
    pub fn only_link(&self) -> Option<&str> {
        match &self.0[..] {
            [ContainerFile { kind: EntryKind::Symlink { target }, .. }] => Some(target),
            _ => None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `name` as the first part of each path.
    #[must_use]
    pub fn below_name(self, name: &str) -> Self {
        let renamed = |path: &str| match path.split_once('/') {
            Some((_, rest)) => format!("{name}/{rest}"),
            None => name.to_owned(),
        };
        let files = self.0.into_iter().map(|file| {
            let kind = match file.kind {
                EntryKind::HardLink { target } => EntryKind::HardLink {
                    target: ImagePath::new(&format!("/{}", renamed(target.relative())))
                        .expect("only one name changed"),
                },
                kind => kind,
            };
            ContainerFile { path: renamed(&file.path), kind, mode: file.mode }
        });
        Self(files.collect())
    }

    /// The entries below `directory`.
    pub fn entries(&self, directory: &ImagePath, owner: Owner) -> Vec<Entry> {
        let path = |path: &str| directory.join(path).expect("names were checked when they were read");
        let entry = |file: &ContainerFile| {
            let kind = match &file.kind {
                // The target was relative to the common directory.
                EntryKind::HardLink { target } => EntryKind::HardLink { target: path(target.relative()) },
                kind => kind.clone(),
            };
            Entry { path: path(&file.path), kind, mode: file.mode, owner }
        };
        self.0.iter().map(entry).collect()
    }
}

struct Part {
    file: Arc<File>,
    start: u64,
    size: u64,
}

impl Content for Part {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(self.start))?;
        Ok(Box::new(file.take(self.size)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn files(
        outward: OutwardLinks,
        fill: impl FnOnce(&mut tar::Builder<Vec<u8>>),
    ) -> io::Result<ContainerFiles> {
        let mut tar = tar::Builder::new(Vec::new());
        fill(&mut tar);
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&tar.into_inner().expect("in memory")).expect("written");
        ContainerFiles::read(&Arc::new(file), outward)
    }

    fn read(fill: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> io::Result<Vec<String>> {
        let files = files(OutwardLinks::Refuse, fill)?;
        Ok(files.0.into_iter().map(|file| file.path).collect())
    }

    fn add(tar: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, name: &str, link: &str) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(0);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        tar.append(&header, io::empty()).expect("in memory");
    }

    #[test]
    fn nothing_leads_out_and_the_first_of_a_name_counts() {
        use tar::EntryType::{Fifo, Link, Regular, Symlink};
        let good = read(|tar| {
            add(tar, Regular, "./a", "");
            add(tar, Regular, "a", "");
            add(tar, Symlink, "lib/l", "../a");
            add(tar, Link, "b", "a");
            add(tar, Fifo, "pipe", "");
        });
        assert_eq!(good.expect("valid"), ["a", "lib/l", "b"]);
        for (kind, name, link) in [
            (Regular, "../x", ""),
            (Regular, "/etc/passwd", ""),
            (Symlink, "l", "/etc"),
            (Symlink, "l", "../x"),
            (Link, "h", "../x"),
            (Link, "h", "missing"),
        ] {
            assert!(read(|tar| add(tar, kind, name, link)).is_err(), "{name} {link}");
        }
    }

    #[test]
    fn outward_links_stay_links_where_they_may() {
        use tar::EntryType::{Directory, Link, Regular, Symlink};
        let files = files(OutwardLinks::Allow, |tar| {
            add(tar, Directory, "app", "");
            add(tar, Regular, "app/a", "");
            add(tar, Link, "app/b", "app/a");
            add(tar, Symlink, "app/python", "/usr/bin/python3");
        });
        let files = files.expect("valid");
        assert_eq!(files.only_link(), None);
        let below = ImagePath::new("/srv").expect("valid");
        let entries = files.below_name("shop").entries(&below, Owner::ROOT);
        let shown: Vec<String> = entries.iter().map(|entry| format!("{entry:?}")).collect();
        assert_eq!(
            shown,
            [
                "0644 0:0 /srv/shop",
                "0644 0:0 /srv/shop/a",
                "0644 0:0 /srv/shop/b",
                "0644 0:0 /srv/shop/python"
            ]
        );
        let is_link = |entry: &Entry| matches!(&entry.kind, EntryKind::Symlink { target } if target == "/usr/bin/python3");
        assert!(is_link(&entries[3]));
        assert!(
            matches!(&entries[2].kind, EntryKind::HardLink { target } if target.as_str() == "/srv/shop/a"),
            "the file has its new name"
        );
        crate::image::layer::Layer::new(entries, 0).expect("no contradictions");
    }
}
