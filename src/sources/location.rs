//! Owns source locations and the options of fetching. Must not fetch.
//!
//! If a text names an existing path, it means that path; else its form decides.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::SourceError;
use super::git::{GitLocation, GitOptions, is_bare_repository, is_repository, valid_reference};
use crate::input::{InputOptions, InputSource};
use crate::network::{shown_url, without_credentials};

/// The location of sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SourceLocation {
    /// A directory of this machine, as it is.
    Directory(PathBuf),
    /// A git repository.
    Git(GitLocation),
    /// An archive of sources: a file, a URL, or a tar on standard input.
    Archive(InputSource),
    /// No sources: the builder brings everything.
    #[default]
    Nothing,
}

/// Suffixes of archives. A URL without one is a repository.
const ARCHIVE_SUFFIXES: &[&str] =
    &[".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar.bz2", ".tbz2", ".tbz", ".zip"];

/// Schemes of git repositories, each also with the prefix `git+`.
const GIT_SCHEMES: &[&str] = &["http", "https", "ssh", "git", "file"];

impl SourceLocation {
    /// Parses the text of a location.
    ///
    /// * `-`: a tar on standard input.
    /// * A path that exists: a directory is used as it is, a bare repository is cloned, a file is an archive.
    /// * `ssh://`, `git://`, `git+https://` and so on, `user@host:path` and `host:path`: a repository. `http(s)://`: an
    ///   archive if it has the suffix of one and no `#`, else a repository. `file://`: a repository, or the path.
    /// * `#REF` after a repository, or after a directory with one: the branch, tag or commit.
    ///
    /// # Errors
    /// [`SourceError`] for any other text, for credentials in it, or for a path that does not exist.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        match text {
            "" => return Err(SourceError::location(text, "it is empty", None)),
            "-" => return Ok(Self::Archive(InputSource::Stdin)),
            _ => {}
        }
        let path = Path::new(text);
        if path.symlink_metadata().is_ok() {
            return local(path);
        }
        if text.starts_with('-') {
            let hint = "write `./` before a name that begins with `-`";
            return Err(SourceError::location(text, "it looks like an option", Some(hint)));
        }
        if let Some((scheme, _)) = scheme(text) {
            return url(text, &scheme.to_ascii_lowercase());
        }
        let before_slash = text.split('/').next().unwrap_or_default();
        if before_slash.contains("::") {
            let reason = "remote helpers of git (`helper::address`) are not supported";
            return Err(SourceError::location(text, reason, Some(LOCATIONS)));
        }
        if before_slash.contains(':') {
            return Ok(Self::Git(GitLocation::from_scp_form(text)?));
        }
        if let Some((directory, reference)) = text.rsplit_once('#')
            && Path::new(directory).is_dir()
        {
            return Self::Directory(directory.into()).with_reference(reference);
        }
        local(path)
    }

    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Whether `text` is certainly a source location: a directory without finished files, or the form of a repository.
    /// Other texts may be archives of sources or artifacts.
    pub fn is_certain(text: &str) -> bool {
        let path = Path::new(text);
        if text == "-" || path.is_file() {
            return false;
        }
        if path.is_dir() {
            return !crate::input::directory::is_finished(path);
        }
        let (start, has_reference) = match text.split_once('#') {
            Some((start, reference)) => (start, !reference.is_empty()),
            None => (text, false),
        };
        let is_dot_git = start.trim_end_matches('/').ends_with(".git");
        match scheme(text).map(|(scheme, _)| scheme.to_ascii_lowercase()).as_deref() {
            Some("http" | "https") => is_dot_git || has_reference,
            Some("ssh" | "git") => true,
            Some("file") => {
                let path = Url::parse(start).ok().and_then(|url| url.to_file_path().ok());
                is_dot_git || path.is_some_and(|path| path.is_dir())
            }
            Some(scheme) => scheme.starts_with("git+"),
            None => {
                let host = start.split('/').next().unwrap_or_default();
                let is_scp_form = host.split_once(':').is_some_and(|(host, _)| host.contains('@'));
                is_scp_form || is_dot_git || has_reference && Path::new(start).is_dir()
            }
        }
    }

    /// A key that is equal for all versions of the sources; `None` for a stream. It may contain credentials.
    pub(crate) fn identity(&self) -> Option<String> {
        let real = |path: &Path| path.canonicalize().ok().map(|path| path.display().to_string());
        match self {
            Self::Directory(path) | Self::Archive(InputSource::File(path)) => real(path),
            Self::Git(location) => Some(location.identity()),
            Self::Archive(InputSource::Url(url)) => Some(without_credentials(url).into()),
            Self::Archive(InputSource::Stdin) | Self::Nothing => None,
        }
    }

    /// Sets the branch, tag or commit (`--ref`). A directory with a repository is then cloned.
    ///
    /// # Errors
    /// [`SourceError`] if it is not a repository, or if `reference` is not valid or contradicts `#REF`.
    pub fn with_reference(self, reference: &str) -> Result<Self, SourceError> {
        let shown = self.to_string();
        if reference.is_empty() {
            return Ok(self);
        }
        let reference = valid_reference(&shown, reference)?;
        match self {
            Self::Git(location) => match &location.reference {
                Some(other) if *other != reference => {
                    let reason = format!("`#{other}` and `--ref {reference}` are different references");
                    Err(SourceError::location(&shown, reason, Some("omit one of them")))
                }
                _ => Ok(Self::Git(GitLocation { reference: Some(reference), ..location })),
            },
            Self::Directory(path) if is_repository(&path) => {
                Ok(Self::Git(GitLocation { reference: Some(reference), ..GitLocation::local(&path)? }))
            }
            _ => {
                let reason = format!("it is not a git repository, so it has no `{reference}`");
                Err(SourceError::location(&shown, reason, None))
            }
        }
    }
}

