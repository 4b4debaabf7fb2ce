//! Owns one configuration file: reading it and checking its keys, then its values.
//!
//! Must not know of other levels; `levels` merges them.

use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::error::{Error, Excerpt};
use super::keys::{self, ProjectRule};
use super::table::ConfigFile;
use crate::image::ImageReference;
use crate::image::reference::RepositoryPrefix;
use crate::suggestion::nearest;

/// The largest configuration file that is read, in bytes.
const MAXIMUM_LENGTH: u64 = 1 << 20;

/// The owner of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileLevel {
    /// `b2i.toml` of the working directory; not trusted.
    Project,
    /// The user's file, or the one that `--config` names.
    User,
    /// The machine's file in `/etc/b2i`.
    System,
}

impl ConfigFile {
    /// Resolves the paths in the file at `path` against its directory, not the working directory.
    pub(super) fn resolve_paths(&mut self, path: &Path) {
        let directory = path.parent().unwrap_or(Path::new(""));
        let registries = self.registries.values_mut().map(|host| &mut host.ca_files);
        let lists =
            [&mut self.templates.directories, &mut self.network.ca_files].into_iter().chain(registries);
        let paths = lists.flatten().flat_map(Spanned::get_mut);
        for path in paths.chain(self.cache.directory.as_mut().map(Spanned::get_mut)) {
            *path = directory.join(&*path);
        }
        for mirrors in self.registries.values_mut().filter_map(|host| host.mirrors.as_mut()) {
            mirrors.get_mut().iter_mut().for_each(|mirror| mirror.resolve_against(directory));
        }
        for location in self.bases.values_mut().chain(self.build.base.as_mut()) {
            location.get_mut().resolve_against(directory);
        }
    }
}

/// Reads the file at `path`; `None` if it does not exist.
///
/// # Errors
/// [`Error::Read`] if it is unreadable, not a regular file, too large, or a project's link that leaves the project.
pub fn read(level: FileLevel, path: &Path) -> Result<Option<String>, Error> {
    let failed = |error| Error::Read { path: path.to_owned(), error };
    let rejected = |reason: String| failed(std::io::Error::other(reason));
    if level == FileLevel::Project
        && let Some(target) = target_outside(path)
    {
        return Err(rejected(format!("the link leaves the project; its target is `{}`", target.display())));
    }
    // The kind is checked first: opening a FIFO in a cloned repository would block forever.
    match std::fs::metadata(path) {
        // The usual name of an empty file.
        Ok(_) if path == Path::new("/dev/null") => return Ok(Some(String::new())),
        Ok(metadata) if !metadata.is_file() => return Err(rejected("not a regular file".into())),
        Ok(_) => {}
        // `NotADirectory` is the error for a path below a file.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAXIMUM_LENGTH + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAXIMUM_LENGTH {
        return Err(rejected(format!("larger than {MAXIMUM_LENGTH} bytes")));
    }
    Ok(Some(text))
}

/// The target of a link that leaves the directory of a cloned repository. It is rejected because errors quote lines of the
/// file, perhaps in a log that others can read.
fn target_outside(path: &Path) -> Option<PathBuf> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (target, directory) = (path.canonicalize().ok()?, directory.canonicalize().ok()?);
    (!target.starts_with(directory)).then_some(target)
}

/// Parses `text`, the content of the file at `path`.
///
/// # Errors
/// [`Error`] if it is not TOML, or has an unknown key, a key that its level may not set, or an invalid value.
pub fn parse(level: FileLevel, path: &Path, text: &str) -> Result<ConfigFile, Error> {
    let invalid = |error: toml::de::Error| Error::Invalid {
        excerpt: Excerpt::new(path, text, error.span().unwrap_or(0..0)),
        message: one_line(error.message()),
    };
    let table = DeTable::parse(text).map_err(invalid)?;
    Checker { level, path, text }.table("", table.get_ref())?;
    let file = ConfigFile::deserialize(toml::de::Deserializer::from(table)).map_err(invalid)?;
    check_values(level, path, text, &file)?;
    Ok(file)
}

/// Joins the lines of a parser's message.
fn one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(", ")
}

/// Checks keys, section by section.
struct Checker<'a> {
    level: FileLevel,
    path: &'a Path,
    text: &'a str,
}

