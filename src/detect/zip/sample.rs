//! Owns sampling: which of many class files and libraries are looked at, so that the effort is bounded however
//! large the archive is. The limits are chosen so that the largest real archives stay below some milliseconds.

use std::io::{self, Cursor};

use super::super::bounded_reader::BoundedReader;
use super::archive::Directory;
use super::class_file::{self, RELEASE_BYTES};
use super::survey::Survey;

/// Class files looked at in the archive itself, one for each package first.
const MOST_PACKAGES: usize = 160;
const MOST_CLASSES: usize = 64;
/// Libraries looked at inside, and class files in each: a library is mostly compiled as one.
const MOST_LIBRARIES: usize = 256;
const CLASSES_A_LIBRARY: usize = 4;
/// Libraries that are compressed have to be inflated to be looked at, which is what takes time.
const INFLATED_LIBRARY: u64 = 2 * 1024 * 1024;
const INFLATED_TOTAL: u64 = 4 * 1024 * 1024;

/// Returns at most `most` items of a list, evenly spread, the first included.
pub(super) fn spread(positions: &[u32], most: usize) -> impl Iterator<Item = u32> + '_ {
    let step = positions.len().div_ceil(most.max(1)).max(1);
    positions.iter().copied().step_by(step)
}

/// The highest release that a sample of the archive's own class files needs. Named classes, as main
/// classes, are looked at in any case.
pub(super) fn own_release(
    view: &mut BoundedReader<'_>,
    directory: &Directory,
    survey: &Survey,
    named: &[&str],
) -> io::Result<Option<u32>> {
    let mut chosen: Vec<u32> = spread(&survey.packages, MOST_PACKAGES).collect();
    chosen.extend(spread(&survey.classes, MOST_CLASSES));
    chosen.extend(find_classes(directory, survey, named));
    chosen.sort_unstable();
    chosen.dedup();
    highest_release(view, directory, chosen.into_iter())
}

/// The highest release that a few class files of a library need.
pub(super) fn library_release(
    view: &mut BoundedReader<'_>,
    directory: &Directory,
    survey: &Survey,
) -> io::Result<Option<u32>> {
    let chosen: Vec<u32> = spread(&survey.packages, CLASSES_A_LIBRARY).collect();
    highest_release(view, directory, chosen.into_iter())
}

fn highest_release(
    view: &mut BoundedReader<'_>,
    directory: &Directory,
    positions: impl Iterator<Item = u32>,
) -> io::Result<Option<u32>> {
    let mut highest = None;
    for entry in positions.filter_map(|position| directory.entry(position)) {
        let content = entry.read(view, RELEASE_BYTES)?;
        highest = highest.max(content.and_then(|bytes| class_file::release(&bytes)));
    }
    Ok(highest)
}

/// Finds classes by their names, at the places where classes are loaded from, with all of their package.
fn find_classes(directory: &Directory, survey: &Survey, named: &[&str]) -> Vec<u32> {
    const MOST_FOUND: usize = 32;
    let paths: Vec<String> = named.iter().map(|name| name.replace('.', "/") + ".class").collect();
    let mut found = Vec::new();
    for position in &survey.classes {
        let Some(entry) = directory.entry(*position) else { continue };
        let name = [&b"BOOT-INF/classes/"[..], b"WEB-INF/classes/"]
            .iter()
            .find_map(|root| entry.name.strip_prefix(*root))
            .unwrap_or(entry.name);
        if paths.iter().any(|path| path.as_bytes() == name) {
            found.push(*position);
        }
        if found.len() >= MOST_FOUND {
            break;
        }
    }
    found
}

/// Opens libraries inside an archive, within bounds.
pub(super) struct Libraries {
    left: usize,
    inflatable: u64,
}

impl Libraries {
    pub(super) fn new() -> Self {
        Self { left: MOST_LIBRARIES, inflatable: INFLATED_TOTAL }
    }

    /// Chooses the libraries that are worth opening: those on the class path, evenly spread if they are too many.
    pub(super) fn choose(directory: &Directory, survey: &Survey) -> Vec<u32> {
        let on_class_path =
            survey.libraries.iter().copied().filter(|position| {
                directory.entry(*position).is_some_and(|entry| is_on_class_path(entry.name))
            });
        spread(&on_class_path.collect::<Vec<_>>(), MOST_LIBRARIES).collect()
    }

    /// Opens one library and hands its content to `look`. Does nothing if it is damaged or the effort is used up.
    pub(super) fn open(
        &mut self,
        view: &mut BoundedReader<'_>,
        directory: &Directory,
        position: u32,
        look: &mut dyn FnMut(&mut BoundedReader<'_>, &Directory, &Survey) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(entry) = directory.entry(position).filter(|_| self.left > 0) else { return Ok(()) };
        self.left -= 1;
        if entry.is_stored() {
            return match entry.view(view)? {
                Some(mut inner) => look_inside(&mut inner, look),
                None => Ok(()),
            };
        }
        if entry.size > INFLATED_LIBRARY.min(self.inflatable) {
            return Ok(());
        }
        let Some(content) = entry.read(view, INFLATED_LIBRARY as usize)? else { return Ok(()) };
        self.inflatable -= (content.len() as u64).min(self.inflatable);
        let size = content.len() as u64;
        look_inside(&mut BoundedReader::new(&mut Cursor::new(content), size), look)
    }
}

fn look_inside(
    view: &mut BoundedReader<'_>,
    look: &mut dyn FnMut(&mut BoundedReader<'_>, &Directory, &Survey) -> io::Result<()>,
) -> io::Result<()> {
    match Directory::read_inner(view)? {
        Some(directory) => {
            let survey = Survey::take(&directory);
            look(view, &directory, &survey)
        }
        None => Ok(()),
    }
}

/// Whether a launcher or a servlet container loads classes from the library. JARs elsewhere are data.
fn is_on_class_path(name: &[u8]) -> bool {
    [&b"BOOT-INF/lib/"[..], b"WEB-INF/lib/", b"WEB-INF/lib-provided/"]
        .iter()
        .any(|directory| name.starts_with(directory))
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
