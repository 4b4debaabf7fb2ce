//! Owns the names of git repositories and their commits. Must not accept a name that git or ssh could read as something
//! else, or that would show credentials in the process list.

use std::fmt;
use std::path::Path;

use url::Url;

use crate::input::name::safe_name;
use crate::network::without_credentials;
use crate::sources::SourceError;

const CREDENTIALS: &str = "pass credentials with git's credential helpers, `~/.netrc` or an ssh agent; a URL appears in the process list and in logs";

/// A git repository at one of its commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitLocation {
    /// `https://…`, `ssh://…`, `git://…`, `file://…`, `user@host:path`, or an absolute local path; as git takes it.
    /// Holds no password.
    pub repository: String,
    /// Branch, tag or commit; none means the remote's HEAD.
    pub reference: Option<String>,
}

impl GitLocation {
    /// Parses a URL with one of git's schemes.
    pub(in crate::sources) fn from_url(text: &str) -> Result<Self, SourceError> {
        let scheme = text.split("://").next().unwrap_or_default();
        let hidden = format!("{scheme}://…");
        let url =
            Url::parse(text).map_err(|error| SourceError::location(&hidden, error.to_string(), None))?;
        let mut shown = without_credentials(&url);
        shown.set_query(None);
        let shown = shown.to_string();
        if scheme.eq_ignore_ascii_case("file") {
            if url.to_file_path().is_err() {
                let hint = "write a file URL without a host: `file:///path`";
                return Err(SourceError::location(&shown, "it is not on this machine", Some(hint)));
            }
        } else {
            check_host(&shown, url.host_str().unwrap_or_default())?;
        }
        let is_http = matches!(url.scheme(), "http" | "https");
        if url.password().is_some() || is_http && !url.username().is_empty() {
            return Err(SourceError::location(&shown, "it contains credentials", Some(CREDENTIALS)));
        }
        if url.username().starts_with('-') {
            return Err(SourceError::location(&shown, "its user name begins with `-`", None));
        }
        let (repository, reference) = split_reference(text);
        Self::new(&shown, repository, reference)
    }

    /// Parses `[user@]host:path`, the form of ssh and scp.
    pub(in crate::sources) fn from_scp_form(text: &str) -> Result<Self, SourceError> {
        let (repository, reference) = split_reference(text);
        let (host, path) = repository.split_once(':').unwrap_or((repository, ""));
        let (user, host) = host.rsplit_once('@').unwrap_or(("", host));
        // `user:password@host:path` splits at the wrong colon. A later component of a path may contain an `@`.
        if path.split('/').next().is_some_and(|start| start.contains('@')) {
            return Err(SourceError::location(host, "it contains credentials", Some(CREDENTIALS)));
        }
        check_host(text, host)?;
        if user.starts_with('-') {
            return Err(SourceError::location(text, "its user name begins with `-`", None));
        }
        if path.is_empty() {
            return Err(SourceError::location(text, "it has no path after the `:`", None));
        }
        Self::new(text, repository, reference)
    }

    /// The repository in a directory of this machine.
    pub(in crate::sources) fn local(path: &Path) -> Result<Self, SourceError> {
        let real =
            path.canonicalize().map_err(|source| SourceError::Read { path: path.to_owned(), source })?;
        let Some(repository) = real.to_str() else { return Err(SourceError::NotUtf8 { path: real }) };
        Ok(Self { repository: repository.to_owned(), reference: None })
    }

    fn new(shown: &str, repository: &str, reference: Option<&str>) -> Result<Self, SourceError> {
        if repository.contains(|character: char| character.is_control()) {
            return Err(SourceError::location(shown, "it contains control characters", None));
        }
        let reference = reference.map(|reference| valid_reference(shown, reference)).transpose()?;
        Ok(Self { repository: repository.to_owned(), reference })
    }