const LOCATIONS: &str = "pass a directory, a git URL (https, ssh, git, user@host:path), an archive, or `-` for a tar on standard input";

/// The scheme of a URL, and what follows `://`.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

/// The location of an existing path.
fn local(path: &Path) -> Result<SourceLocation, SourceError> {
    let failed = |source| SourceError::Read { path: path.to_owned(), source };
    let metadata = path.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Ok(if is_bare_repository(path) {
            SourceLocation::Git(GitLocation::local(path)?)
        } else {
            SourceLocation::Directory(path.to_owned())
        });
    }
    if !metadata.is_file() {
        let reason = "it is neither a file nor a directory";
        let hint = "pass a tar from a pipe on standard input: `- < PIPE`";
        return Err(SourceError::location(&path.display().to_string(), reason, Some(hint)));
    }
    Ok(SourceLocation::Archive(InputSource::File(path.to_owned())))
}

fn url(text: &str, scheme: &str) -> Result<SourceLocation, SourceError> {
    let plain = scheme.strip_prefix("git+").unwrap_or(scheme);
    if !GIT_SCHEMES.contains(&plain) {
        // An unknown form may contain credentials anywhere, so the message shows only the scheme.
        let reason = format!("`{scheme}` is not one of `http`, `https`, `ssh`, `git`, `file`");
        return Err(SourceError::location(&format!("{scheme}://…"), reason, Some(LOCATIONS)));
    }
    let has_prefix = plain.len() < scheme.len();
    let location = GitLocation::from_url(&text[scheme.len() - plain.len()..])?;
    if has_prefix || location.reference.is_some() {
        return Ok(SourceLocation::Git(location));
    }
    let parsed = Url::parse(&location.repository).ok();
    match (plain, parsed) {
        ("http" | "https", Some(url)) if is_archive_name(url.path()) => {
            Ok(SourceLocation::Archive(InputSource::Url(url)))
        }
        ("file", Some(url)) => match url.to_file_path() {
            Ok(path) if !is_repository(&path) => local(&path),
            _ => Ok(SourceLocation::Git(location)),
        },
        _ => Ok(SourceLocation::Git(location)),
    }
}

