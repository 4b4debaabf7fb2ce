//! Owns the observations in a real image's file system, which `check.rs` compares with the assumptions.
//!
//! It reads a tar of the whole file system (from `docker export`) once, front to back. The image is hostile: no stated
//! length is allocated, names are counted, archives inside are bounded. Must not judge.

mod assumptions;
mod layers;
mod tools;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Read};

use layers::Hidden;
pub use layers::observe_layers;

use super::base::{BaseLibc, Tool};
use super::error::BuilderError;
use super::version::DottedVersion;
use crate::detect::facts::GlibcVersion;
use crate::image::{ImageConfig, ImagePath, Platform};

/// Largest total of all stored names, in bytes.
const MAXIMUM_NAMES: usize = 16 << 20;

/// Largest long name or extended header, in bytes.
const MAXIMUM_EXTENSION: u64 = 1 << 20;

/// Largest `release` or `ServerInfo.properties`, in bytes.
const MAXIMUM_PROPERTIES: u64 = 64 << 10;

/// Largest `catalina.jar`, in bytes. Real ones have 2 MB.
const MAXIMUM_JAR: u64 = 4 << 20;

/// The part of a C library that is searched for its version, in bytes. Real ones have 2 MB.
const MAXIMUM_LIBRARY: u64 = 32 << 20;

/// Symbolic links that are followed in one path, as in Linux (path_resolution(7)).
const MAXIMUM_LINKS: usize = 40;

/// The directories of `programs`.
const PROGRAM_FOLDERS: [&str; 3] = ["bin", "usr/bin", "usr/local/bin"];

/// The default directories of the dynamic linker, without their multi-arch directories.
const LIBRARY_FOLDERS: [&str; 6] =
    ["lib", "lib64", "usr/lib", "usr/lib64", "usr/local/lib", "usr/local/lib64"];

/// The bundles of CA certificates of Debian and Alpine, of Red Hat, of SUSE and of Alpine's link.
const CERTIFICATES: [&str; 5] = [
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "etc/ssl/ca-bundle.pem",
    "etc/ssl/cert.pem",
];

/// The directory of time zones.
const TIME_ZONES: &str = "usr/share/zoneinfo";

/// The observations in an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observations {
    /// From its config.
    pub platform: Option<Platform>,
    /// The user in the image's config; empty means root.
    pub user: Option<String>,
    /// Names of shared libraries in the default directories of the dynamic linker.
    pub libraries: BTreeSet<String>,
    pub glibc: Option<GlibcVersion>,
    /// Whether it has the bundle of CA certificates of Debian and Alpine.
    pub certificates: bool,
    /// Whether the image has a time zone file. An image has all of them or none.
    pub time_zones: bool,
    /// Regular files in program folders, by path.
    programs: BTreeSet<String>,
    /// Java releases, by the path of the `release` file.
    java: BTreeMap<String, u32>,
    /// Tomcat versions, by the path of `catalina.jar`.
    tomcat: BTreeMap<String, DottedVersion>,
    /// Tools that build sources, each with the version at the first path.
    tools: BTreeMap<Tool, DottedVersion>,
    /// Symbolic links and their targets.
    links: BTreeMap<String, String>,
}

/// Reads a tar of a whole file system.
///
/// # Errors
/// [`BuilderError::Observation`] if it is truncated, is not a tar, or has more names than any real image.
pub fn observe(tar: impl Read) -> Result<Observations, BuilderError> {
    let mut collector = Collector::default();
    collector.read(tar).map_err(|error| BuilderError::Observation(error.to_string()))?;
    Ok(collector.observations)
}

impl Observations {
    /// Adds the observations in the image's config.
    pub fn add_config(&mut self, config: &ImageConfig) {
        self.platform = Some(config.platform());
        self.user = Some(config.user().to_owned());
        // The files of Node.js do not state its version. All official images set this variable.
        if let Some(version) = config.env("NODE_VERSION").and_then(|version| version.parse().ok()) {
            self.tools.insert(Tool::Node, version);
        }
    }

    /// Whether a program with this name is in `/bin`, `/usr/bin` or `/usr/local/bin`.
    pub fn has_program(&self, name: &str) -> bool {
        let found = |folder: &&str| self.programs.contains(&self.resolve(&format!("{folder}/{name}")));
        PROGRAM_FOLDERS.iter().any(found)
    }

    pub fn libc(&self) -> BaseLibc {
        let musl = self.libraries.iter().any(|name| name.starts_with("ld-musl-"));
        if self.libraries.contains("libc.so.6") {
            BaseLibc::Glibc
        } else if musl {
            BaseLibc::Musl
        } else {
            BaseLibc::None
        }
    }

    /// The Java release in `home`.
    pub fn java_at(&self, home: &ImagePath) -> Option<u32> {
        self.java.get(&self.resolve(&format!("{}/release", home.relative()))).copied()
    }

