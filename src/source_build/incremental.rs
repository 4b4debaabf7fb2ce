//! Owns what an earlier build saved: `save-artifacts` runs in the image of that build, and the tar that it prints is
//! read into entries for the new one.
//!
//! The tar is hostile input: names lead nowhere but below the directory of artifacts, links stay inside, an earlier
//! entry is not replaced by a later one. Must not decide what happens if there is nothing: that is the road's.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use super::scripts::GivenScripts;
use crate::assemble::{RunError, resolve_owner, upload};
use crate::engine::{Container, ContainerLimits, ContainerSpec, Engine};
use crate::events::Events;
use crate::failure::Failure;
use crate::fs::unpack::{link_stays_inside, member_path};
use crate::image::ImagePath;
use crate::image::layer::{Content, Entry, EntryKind, Layer, Owner};
use crate::plan::{PlannedScript, ScriptOrigin, SourceStage};

/// Most entries that are taken over.
const MAXIMUM_ENTRIES: usize = 1_000_000;

/// What an earlier build saved.
#[derive(Clone, Default)]
pub struct SavedArtifacts(Vec<SavedEntry>);

#[derive(Clone)]
struct SavedEntry {
    /// Below the directory of artifacts.
    path: String,
    kind: EntryKind,
    mode: u32,
}

/// Why nothing was saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError<E: Failure> {
    /// The script did not end well.
    #[error(transparent)]
    Run(#[from] RunError<E>),
    /// What it printed is no archive that can be taken over.
    #[error("what `{script}` printed cannot be taken over")]
    Archive {
        /// The script.
        script: ImagePath,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Runs `save-artifacts` in `image`, an earlier result.
///
/// # Errors
/// [`SaveError`]; the container is removed in any case.
pub async fn save_artifacts<E: Engine>(
    engine: &E,
    image: &str,
    script: &PlannedScript,
    run: &SaveRun<'_>,
    events: &Events,
) -> Result<SavedArtifacts, SaveError<E::Error>>
where
    E::Container: Container<Error = E::Error>,
{
    let archive = |source| SaveError::Archive { script: script.path.clone(), source };
    let file = Arc::new(tempfile::tempfile_in(run.directory).map_err(archive)?);
    let spec = ContainerSpec {
        image: image.to_owned(),
        command: vec![script.path.to_string()],
        environment: run.stage.environment.clone(),
        user: Some(run.stage.user.clone()),
        limits: run.limits.clone(),
        network: run.stage.limits.network.clone(),
        stdout: Some(file.clone()),
        lease: run.lease.to_owned(),
        ..ContainerSpec::default()
    };
    let container = engine.create(spec).await.map_err(RunError::Engine)?;
    let saved = run_in(&container, script, run, events).await;
    let removed = container.remove().await;
    saved?;
    removed.map_err(RunError::Engine)?;
    let read = tokio::task::spawn_blocking(move || entries(&file));
    read.await.map_err(io::Error::other).flatten().map(SavedArtifacts).map_err(archive)
}

/// What running the script needs.
pub struct SaveRun<'a> {
    /// The source stage.
    pub stage: &'a SourceStage,
    /// The scripts from outside.
    pub scripts: &'a GivenScripts,
    /// What it may use.
    pub limits: ContainerLimits,
    /// Directory for what it prints.
    pub directory: &'a std::path::Path,
    /// Date of uploaded files, in seconds since 1970.
    pub date: u64,
    /// The lease of this run.
    pub lease: &'a str,
}

async fn run_in<C: Container>(
    container: &C,
    script: &PlannedScript,
    run: &SaveRun<'_>,
    events: &Events,
) -> Result<(), RunError<C::Error>> {
    if script.origin != ScriptOrigin::Image {
        let owner = resolve_owner(container, &run.stage.user, &run.stage.builder.name).await?;
        let entries = run.scripts.entries(&["save-artifacts"], &run.stage.destination, owner);
        upload(container, Layer::new(entries, run.date)?, "save-artifacts", events).await?;
    }
    let ended = container.run(events).await.map_err(RunError::Engine)?;
    match ended.exit_code {
        0 => Ok(()),
        _ => Err(RunError::Script { script: script.path.clone(), ended }),
    }
}

impl SavedArtifacts {
    /// The entries below `directory`, with an entry for it; nothing if nothing was saved.
    pub(super) fn entries(&self, directory: &ImagePath, owner: Owner) -> Vec<Entry> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let path = |path: &str| directory.join(path).expect("names were checked when they were read");
        let top = Entry { path: directory.clone(), kind: EntryKind::Directory, mode: 0o755, owner };
        let entries = self.0.iter().map(|entry| {
            let kind = match &entry.kind {
                // As it was read: relative to the directory.
                EntryKind::HardLink { target } => EntryKind::HardLink { target: path(target.relative()) },
                kind => kind.clone(),
            };
            Entry { path: path(&entry.path), kind, mode: entry.mode, owner }
        });
        std::iter::once(top).chain(entries).collect()
    }
}

/// Reads the archive; special files are left out, everything else that is not confined is an error.
fn entries(file: &Arc<File>) -> io::Result<Vec<SavedEntry>> {
    let invalid = |name: &str, reason: &str| {
        io::Error::new(io::ErrorKind::InvalidData, format!("`{}`: {reason}", name.escape_debug()))
    };
    let mut reader = &**file;
    reader.rewind()?;
    let mut found: Vec<SavedEntry> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for entry in tar::Archive::new(reader).entries_with_seek()? {
        let entry = entry?;
        let name = String::from_utf8(entry.path_bytes().into_owned()).map_err(io::Error::other)?;
        let path = member_path(&name).map_err(io::Error::other)?;
        if path.is_empty() || !seen.insert(path.clone()) {
            continue;
        }
        if found.len() >= MAXIMUM_ENTRIES {
            return Err(invalid(&name, "there are more entries than are taken over"));
        }
        let link = entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned());
        let kind = match (entry.header().entry_type(), link) {
            (tar::EntryType::Directory, _) => EntryKind::Directory,
            (tar::EntryType::Regular | tar::EntryType::Continuous, _) => {
                let (start, size) = (entry.raw_file_position(), entry.size());
                EntryKind::File { size, content: Arc::new(Part { file: file.clone(), start, size }) }
            }
            (tar::EntryType::Symlink, Some(target)) => match link_stays_inside(&path, &target) {
                true => EntryKind::Symlink { target },
                false => return Err(invalid(&name, "it is a link that leads out of the artifacts")),
            },
            (tar::EntryType::Link, Some(target)) => {
                let target = member_path(&target).map_err(io::Error::other)?;
                if !seen.contains(&target) {
                    return Err(invalid(&name, "it is a second name of a file that is not there"));
                }
                EntryKind::HardLink {
                    target: ImagePath::new(&format!("/{target}")).map_err(io::Error::other)?,
                }
            }
            _ => continue,
        };
        found.push(SavedEntry { path, kind, mode: entry.header().mode()? & 0o777 });
    }
    Ok(found)
}

/// A part of a file.
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

    fn read(fill: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> io::Result<Vec<String>> {
        let mut tar = tar::Builder::new(Vec::new());
        fill(&mut tar);
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&tar.into_inner().expect("in memory")).expect("written");
        Ok(entries(&Arc::new(file))?.into_iter().map(|entry| entry.path).collect())
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
}
