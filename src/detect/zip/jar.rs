//! Owns the facts of runnable JARs, and the classes of a library JAR that could be started.
//! Must not run or load a class.

use std::io::{self, Read, Seek};

use super::super::bounded_reader::{BoundedReader, text};
use super::super::facts::JarFacts;
use super::super::rejection::Stop;
use super::archive::Directory;
use super::class_file::has_main_method;
use super::manifest::Manifest;
use super::{Contents, sample, spring_boot};

/// The facts of a JAR that `main_class` starts.
pub(super) fn detect(contents: &mut Contents<'_>, main_class: String) -> io::Result<JarFacts> {
    let Contents { archive, manifest, self_executing } = contents;
    let start_class = manifest.get("Start-Class").map(str::to_owned);
    let named: Vec<&str> =
        [Some(&main_class), start_class.as_ref()].into_iter().flatten().map(String::as_str).collect();
    let mut releases = sample::own_releases(archive, &named)?;
    let mut libraries = sample::Libraries::new();
    for position in sample::Libraries::choose(archive) {
        libraries.open(archive, position, &mut |library| {
            releases = releases.and(sample::library_releases(library)?);
            Ok(())
        })?;
    }
    let entries = archive.directory.entries_at(&archive.survey.libraries);
    let mut libraries: Vec<String> = entries.map(|entry| text(entry.name)).collect();
    libraries.sort_unstable();
    libraries.dedup();
    Ok(JarFacts {
        java: releases.lowest,
        preview: releases.is_preview(),
        multi_release: is_multi_release(manifest),
        has_main_class: has_class(&archive.directory, manifest, &main_class),
        spring_boot: spring_boot::detect(archive, manifest)?,
        class_path: manifest.class_path(),
        libraries,
        self_executing: *self_executing,
        main_class,
        start_class,
    })
}

fn is_multi_release(manifest: &Manifest) -> bool {
    manifest.get("Multi-Release").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Whether the archive has a class file of this name, for any release.
fn has_class(directory: &Directory, manifest: &Manifest, class: &str) -> bool {
    let file = format!("{}.class", class.trim().replace('.', "/"));
    let multi_release = is_multi_release(manifest);
    directory.entries().any(|entry| {
        entry.name == file.as_bytes()
            || multi_release && of_a_release(entry.name).is_some_and(|name| name == file.as_bytes())
    })
}

/// The name of a class for newer releases only: `META-INF/versions/<release>/<name>`.
fn of_a_release(name: &[u8]) -> Option<&[u8]> {
    let versioned = name.strip_prefix(b"META-INF/versions/")?;
    let end = versioned.iter().position(|byte| *byte == b'/')?;
    versioned[..end].iter().all(u8::is_ascii_digit).then_some(&versioned[end + 1..])
}

/// The result of a search in a JAR on a class path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassPathJar {
    pub has_class: bool,
    /// Its own `Class-Path`, which Java follows, too: relative URLs, decoded, in order.
    pub class_path: Vec<String>,
}

/// Searches for `class` in a JAR of `size` bytes; `None` if it is not a valid JAR.
pub fn class_path_jar<R: Read + Seek>(
    size: u64,
    mut content: R,
    class: &str,
) -> io::Result<Option<ClassPathJar>> {
    let mut view = BoundedReader::new(&mut content, size);
    let Contents { archive, manifest, .. } = match Contents::read(&mut view, false) {
        Ok(contents) => contents,
        Err(Stop::Refused(_)) => return Ok(None),
        Err(Stop::Read(error)) => return Err(error),
    };
    let has_class = has_class(&archive.directory, &manifest, class);
    Ok(Some(ClassPathJar { has_class, class_path: manifest.class_path() }))
}

/// The lowest Java release that runs the classes in a JAR of `size` bytes; `None` without classes, or if it is not a valid
/// JAR.
pub fn jar_release<R: Read + Seek>(size: u64, mut content: R) -> io::Result<Option<u32>> {
    let mut view = BoundedReader::new(&mut content, size);
    match Contents::read(&mut view, false) {
        Ok(mut contents) => sample::own_releases(&mut contents.archive, &[]).map(|releases| releases.lowest),
        Err(Stop::Refused(_)) => Ok(None),
        Err(Stop::Read(error)) => Err(error),
    }
}

/// Finds some classes with a main method in a JAR without a Main-Class. Nested classes are last.
pub(super) fn main_class_candidates(contents: &mut Contents<'_>) -> io::Result<Vec<String>> {
    const MOST_CANDIDATES: usize = 5;
    const MOST_CLASSES: usize = 20_000;
    const LONGEST_CLASS: u64 = 512 * 1024;
    let Contents { archive, manifest, .. } = contents;
    // Spring Boot's plugin writes `Start-Class` even without repackaging.
    let mut candidates: Vec<String> = manifest.get("Start-Class").map(str::to_owned).into_iter().collect();
    let mut nested = Vec::new();
    for position in sample::spread(&archive.survey.classes, MOST_CLASSES) {
        if candidates.len() >= MOST_CANDIDATES {
            break;
        }
        let Some(entry) = archive.directory.entry(position) else { continue };
        let Some(bytes) = entry.read(&mut archive.view, LONGEST_CLASS)? else { continue };
        if !has_main_method(&bytes) {
            continue;
        }
        let name = text(entry.name.strip_suffix(b".class").unwrap_or(entry.name)).replace('/', ".");
        match name.contains('$') {
            true => nested.push(name),
            false if !candidates.contains(&name) => candidates.push(name),
            false => {}
        }
    }
    candidates.extend(nested);
    candidates.truncate(MOST_CANDIDATES);
    Ok(candidates)
}
