//! Owns sampling: the choice of class files and libraries that are read, so that even the largest archive takes only
//! milliseconds. Must not interpret them.

use std::io::{self, Cursor};

use super::super::bounded_reader::BoundedReader;
use super::Archive;
use super::archive::Directory;
use super::class_file::{RELEASE_BYTES, Releases};
use super::survey::Survey;

/// The limits of class files in the archive itself: one for each package, then others.
const MOST_PACKAGES: usize = 160;
const MOST_CLASSES: usize = 64;
/// The limits of libraries, and of class files in each. Most libraries are compiled at once.
const MOST_LIBRARIES: usize = 256;
const CLASSES_A_LIBRARY: usize = 4;
/// The limits of compressed libraries in bytes. Decompressing them takes most of the time.
const INFLATED_LIBRARY: u64 = 2 * 1024 * 1024;
const INFLATED_TOTAL: u64 = 4 * 1024 * 1024;

/// At most `most` items of a list, evenly spread. The first item is one of them.
pub(super) fn spread(positions: &[u32], most: usize) -> impl Iterator<Item = u32> + '_ {
    let step = positions.len().div_ceil(most.max(1)).max(1);
    positions.iter().copied().step_by(step)
}

/// The releases that a sample of the archive's own class files needs. `named` classes, such as the main class,
/// are always in the sample.
pub(super) fn own_releases(archive: &mut Archive<'_>, named: &[&str]) -> io::Result<Releases> {
    let mut chosen: Vec<u32> = spread(&archive.survey.packages, MOST_PACKAGES).collect();
    chosen.extend(spread(&archive.survey.classes, MOST_CLASSES));
    chosen.extend(find_classes(archive, named));
    chosen.sort_unstable();
    chosen.dedup();
    releases(archive, &chosen)
}

/// The releases that a few class files of a library need.
pub(super) fn library_releases(library: &mut Archive<'_>) -> io::Result<Releases> {
    let chosen: Vec<u32> = spread(&library.survey.packages, CLASSES_A_LIBRARY).collect();
    releases(library, &chosen)
}

fn releases(archive: &mut Archive<'_>, positions: &[u32]) -> io::Result<Releases> {
    let mut all = Releases::default();
    for entry in archive.directory.entries_at(positions) {
        if let Some(bytes) = entry.read(&mut archive.view, RELEASE_BYTES)? {
            all = all.and(Releases::of_class(&bytes));
        }
    }
    Ok(all)
}

/// Finds classes by name, in the directories from which classes are loaded.
fn find_classes(archive: &Archive<'_>, named: &[&str]) -> Vec<u32> {
    const MOST_FOUND: usize = 32;
    let paths: Vec<String> = named.iter().map(|name| name.replace('.', "/") + ".class").collect();
    let roots = [&b"BOOT-INF/classes/"[..], b"WEB-INF/classes/"];
    let entries = archive.directory.entries_at(&archive.survey.classes);
    let is_named = |name: &[u8]| {
        let name = roots.iter().find_map(|root| name.strip_prefix(*root)).unwrap_or(name);
        paths.iter().any(|path| path.as_bytes() == name)
    };
    entries.filter(|entry| is_named(entry.name)).map(|entry| entry.position).take(MOST_FOUND).collect()
}

/// Opens libraries in an archive, within limits.
pub(super) struct Libraries {
    left: usize,
    inflatable: u64,
}

impl Libraries {
    pub(super) fn new() -> Self {
        Self { left: MOST_LIBRARIES, inflatable: INFLATED_TOTAL }
    }

    /// Chooses libraries on the class path, evenly spread if they are too many.
    pub(super) fn choose(archive: &Archive<'_>) -> Vec<u32> {
        let entries = archive.directory.entries_at(&archive.survey.libraries);
        let positions = entries.filter(|entry| is_on_class_path(entry.name)).map(|entry| entry.position);
        spread(&positions.collect::<Vec<_>>(), MOST_LIBRARIES).collect()
    }

    /// Opens one library and calls `visit`. Does nothing if it is damaged or a limit is reached.
    pub(super) fn open(
        &mut self,
        archive: &mut Archive<'_>,
        position: u32,
        visit: &mut dyn FnMut(&mut Archive<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(entry) = archive.directory.entry(position).filter(|_| self.left > 0) else { return Ok(()) };
        self.left -= 1;
        if entry.is_stored() {
            return match entry.view(&mut archive.view)? {
                Some(library) => visit_library(library, visit),
                None => Ok(()),
            };
        }
        if entry.size > INFLATED_LIBRARY.min(self.inflatable) {
            return Ok(());
        }
        let Some(content) = entry.read(&mut archive.view, INFLATED_LIBRARY)? else { return Ok(()) };
        let size = content.len() as u64;
        self.inflatable -= size.min(self.inflatable);
        visit_library(BoundedReader::new(&mut Cursor::new(content), size), visit)
    }
}

fn visit_library(
    mut view: BoundedReader<'_>,
    visit: &mut dyn FnMut(&mut Archive<'_>) -> io::Result<()>,
) -> io::Result<()> {
    match Directory::read_inner(&mut view)? {
        Some(directory) => visit(&mut Archive { view, survey: Survey::of(&directory), directory }),
        None => Ok(()),
    }
}

/// Whether a launcher or a servlet container loads classes from the library. JARs elsewhere are data.
fn is_on_class_path(name: &[u8]) -> bool {
    let directories = [&b"BOOT-INF/lib/"[..], b"WEB-INF/lib/", b"WEB-INF/lib-provided/"];
    directories.iter().any(|directory| name.starts_with(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_spread_and_bounded() {
        let all: Vec<u32> = (0..1000).collect();
        let chosen: Vec<u32> = spread(&all, 10).collect();
        assert_eq!(chosen, (0..1000).step_by(100).collect::<Vec<_>>());
        assert_eq!(spread(&all[..3], 10).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(spread(&all, 7).count() <= 7);
        assert_eq!(spread(&[], 7).count(), 0);
    }
}