fn is_archive_name(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    ARCHIVE_SUFFIXES.iter().any(|suffix| lower.ends_with(suffix))
}

impl fmt::Display for SourceLocation {
    /// Writes the location without user name, password and query.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(formatter),
            Self::Git(location) => location.fmt(formatter),
            Self::Archive(InputSource::Url(url)) => formatter.write_str(&shown_url(url)),
            Self::Archive(source) => source.fmt(formatter),
            Self::Nothing => formatter.write_str("no sources"),
        }
    }
}

/// The text that `parse` reads. A URL keeps its query.
impl Serialize for SourceLocation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Directory(path) => InputSource::File(path.clone()).serialize(serializer),
            Self::Archive(source) => source.serialize(serializer),
            Self::Nothing => Err(S::Error::custom("a build without sources has no location")),
            Self::Git(location) => {
                let repository = &location.repository;
                let is_url = scheme(repository).is_some_and(|(scheme, _)| GIT_SCHEMES.contains(&scheme));
                let prefix = match is_url {
                    true => "git+",
                    false if Path::new(repository).is_absolute() => "git+file://",
                    false => "",
                };
                let reference = location.reference.as_ref().map(|reference| format!("#{reference}"));
                serializer.collect_str(&format_args!("{prefix}{repository}{}", reference.unwrap_or_default()))
            }
        }
    }
}

impl<'de> Deserialize<'de> for SourceLocation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

crate::text::schema_of_text!(SourceLocation);

/// The options of fetching sources.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SourceOptions {
    /// The directory of the tree to build (`--context-dir`); `None` is the root.
    pub context_directory: Option<String>,
    /// Whether git submodules are fetched.
    pub submodules: bool,
    /// A regular expression for the paths to exclude, relative to the source root, with `/` between components. `.git` is
    /// always excluded.
    pub exclude: Option<String>,
    /// Whether symbolic links that leave the tree are followed and their targets copied. Only for the user's own directory:
    /// a repository or archive must not name files of this machine.
    pub follow_links: bool,
    /// Whether `.dockerignore` applies. `.s2iignore` always applies; S2I reads only that one.
    pub docker_ignore: bool,
    /// The session sets it.
    #[serde(skip)]
    #[doc(hidden)]
    pub git: GitOptions,
    /// The session sets it from the request.
    #[serde(skip)]
    #[doc(hidden)]
    pub input: InputOptions,
}

/// Words in the label for differences from S2I.
const DOCKER_IGNORE: &str = "docker-ignore";
const KEPT_LINKS: &str = "kept-links";
const NO_SUBMODULES: &str = "no-submodules";

impl SourceOptions {
    /// The label of an image with the differences from S2I's defaults; may be empty.
    pub fn label(&self) -> String {
        let words = [
            (self.docker_ignore, DOCKER_IGNORE),
            (!self.follow_links, KEPT_LINKS),
            (!self.submodules, NO_SUBMODULES),
        ];
        let words: Vec<&str> = words.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word).collect();
        words.join(" ")
    }

    /// Sets the options that [`Self::label`] recorded.
    pub fn set_by_label(&mut self, label: &str) {
        let has = |word: &str| label.split(' ').any(|one| one == word);
        self.docker_ignore = has(DOCKER_IGNORE);
        self.follow_links = !has(KEPT_LINKS);
        self.submodules = !has(NO_SUBMODULES);
    }
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            context_directory: None,
            submodules: true,
            exclude: None,
            follow_links: false,
            docker_ignore: true,
            git: GitOptions::default(),
            input: InputOptions::default(),
        }
    }
}

#[cfg(test)]
mod tests;