impl Checker<'_> {
    fn table(&self, prefix: &str, table: &DeTable<'_>) -> Result<(), Error> {
        // The order of the text, so that the error names the first mistake.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            let full = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            if let Some(key) = keys::key(&full) {
                if let ProjectRule::Refused(reason) = key.project
                    && self.level == FileLevel::Project
                {
                    return Err(Error::Refused { key: full, reason, excerpt: self.excerpt(name.span()) });
                }
                if key.path == "registries" {
                    self.registries(value)?;
                }
            } else if keys::names_below(&full).is_empty() {
                let with_name = |key: &&keys::Key| key.name() == name.get_ref();
                let elsewhere = keys::KEYS.iter().find(with_name).map(|key| key.path);
                return Err(self.unknown(prefix.to_owned(), name, keys::names_below(prefix), elsewhere));
            } else if let DeValue::Table(inner) = value.get_ref() {
                self.table(&full, inner)?;
            } else {
                let message = format!("`{full}` is a section; write `[{full}]` and its keys below");
                return Err(Error::Invalid { excerpt: self.excerpt(name.span()), message });
            }
        }
        Ok(())
    }

    /// Checks the keys of each registry.
    fn registries(&self, value: &Spanned<DeValue<'_>>) -> Result<(), Error> {
        let section = |span| {
            let message = "`registries` has a section for each registry: write `[registries.\"host:port\"]`";
            Error::Invalid { excerpt: self.excerpt(span), message: message.into() }
        };
        let DeValue::Table(hosts) = value.get_ref() else { return Err(section(value.span())) };
        for (host, value) in hosts {
            let DeValue::Table(entries) = value.get_ref() else { return Err(section(host.span())) };
            let name = host.get_ref();
            if name.contains('/') || name.parse::<RepositoryPrefix>().is_err() {
                let message = format!("`{name}` is not a registry (expected `host[:port]`)");
                return Err(Error::Invalid { excerpt: self.excerpt(host.span()), message });
            }
            let known: Vec<&str> = keys::REGISTRY_KEYS.iter().map(keys::Key::name).collect();
            if let Some((key, _)) = entries.iter().find(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
                return Err(self.unknown(format!("registries.\"{name}\""), key, known, None));
            }
        }
        Ok(())
    }

    fn unknown(
        &self,
        section: String,
        name: &Spanned<DeString<'_>>,
        known: Vec<&'static str>,
        elsewhere: Option<&'static str>,
    ) -> Error {
        Error::UnknownKey {
            name: name.get_ref().to_string(),
            section,
            suggestion: nearest(name.get_ref(), known.iter().copied()).or(elsewhere).map(str::to_owned),
            known,
            excerpt: self.excerpt(name.span()),
        }
    }

    fn excerpt(&self, span: Range<usize>) -> Box<Excerpt> {
        Excerpt::new(self.path, self.text, span)
    }
}

/// Checks what the types cannot.
fn check_values(level: FileLevel, path: &Path, text: &str, file: &ConfigFile) -> Result<(), Error> {
    let invalid = |span, message| Err(Error::Invalid { excerpt: Excerpt::new(path, text, span), message });
    for (public, replacement) in &file.bases {
        if let Err(error) = public.parse::<ImageReference>() {
            return invalid(replacement.span(), error.to_string());
        }
    }
    for (name, value) in &file.build.env {
        if name.is_empty() || name.contains(['=', '\0']) || value.get_ref().contains('\0') {
            return invalid(value.span(), format!("`{name}` is not a valid name of an environment variable"));
        }
        if name == "ARGS" {
            return invalid(value.span(), "`ARGS` is set by `build.args`".into());
        }
    }
    if level == FileLevel::Project {
        let directories = file.templates.directories.iter();
        let directories =
            directories.flat_map(|list| list.get_ref().iter().map(|path| (path.as_path(), list.span())));
        // An image may contain secrets, so a cloned repository names only its own files.
        let base = file.build.base.iter();
        let base = base.filter_map(|base| Some((base.get_ref().transport.path()?, base.span())));
        for (path, span) in directories.chain(base) {
            if leaves_project(path) {
                return invalid(span, format!("`{}` leaves the project", path.display()));
            }
        }
    }
    Ok(())
}

fn leaves_project(path: &Path) -> bool {
    !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}