    pub fn java_releases(&self) -> BTreeSet<u32> {
        self.java.values().copied().collect()
    }

    /// The Tomcat in `home`.
    pub fn tomcat_at(&self, home: &ImagePath) -> Option<&DottedVersion> {
        self.tomcat.get(&self.resolve(&format!("{}/lib/catalina.jar", home.relative())))
    }

    pub fn tomcat_versions(&self) -> BTreeSet<&DottedVersion> {
        self.tomcat.values().collect()
    }

    /// The version of a tool, if it exists.
    pub fn tool(&self, tool: Tool) -> Option<&DottedVersion> {
        self.tools.get(&tool)
    }

    /// Follows the symbolic links in a path. A link that cannot be followed stays.
    fn resolve(&self, path: &str) -> String {
        let mut rest: Vec<String> = path.split('/').rev().map(Into::into).collect();
        let mut real: Vec<String> = Vec::new();
        let mut followed = 0;
        while let Some(component) = rest.pop() {
            match component.as_str() {
                "" | "." => continue,
                ".." => {
                    real.pop();
                    continue;
                }
                _ => real.push(component),
            }
            let Some(target) = self.links.get(&real.join("/")) else { continue };
            followed += 1;
            if followed > MAXIMUM_LINKS {
                return path.to_owned();
            }
            if target.starts_with('/') {
                real.clear();
            } else {
                real.pop();
            }
            rest.extend(target.split('/').rev().map(Into::into));
        }
        real.join("/")
    }
}

#[derive(Default)]
struct Collector {
    observations: Observations,
    /// Bytes of all stored names.
    names: usize,
    /// The paths that the layers above hide; none in the tar of a whole file system.
    above: Option<Hidden>,
}

