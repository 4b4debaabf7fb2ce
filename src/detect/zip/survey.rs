//! Owns the pass over an archive's directory: its content by names alone.
//!
//! It stores positions, so that a hundred thousand entries take some hundred kilobytes. Must not read members.

use super::archive::{Directory, Entry};

/// More JSPs and tag libraries add no evidence.
const MOST_PAGES: usize = 16;

/// A summary of the names in an archive. Positions are those of [`Directory::entry`].
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Entries, directories included.
    pub(super) entries: u64,
    /// Entries that are not directories.
    pub(super) files: u64,
    /// The first encrypted member.
    pub(super) encrypted: Option<String>,
    /// META-INF/MANIFEST.MF.
    pub(super) manifest: Option<u32>,
    /// WEB-INF/web.xml.
    pub(super) web_descriptor: Option<u32>,
    /// Whether there is a WEB-INF directory.
    pub(super) web: bool,
    /// Whether there is a BOOT-INF directory.
    pub(super) boot: bool,
    /// META-INF/application.xml.
    pub(super) enterprise: bool,
    /// META-INF/ra.xml.
    pub(super) resource_adapter: bool,
    /// AndroidManifest.xml.
    pub(super) android: bool,
    /// classes.dex.
    pub(super) dex: bool,
    /// *.dist-info/WHEEL.
    pub(super) wheel: bool,
    /// __main__.py: a Python zipapp.
    pub(super) python_main: bool,
    /// Source files of the JVM's languages.
    pub(super) sources: u64,
    /// index.html with the lists of javadoc.
    pub(super) documentation: bool,
    /// Whether it defines the servlet API itself.
    pub(super) defines_servlet: bool,
    /// Service files of the servlet API: (javax, jakarta).
    pub(super) servlet_services: (bool, bool),
    /// Class files that count for the Java level, in order.
    pub(super) classes: Vec<u32>,
    /// The first of them in each run of entries with the same directory.
    pub(super) packages: Vec<u32>,
    /// Archives inside (`*.jar`).
    pub(super) libraries: Vec<u32>,
    /// JSPs and tag libraries.
    pub(super) pages: Vec<u32>,
}

impl Survey {
    /// Reads all entries.
    pub(super) fn take(directory: &Directory) -> Self {
        let mut survey = Self::default();
        let mut last_package: &[u8] = b"\0";
        for entry in directory.entries() {
            survey.entries += 1;
            let name = entry.name;
            if name.ends_with(b"/") {
                survey.web |= name == b"WEB-INF/";
                continue;
            }
            survey.files += 1;
            if survey.encrypted.is_none() && entry.is_encrypted() {
                survey.encrypted = Some(entry.shown_name());
            }
            survey.web |= name.starts_with(b"WEB-INF/");
            survey.boot |= name.starts_with(b"BOOT-INF/");
            if counts_as_class(name) {
                survey.classes.push(entry.position);
                if package(name) != last_package {
                    last_package = package(name);
                    survey.packages.push(entry.position);
                }
                survey.defines_servlet |=
                    matches!(name, b"javax/servlet/Servlet.class" | b"jakarta/servlet/Servlet.class");
            } else {
                survey.note(&entry);
            }
        }
        survey
    }

    /// Adds a file that is not a class.
    fn note(&mut self, entry: &Entry<'_>) {
        let name = entry.name;
        match name {
            b"WEB-INF/web.xml" => self.web_descriptor = Some(entry.position),
            b"META-INF/application.xml" => self.enterprise = true,
            b"META-INF/ra.xml" => self.resource_adapter = true,
            b"AndroidManifest.xml" => self.android = true,
            b"classes.dex" => self.dex = true,
            b"__main__.py" => self.python_main = true,
            b"element-list" | b"package-list" | b"allclasses-index.html" | b"allclasses.html" => {
                self.documentation = true;
            }
            _ => self.note_by_ending(entry),
        }
    }

    fn note_by_ending(&mut self, entry: &Entry<'_>) {
        let name = entry.name;
        if ends_with(name, b".jar") {
            self.libraries.push(entry.position);
        } else if name.eq_ignore_ascii_case(b"META-INF/MANIFEST.MF") {
            // The launcher uses the first one, in any case.
            self.manifest = self.manifest.or(Some(entry.position));
        } else if [&b".java"[..], b".kt", b".scala", b".groovy"].iter().any(|ending| ends_with(name, ending))
        {
            self.sources += 1;
        } else if [&b".jsp"[..], b".jspx", b".tld", b".jspf", b".tag"]
            .iter()
            .any(|ending| ends_with(name, ending))
        {
            if self.pages.len() < MOST_PAGES {
                self.pages.push(entry.position);
            }
        } else if name.ends_with(b".dist-info/WHEEL") {
            self.wheel = true;
        } else if name.ends_with(b"META-INF/services/javax.servlet.ServletContainerInitializer") {
            self.servlet_services.0 = true;
        } else if name.ends_with(b"META-INF/services/jakarta.servlet.ServletContainerInitializer") {
            self.servlet_services.1 = true;
        }
    }
}

/// Whether every JVM loads the class file. Only Java 9 and later reads module descriptors, and only newer releases read
/// META-INF/versions. Nothing else in META-INF is loaded.
fn counts_as_class(name: &[u8]) -> bool {
    name.ends_with(b".class")
        && !name.starts_with(b"META-INF/")
        && !name.starts_with(b"BOOT-INF/classes/META-INF/")
        && !name.starts_with(b"WEB-INF/classes/META-INF/")
        && !name.ends_with(b"module-info.class")
}

fn package(name: &[u8]) -> &[u8] {
    let end = name.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    &name[..end]
}

fn ends_with(name: &[u8], ending: &[u8]) -> bool {
    name.len() > ending.len() && name[name.len() - ending.len()..].eq_ignore_ascii_case(ending)
}
