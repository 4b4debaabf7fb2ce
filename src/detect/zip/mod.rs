//! Owns ZIP archives: which are runnable JARs or WARs, and what the others are.
//!
//! Must not read the whole file, only the central directory and a bounded sample of members.

mod archive;
pub(super) mod class_file;
mod jar;
mod manifest;
mod sample;
mod spring_boot;
mod survey;
mod war;

#[cfg(test)]
mod tests;

pub(super) use archive::MEMBER_MAGIC;
pub use jar::{ClassPathJar, class_path_jar};

use std::io;

use archive::Directory;
use manifest::Manifest;
use survey::Survey;

use super::bounded_reader::BoundedReader;
use super::diagnosis::OtherZip;
use super::facts::Kind;
use super::rejection::{Rejection, Stop};

/// Real manifests have some kilobytes, or some hundred with many signatures.
const LONGEST_MANIFEST: usize = 4 * 1024 * 1024;
const EMPTY_MAGIC: &[u8] = b"PK\x05\x06";
const SPLIT_MAGIC: &[u8] = b"PK\x07\x08";

/// The parts of an archive that decide its kind.
struct Contents {
    directory: Directory,
    survey: Survey,
    manifest: Manifest,
    self_executing: bool,
}

/// Whether a file begins with a ZIP archive.
pub(super) fn is_archive(head: &[u8]) -> bool {
    [MEMBER_MAGIC, EMPTY_MAGIC, SPLIT_MAGIC].iter().any(|magic| head.starts_with(magic))
}

/// Reads the facts of a file that begins with an archive.
///
/// # Errors
/// An archive that is damaged, encrypted, or neither a WAR nor a runnable JAR is refused.
pub(super) fn detect(
    name: &str,
    head: &[u8],
    view: &mut BoundedReader<'_>,
    main_class: Option<&str>,
) -> Result<Kind, Stop> {
    let contents = Contents::read(view, false).map_err(|stop| match stop {
        Stop::Refused(Rejection::TruncatedZip) if head.starts_with(SPLIT_MAGIC) => Rejection::SplitZip.into(),
        stop => stop,
    })?;
    decide(name, view, &contents, main_class)
}

/// Reads the facts of a JAR or WAR after other bytes, such as a launch script; `None` if there is none.
///
/// # Errors
/// As [`detect`], if the file has the name of a JAR or WAR.
pub(super) fn detect_behind(
    name: &str,
    is_script: bool,
    view: &mut BoundedReader<'_>,
    main_class: Option<&str>,
) -> Result<Option<Kind>, Stop> {
    let named = has_ending(name, ".jar") || has_ending(name, ".war");
    let contents = match Contents::read(view, is_script) {
        Ok(contents) => contents,
        // A file with such a name and a launch script is truncated. Without a launch script it is not an archive.
        Err(Stop::Refused(rejection)) if named && (is_script || rejection != Rejection::TruncatedZip) => {
            return Err(rejection.into());
        }
        Err(Stop::Refused(_)) => return Ok(None),
        Err(stop) => return Err(stop),
    };
    let starts_java = contents.survey.web || contents.manifest.get("Main-Class").is_some();
    if contents.survey.python_main || !(named || starts_java) {
        return Ok(None);
    }
    decide(name, view, &contents, main_class).map(Some)
}

impl Contents {
    fn read(view: &mut BoundedReader<'_>, self_executing: bool) -> Result<Self, Stop> {
        let directory = Directory::read(view)?;
        let survey = Survey::take(&directory);
        if survey.entries < directory.stated_count() {
            let (read, stated) = (survey.entries, directory.stated_count());
            let reason = format!("its directory states {stated} entries, but only {read} can be read");
            return Err(Rejection::DamagedZip { reason }.into());
        }
        if let Some(member) = survey.encrypted.clone() {
            return Err(Rejection::EncryptedZip { member }.into());
        }
        let manifest = match survey.manifest.and_then(|position| directory.entry(position)) {
            Some(entry) => {
                let unreadable = || {
                    let name = entry.shown_name();
                    let reason =
                        format!("`{name}` cannot be read (Java reads members that are stored or deflated)");
                    Rejection::DamagedZip { reason }
                };
                Manifest::parse(&entry.read(view, LONGEST_MANIFEST)?.ok_or_else(unreadable)?)
            }
            None => Manifest::default(),
        };
        Ok(Self { directory, survey, manifest, self_executing })
    }
}

fn decide(
    name: &str,
    view: &mut BoundedReader<'_>,
    contents: &Contents,
    main_class: Option<&str>,
) -> Result<Kind, Stop> {
    let survey = &contents.survey;
    let main_class = main_class.or_else(|| contents.manifest.get("Main-Class")).map(str::to_owned);
    let jar =
        |view: &mut BoundedReader<'_>, main_class| Ok(Kind::Jar(jar::detect(view, contents, main_class)?));
    match main_class {
        // Shaded JARs contain descriptors of their parts, so the name decides.
        Some(main_class) if has_ending(name, ".jar") => jar(view, main_class),
        _ if survey.enterprise || has_ending(name, ".ear") => Err(other(OtherZip::Ear)),
        _ if survey.resource_adapter => Err(other(OtherZip::ResourceAdapter)),
        main_class if survey.web || has_ending(name, ".war") => {
            Ok(Kind::War(war::detect(view, contents, main_class)?))
        }
        Some(main_class) => jar(view, main_class),
        None => Err(refuse(name, view, contents)?),
    }
}

fn other(what: OtherZip) -> Stop {
    Rejection::OtherZip { what }.into()
}

/// The rejection of an archive that cannot be started.
fn refuse(name: &str, view: &mut BoundedReader<'_>, contents: &Contents) -> io::Result<Stop> {
    let Contents { directory, survey, manifest, .. } = contents;
    let what = if survey.files == 0 {
        OtherZip::Nothing
    } else if survey.android && (survey.dex || has_ending(name, ".apk")) {
        OtherZip::Apk
    } else if survey.android {
        OtherZip::Aar
    } else if survey.wheel {
        OtherZip::Wheel
    } else if !survey.classes.is_empty() {
        let candidates = jar::main_class_candidates(view, directory, survey, manifest)?;
        return Ok(Rejection::LibraryJar { candidates }.into());
    } else if survey.documentation {
        OtherZip::Javadoc
    } else if survey.sources > 0 {
        OtherZip::Sources
    } else {
        OtherZip::Plain
    };
    Ok(other(what))
}

/// Compares the ending of a file name, without case.
pub(super) fn has_ending(name: &str, ending: &str) -> bool {
    name.len() > ending.len()
        && name.is_char_boundary(name.len() - ending.len())
        && name[name.len() - ending.len()..].eq_ignore_ascii_case(ending)
}
