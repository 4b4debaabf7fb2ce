//! Owns the pass over an archive's directory: a summary of its content, by names alone.
//! Must not read members, nor copy names: positions of a hundred thousand entries take some hundred kilobytes.

use super::archive::{Directory, Entry};
use super::{has_ending, war};

/// More JSPs and tag libraries are no better evidence.
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
    /// The first manifest, in any case, as Java's class loaders find it.
    pub(super) manifest: Option<u32>,
    /// Whether a manifest has exactly the name that Java's launcher searches for.
    pub(super) has_launcher_manifest: bool,
    pub(super) web_descriptor: Option<u32>,
    /// Whether it has a WEB-INF directory.
    pub(super) web: bool,
    /// Whether it has a BOOT-INF directory.
    pub(super) boot: bool,
    pub(super) enterprise: bool,
    pub(super) resource_adapter: bool,
    pub(super) android: bool,
    pub(super) dex: bool,
    pub(super) wheel: bool,
    /// Whether it is a Python zipapp.
    pub(super) python_main: bool,
    /// The number of source files in languages of the JVM.
    pub(super) sources: u64,
    /// Whether it has the lists of javadoc.
    pub(super) documentation: bool,
    /// Whether it contains the servlet API itself.
    pub(super) defines_servlet: bool,
    /// Whether it has service files of the servlet API: (javax, jakarta).
    pub(super) servlet_services: (bool, bool),
    /// Class files that count for the Java level, in order.
    pub(super) classes: Vec<u32>,
    /// The first class file of each run of entries in one directory.
    pub(super) packages: Vec<u32>,
    /// `*.jar`.
    pub(super) libraries: Vec<u32>,
    pub(super) pages: Vec<u32>,
    /// Descriptors that Tomcat does not read.
    pub(super) unsupported: Vec<u32>,
}

impl Survey {
    pub(super) fn of(directory: &Directory) -> Self {
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
                survey.add_file(&entry);
            }
        }
        survey
    }

    /// Adds a file that is not a class.
    fn add_file(&mut self, entry: &Entry<'_>) {
        match entry.name {
            b"WEB-INF/web.xml" => self.web_descriptor = Some(entry.position),
            b"META-INF/application.xml" => self.enterprise = true,
            b"META-INF/ra.xml" => self.resource_adapter = true,
            b"AndroidManifest.xml" => self.android = true,
            b"classes.dex" => self.dex = true,
            b"__main__.py" => self.python_main = true,
            b"element-list" | b"package-list" | b"allclasses-index.html" | b"allclasses.html" => {
                self.documentation = true;
            }
            name if war::is_unsupported_descriptor(name) => self.unsupported.push(entry.position),
            _ => self.add_by_ending(entry),
        }
    }

    fn add_by_ending(&mut self, entry: &Entry<'_>) {
        let name = entry.name;
        let has_one_of = |endings: &[&str]| endings.iter().any(|ending| has_ending(name, ending));
        if has_ending(name, ".jar") {
            self.libraries.push(entry.position);
        } else if name.eq_ignore_ascii_case(b"META-INF/MANIFEST.MF") {
            self.manifest = self.manifest.or(Some(entry.position));
            self.has_launcher_manifest |= name == b"META-INF/MANIFEST.MF";
        } else if has_one_of(&[".java", ".kt", ".scala", ".groovy"]) {
            self.sources += 1;
        } else if has_one_of(&[".jsp", ".jspx", ".tld", ".jspf", ".tag"]) {
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