impl Collector {
    /// Reads raw entries, because the crate's handling of long names allocates any stated length.
    fn read(&mut self, tar: impl Read) -> io::Result<()> {
        let mut archive = tar::Archive::new(tar);
        let mut long_path: Option<Vec<u8>> = None;
        let mut long_target: Option<Vec<u8>> = None;
        for entry in archive.entries()?.raw(true) {
            let mut entry = entry?;
            match entry.header().entry_type() {
                tar::EntryType::GNULongName => long_path = Some(extension(&mut entry)?),
                tar::EntryType::GNULongLink => long_target = Some(extension(&mut entry)?),
                tar::EntryType::XHeader => {
                    let bytes = extension(&mut entry)?;
                    for record in tar::PaxExtensions::new(&bytes) {
                        let record = record?;
                        match record.key_bytes() {
                            b"path" => long_path = Some(record.value_bytes().to_vec()),
                            b"linkpath" => long_target = Some(record.value_bytes().to_vec()),
                            b"size" => return Err(io::Error::other("it contains a file of 8 GiB or more")),
                            _ => {}
                        }
                    }
                }
                tar::EntryType::XGlobalHeader => {}
                kind => {
                    let path = long_path.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                    let target = long_target.take().or_else(|| entry.link_name_bytes().map(Into::into));
                    if let Some(path) = normal(&path) {
                        self.entry(path, kind, target, &mut entry)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        path: String,
        kind: tar::EntryType,
        target: Option<Vec<u8>>,
        content: &mut impl Read,
    ) -> io::Result<()> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if let Some(above) = &mut self.above {
            let (is_visible, size) = above.take(folder, name, &path);
            self.add_names(size)?;
            if !is_visible {
                return Ok(());
            }
        }
        let is_file = kind.is_file() || kind.is_hard_link();
        if (is_file || kind.is_symlink()) && is_library_folder(folder) && is_library(name) {
            self.count(name)?;
            self.observations.libraries.insert(name.to_owned());
        }
        if is_file || kind.is_symlink() {
            self.observations.certificates |= CERTIFICATES.contains(&path.as_str());
            self.observations.time_zones |= folder.starts_with(TIME_ZONES) && name == "UTC";
        }
        if kind.is_symlink() {
            let target = target.and_then(|target| String::from_utf8(target).ok());
            if let Some(target) = target.filter(|target| target.len() <= 4096) {
                self.count(&path)?;
                self.count(&target)?;
                self.observations.links.insert(path, target);
            }
        } else if is_file {
            self.file(path, kind.is_file(), content)?;
        }
        Ok(())
    }

    /// `has_content` is false for a hard link to an earlier file.
    fn file(&mut self, path: String, has_content: bool, content: &mut impl Read) -> io::Result<()> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if let Some((tool, version)) = tools::recognise(folder, name, has_content, content)? {
            self.observations.tools.entry(tool).or_insert(version);
        }
        if PROGRAM_FOLDERS.contains(&folder) {
            self.count(&path)?;
            self.observations.programs.insert(path);
        } else if has_content && is_library_folder(folder) && is_c_library(name) {
            let found = glibc_version(content.take(MAXIMUM_LIBRARY))?;
            // An image may have several C libraries, for other word sizes. Only the oldest version is certain.
            self.observations.glibc = [self.observations.glibc, found].into_iter().flatten().min();
        } else if has_content && name == "release" {
            if let Some(release) = java_release(&bounded(content, MAXIMUM_PROPERTIES)?) {
                self.count(&path)?;
                self.observations.java.insert(path, release);
            }
        } else if has_content
            // Distributions have the version in the name and a link to it.
            && name.contains("catalina")
            && name.ends_with(".jar")
            && let Some(version) = tomcat_version(bounded(content, MAXIMUM_JAR)?)
        {
            self.count(&path)?;
            self.observations.tomcat.insert(path, version);
        }
        Ok(())
    }

    fn count(&mut self, name: &str) -> io::Result<()> {
        // The size of a map entry without its text.
        self.add_names(name.len() + 64)
    }

    fn add_names(&mut self, size: usize) -> io::Result<()> {
        self.names += size;
        if self.names > MAXIMUM_NAMES {
            return Err(io::Error::other("it has more names than any real image"));
        }
        Ok(())
    }
}

fn extension(entry: &mut impl Read) -> io::Result<Vec<u8>> {
    let bytes = bounded(entry, MAXIMUM_EXTENSION + 1)?;
    if bytes.len() as u64 > MAXIMUM_EXTENSION {
        return Err(io::Error::other("it contains an extended header of more than 1 MiB"));
    }
    Ok(bytes)
}

fn bounded(content: &mut impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    content.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Makes a path relative and normal; `None` if it is not UTF-8 or contains `..`.
fn normal(path: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(path).ok()?.trim_end_matches('\0');
    if path.len() > 4096 || path.contains('\0') {
        return None;
    }
    let components: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!components.is_empty() && !components.contains(&"..")).then(|| components.join("/"))
}

fn is_library_folder(folder: &str) -> bool {
    LIBRARY_FOLDERS.iter().any(|library| {
        folder.strip_prefix(library).is_some_and(|rest| {
            let multi_arch = |rest: &str| rest.contains("-linux-") && !rest.contains('/');
            rest.is_empty() || rest.strip_prefix('/').is_some_and(multi_arch)
        })
    })
}

fn is_library(name: &str) -> bool {
    name.ends_with(".so") || name.contains(".so.")
}

/// Whether it is `libc.so.6` or, in older distributions, the target of that link (`libc-2.31.so`).
fn is_c_library(name: &str) -> bool {
    name == "libc.so.6" || (name.starts_with("libc-2.") && name.ends_with(".so"))
}

/// Finds "GNU C Library (…) stable release version 2.36", which glibc prints when it runs as a program.
fn glibc_version(mut library: impl Read) -> io::Result<Option<GlibcVersion>> {
    const NAME: &[u8] = b"GNU C Library";
    /// The longest distance between name and version, in bytes.
    const REACH: usize = 256;
    let mut window = Vec::with_capacity((64 << 10) + REACH);
    loop {
        let before = window.len();
        (&mut library).take(64 << 10).read_to_end(&mut window)?;
        let at_end = window.len() == before;
        let positions = window.windows(NAME.len()).enumerate().filter(|(_, text)| *text == NAME);
        for (position, _) in positions {
            let text = &window[position..window.len().min(position + REACH)];
            if let Some(version) = version_behind(&String::from_utf8_lossy(text), "release version ") {
                return Ok(Some(version));
            }
        }
        if at_end {
            return Ok(None);
        }
        // The text may begin in one read and end in the next.
        window.drain(..window.len().saturating_sub(REACH));
    }
}

fn version_behind(text: &str, mark: &str) -> Option<GlibcVersion> {
    let (_, rest) = text.split_once(mark)?;
    let end = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
    rest[..end].trim_end_matches('.').parse().ok()
}

/// Reads `JAVA_VERSION="17.0.9"` (before Java 9: `"1.8.0_392"`) in a `release` file.
fn java_release(release: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(release).ok()?;
    let version = text.lines().find_map(|line| line.trim().strip_prefix("JAVA_VERSION="))?.trim_matches('"');
    let version = version.strip_prefix("1.").unwrap_or(version);
    let digits = version.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// Reads `server.number=10.1.18.0` in a `catalina.jar`.
fn tomcat_version(jar: Vec<u8>) -> Option<DottedVersion> {
    let mut jar = zip::ZipArchive::new(Cursor::new(jar)).ok()?;
    let mut file = jar.by_name("org/apache/catalina/util/ServerInfo.properties").ok()?;
    let bytes = bounded(&mut file, MAXIMUM_PROPERTIES).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let value = text.lines().find_map(|line| line.trim().strip_prefix("server.number="))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests;