    /// Whether it is on this machine.
    pub(super) fn is_local(&self) -> bool {
        let path = Path::new(&self.repository);
        path.is_absolute()
            || self.repository.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("file://"))
    }

    /// The repository as images record it; `None` for one on the building machine.
    pub(in crate::sources) fn recorded(&self) -> Option<String> {
        (!self.is_local()).then(|| self.shown())
    }

    /// The same text for every spelling of the repository, without reference and `.git`. It may contain credentials, so
    /// it must not be shown.
    pub(in crate::sources) fn identity(&self) -> String {
        let text = Url::parse(&self.repository).map_or_else(|_| self.repository.clone(), String::from);
        let place = text.trim_end_matches('/');
        place.strip_suffix(".git").unwrap_or(place).trim_end_matches('/').to_owned()
    }

    /// The default name of the result.
    pub(in crate::sources) fn name(&self) -> Option<String> {
        let place = self.repository.split('?').next().unwrap_or_default().trim_end_matches('/');
        let last = place.rsplit(['/', ':']).next().unwrap_or_default();
        let last = if last == ".git" {
            // `project/.git` is the repository of `project`.
            place.trim_end_matches("/.git").rsplit(['/', ':']).next().unwrap_or_default()
        } else {
            last.strip_suffix(".git").unwrap_or(last)
        };
        safe_name(last)
    }

    /// The repository without password and query. The user name `git` is part of many addresses and stays. Other user
    /// names are personal and are removed.
    fn shown(&self) -> String {
        match Url::parse(&self.repository) {
            Ok(url) if url.has_host() => {
                let mut shown = if url.username() == "git" { url.clone() } else { without_credentials(&url) };
                shown.set_query(None);
                shown.set_fragment(None);
                let _ = shown.set_password(None);
                shown.to_string()
            }
            _ if self.is_local() => self.repository.clone(),
            _ => match self.repository.split_once('@') {
                Some((user, place)) if user != "git" => place.to_owned(),
                _ => self.repository.clone(),
            },
        }
    }
}

impl fmt::Display for GitLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown())?;
        match &self.reference {
            Some(reference) => write!(formatter, "#{reference}"),
            None => Ok(()),
        }
    }
}

/// Splits off `#REF`; an empty one does not count.
fn split_reference(text: &str) -> (&str, Option<&str>) {
    match text.split_once('#') {
        Some((repository, reference)) => (repository, Some(reference).filter(|name| !name.is_empty())),
        None => (text, None),
    }
}

/// ssh would read a host that begins with `-` as an option.
fn check_host(shown: &str, host: &str) -> Result<(), SourceError> {
    if host.is_empty() {
        return Err(SourceError::location(shown, "it has no host", None));
    }
    if host.starts_with('-') {
        return Err(SourceError::location(shown, "its host begins with `-`", None));
    }
    Ok(())
}

/// Checks that `reference` can be the name of a branch, tag or commit (git-check-ref-format), and not an option, a range
/// or an expression.
pub(in crate::sources) fn valid_reference(shown: &str, reference: &str) -> Result<String, SourceError> {
    let invalid = |reason: &str| {
        let shown = format!("{shown}#{}", reference.escape_debug());
        let hint = "pass a branch, tag or commit; pass a directory of the repository with `--context-dir`";
        Err(SourceError::location(&shown, format!("its reference {reason}"), Some(hint)))
    };
    let is_forbidden = |character: char| {
        character.is_control() || character.is_whitespace() || "~^:?*[\\".contains(character)
    };
    if reference.starts_with('-') {
        return invalid("begins with `-`");
    }
    if let Some(character) = reference.chars().find(|character| is_forbidden(*character)) {
        return invalid(&format!("contains `{}`", character.escape_debug()));
    }
    let has_bad_part = reference.split('/').any(|part| {
        part.is_empty() || part.starts_with('.') || part.ends_with(".lock") || part.ends_with('.')
    });
    if has_bad_part || reference.contains("..") || reference.contains("@{") || reference == "@" {
        return invalid("is not a name that git allows");
    }
    Ok(reference.to_owned())
}

pub(in crate::sources) fn is_repository(path: &Path) -> bool {
    path.join(".git").symlink_metadata().is_ok() || is_bare_repository(path)
}

pub(in crate::sources) fn is_bare_repository(path: &Path) -> bool {
    path.join("HEAD").is_file() && path.join("objects").is_dir() && path.join("refs").is_dir()
}
