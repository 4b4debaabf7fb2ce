//! Owns ZIP archives: which are runnable JARs or WARs, and what the others are.
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
pub use jar::{ClassPathJar, class_path_jar, jar_release};

use std::io;

use archive::Directory;
use manifest::Manifest;
use survey::Survey;

use super::bounded_reader::{BoundedReader, text};
use super::diagnosis::OtherZip;
use super::facts::Kind;
use super::rejection::{Rejection, Stop};

/// Manifests have some kilobytes, or some hundred with many signatures.
const LONGEST_MANIFEST: u64 = 4 * 1024 * 1024;
const EMPTY_MAGIC: &[u8] = b"PK\x05\x06";
const SPLIT_MAGIC: &[u8] = b"PK\x07\x08";

/// An archive with the summary of its directory.
struct Archive<'a> {
    view: BoundedReader<'a>,
    directory: Directory,
    survey: Survey,
}

/// The parts of an archive that decide its kind.
struct Contents<'a> {
    archive: Archive<'a>,
    manifest: Manifest,
    self_executing: bool,
}

pub(super) fn is_archive(head: &[u8]) -> bool {
    [MEMBER_MAGIC, EMPTY_MAGIC, SPLIT_MAGIC].iter().any(|magic| head.starts_with(magic))
}

/// The kind of a file that begins with an archive.
pub(super) fn detect(
    name: &str,
    head: &[u8],
    view: &mut BoundedReader<'_>,
    main_class: Option<&str>,
) -> Result<Kind, Stop> {
    let mut contents = Contents::read(view, false).map_err(|stop| match stop {
        Stop::Refused(Rejection::TruncatedZip) if head.starts_with(SPLIT_MAGIC) => Rejection::SplitZip.into(),
        stop => stop,
    })?;
    decide(name, &mut contents, main_class)
}

/// The kind of a JAR or WAR after other bytes, such as a launch script; `None` for other files. A damaged archive is
/// refused only if the file has the name of a JAR or WAR.
pub(super) fn detect_behind(
    name: &str,
    is_script: bool,
    view: &mut BoundedReader<'_>,
    main_class: Option<&str>,
) -> Result<Option<Kind>, Stop> {
    let named = has_ending(name, ".jar") || has_ending(name, ".war");
    let mut contents = match Contents::read(view, is_script) {
        Ok(contents) => contents,
        // With such a name and a launch script, the file is truncated. Without a launch script it is not an archive.
        Err(Stop::Refused(rejection)) if named && (is_script || rejection != Rejection::TruncatedZip) => {
            return Err(rejection.into());
        }
        Err(Stop::Refused(_)) => return Ok(None),
        Err(stop) => return Err(stop),
    };
    let survey = &contents.archive.survey;
    let starts_java = survey.web || contents.manifest.get("Main-Class").is_some();
    if survey.python_main || !(named || starts_java) {
        return Ok(None);
    }
    decide(name, &mut contents, main_class).map(Some)
}

impl<'a> Contents<'a> {
    fn read(view: &'a mut BoundedReader<'_>, self_executing: bool) -> Result<Self, Stop> {
        let directory = Directory::read(view)?;
        let survey = Survey::of(&directory);
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
        Ok(Self { archive: Archive { view: view.reborrow(), directory, survey }, manifest, self_executing })
    }
}

fn decide(name: &str, contents: &mut Contents<'_>, main_class_of_user: Option<&str>) -> Result<Kind, Stop> {
    let survey = &contents.archive.survey;
    match main_class_of_user.or_else(|| contents.manifest.get("Main-Class")).map(str::to_owned) {
        // Shaded JARs contain descriptors of their parts, so the name decides.
        Some(main_class) if has_ending(name, ".jar") => {
            check_launcher(contents, main_class_of_user)?;
            Ok(Kind::Jar(jar::detect(contents, main_class)?))
        }
        _ if survey.enterprise || has_ending(name, ".ear") => Err(other(OtherZip::Ear)),
        _ if survey.resource_adapter => Err(other(OtherZip::ResourceAdapter)),
        main_class if survey.web || has_ending(name, ".war") => {
            Ok(Kind::War(war::detect(contents, main_class)?))
        }
        Some(main_class) => {
            check_launcher(contents, main_class_of_user)?;
            Ok(Kind::Jar(jar::detect(contents, main_class)?))
        }
        None => Err(refuse(name, contents)?),
    }
}

/// Refuses a JAR that `java -jar` refuses. A class that the user names is started by `java -cp`, which is less strict.
///
/// Source: OpenJDK, `parse_manifest.c`: nothing may follow the end record, and the name of the manifest is exact.
fn check_launcher(contents: &Contents<'_>, main_class_of_user: Option<&str>) -> Result<(), Stop> {
    let Archive { directory, survey, .. } = &contents.archive;
    let reason = if directory.trailing() > 0 {
        format!("{} bytes follow its end", directory.trailing())
    } else if !survey.has_launcher_manifest {
        "the name of its manifest is not exactly `META-INF/MANIFEST.MF`".to_owned()
    } else {
        return Ok(());
    };
    if main_class_of_user.is_some() {
        return Ok(());
    }
    let main_class = contents.manifest.get("Main-Class").unwrap_or_default();
    Err(Rejection::LauncherRefuses { reason, main_class: text(main_class.as_bytes()) }.into())
}

fn other(what: OtherZip) -> Stop {
    Rejection::OtherZip { what }.into()
}

fn refuse(name: &str, contents: &mut Contents<'_>) -> io::Result<Stop> {
    let survey = &contents.archive.survey;
    Ok(other(if survey.files == 0 {
        OtherZip::Nothing
    } else if survey.android && (survey.dex || has_ending(name, ".apk")) {
        OtherZip::Apk
    } else if survey.android {
        OtherZip::Aar
    } else if survey.wheel {
        OtherZip::Wheel
    } else if !survey.classes.is_empty() {
        return Ok(Rejection::LibraryJar { candidates: jar::main_class_candidates(contents)? }.into());
    } else if survey.documentation {
        OtherZip::Javadoc
    } else if survey.sources > 0 {
        OtherZip::Sources
    } else {
        OtherZip::Plain
    }))
}

/// Compares the ending of a file name, without case.
pub(super) fn has_ending(name: impl AsRef<[u8]>, ending: &str) -> bool {
    let (name, ending) = (name.as_ref(), ending.as_bytes());
    name.len() > ending.len() && name[name.len() - ending.len()..].eq_ignore_ascii_case(ending)
}
