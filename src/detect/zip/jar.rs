//! Owns the facts of runnable JARs, and the classes of a library JAR that could be started.
//!
//! Must not run or load a class.

use std::io::{self, Read, Seek};

use super::super::bounded_reader::{BoundedReader, text};
use super::super::facts::JarFacts;
use super::super::rejection::Stop;
use super::archive::Directory;
use super::class_file::ConstantPool;
use super::manifest::Manifest;
use super::survey::Survey;
use super::{Contents, sample, spring_boot};

/// Reads the facts of a JAR that `main_class` starts.
pub(super) fn detect(
    view: &mut BoundedReader<'_>,
    contents: &Contents,
    main_class: String,
) -> io::Result<JarFacts> {
    let Contents { directory, survey, manifest, self_executing } = contents;
    let start_class = manifest.get("Start-Class").map(str::to_owned);
    let named: Vec<&str> =
        [Some(main_class.as_str()), start_class.as_deref()].into_iter().flatten().collect();
    let mut java = sample::own_release(view, directory, survey, &named)?;
    let mut libraries = sample::Libraries::new();
    for position in sample::Libraries::choose(directory, survey) {
        libraries.open(view, directory, position, &mut |view, directory, survey| {
            java = java.max(sample::library_release(view, directory, survey)?);
            Ok(())
        })?;
    }
    Ok(JarFacts {
        java,
        multi_release: is_multi_release(manifest),
        has_main_class: has_class(directory, is_multi_release(manifest), &main_class),
        spring_boot: spring_boot::detect(view, directory, survey, manifest)?,
        class_path: manifest.class_path(),
        libraries: library_names(directory, survey),
        self_executing: *self_executing,
        main_class,
        start_class,
    })
}

fn is_multi_release(manifest: &Manifest) -> bool {
    manifest.get("Multi-Release").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Whether there is a class file with this name, for any release.
fn has_class(directory: &Directory, multi_release: bool, class: &str) -> bool {
    let file = format!("{}.class", class.trim().replace('.', "/"));
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

/// The result of searching a JAR on a class path.
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
    let contents = match Contents::read(&mut view, false) {
        Ok(contents) => contents,
        Err(Stop::Refused(_)) => return Ok(None),
        Err(Stop::Read(error)) => return Err(error),
    };
    let Contents { directory, manifest, .. } = &contents;
    let has_class = has_class(directory, is_multi_release(manifest), class);
    Ok(Some(ClassPathJar { has_class, class_path: manifest.class_path() }))
}

fn library_names(directory: &Directory, survey: &Survey) -> Vec<String> {
    let entries = survey.libraries.iter().filter_map(|position| directory.entry(*position));
    let mut names: Vec<String> = entries.map(|entry| text(entry.name)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Finds some classes with a main method, for a JAR without a Main-Class.
pub(super) fn main_class_candidates(
    view: &mut BoundedReader<'_>,
    directory: &Directory,
    survey: &Survey,
    manifest: &Manifest,
) -> io::Result<Vec<String>> {
    const MOST_CANDIDATES: usize = 5;
    const MOST_LOOKED_AT: usize = 256;
    const LONGEST_CLASS: usize = 128 * 1024;
    // Spring Boot's plugin writes it even if it does not repackage.
    let mut candidates: Vec<String> = manifest.get("Start-Class").map(str::to_owned).into_iter().collect();
    for position in sample::spread(&survey.classes, MOST_LOOKED_AT) {
        if candidates.len() >= MOST_CANDIDATES {
            break;
        }
        let Some(entry) = directory.entry(position) else { continue };
        let Some(bytes) = entry.read(view, LONGEST_CLASS)? else { continue };
        let name = text(entry.name.strip_suffix(b".class").unwrap_or(entry.name)).replace('/', ".");
        let has_main = ConstantPool::parse(&bytes).is_some_and(|pool| pool.may_have_main_method());
        if has_main && !candidates.contains(&name) {
            candidates.push(name);
        }
    }
    Ok(candidates)
}
