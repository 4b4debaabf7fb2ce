//! Owns the exclusions from a source tree: `.git`, `--exclude`, `.s2iignore` and `.dockerignore`. Must not walk the tree.
//!
//! Each kind has its own rules, and each can exclude an entry. A `!` line of `.s2iignore` also includes what
//! `.dockerignore` excludes: a project's `.dockerignore` may be for an image of finished artifacts, without sources.

mod docker;
mod glob;
mod s2i;

use std::io::{self, Read};

use cap_std::fs::Dir;
use regex::Regex;

use super::{SourceError, SourceOptions};
use docker::DockerIgnore;
pub(crate) use glob::Glob;
use s2i::S2iIgnore;

const S2I_IGNORE: &str = ".s2iignore";
pub(super) const DOCKER_IGNORE: &str = ".dockerignore";
/// Largest file with rules, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct IgnoreRules {
    s2i: S2iIgnore,
    docker: DockerIgnore,
    exclude: Option<Regex>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Include,
    /// With everything below it.
    Exclude,
    /// A directory that is excluded unless an entry below it is included.
    SearchInside,
}

#[derive(Debug)]
struct InvalidLine {
    number: usize,
    reason: String,
}

impl IgnoreRules {
    /// Reads the rules of the tree at `root`; `shown` is its name in messages.
    pub(super) fn read(root: &Dir, shown: &str, options: &SourceOptions) -> Result<Self, SourceError> {
        let invalid = |file: &'static str| {
            move |line: InvalidLine| SourceError::IgnoreFile {
                path: format!("{shown}/{file}"),
                line: line.number,
                reason: line.reason,
            }
        };
        let s2i = S2iIgnore::parse(&text(root, shown, S2I_IGNORE)?).map_err(invalid(S2I_IGNORE))?;
        let docker = if options.docker_ignore {
            DockerIgnore::parse(&text(root, shown, DOCKER_IGNORE)?).map_err(invalid(DOCKER_IGNORE))?
        } else {
            DockerIgnore::default()
        };
        Ok(Self { s2i, docker, exclude: exclude(options)? })
    }

    /// The verdict on `path`, whose parent is included or searched.
    pub(super) fn verdict(&self, path: &str, is_directory: bool) -> Verdict {
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_excluded = self.exclude.as_ref().is_some_and(|exclude| exclude.is_match(path));
        if name == ".git" || is_excluded || self.s2i.excludes(path) {
            return Verdict::Exclude;
        }
        if !self.docker.excludes(path) || self.s2i.includes(path) {
            return Verdict::Include;
        }
        if is_directory && (self.s2i.has_exceptions() || self.docker.may_include_below(path)) {
            return Verdict::SearchInside;
        }
        Verdict::Exclude
    }
}

/// The regular expression of `--exclude`.
pub(super) fn exclude(options: &SourceOptions) -> Result<Option<Regex>, SourceError> {
    let Some(expression) = options.exclude.as_ref().filter(|expression| !expression.is_empty()) else {
        return Ok(None);
    };
    let invalid = |error: regex::Error| SourceError::Exclude {
        expression: expression.clone(),
        reason: error.to_string(),
    };
    Regex::new(expression).map(Some).map_err(invalid)
}

/// The text of a file with rules; empty if it does not exist. A link that leads out of the tree is not followed.
fn text(root: &Dir, shown: &str, name: &str) -> Result<String, SourceError> {
    let failed = |source| SourceError::Read { path: format!("{shown}/{name}").into(), source };
    match root.metadata(name) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Ok(String::new()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(failed(error)),
    }
    let mut bytes = Vec::new();
    root.open(name).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(failed(io::Error::other(format!("it is larger than {MAX_BYTES} bytes"))));
    }
    String::from_utf8(bytes).map_err(|_| failed(io::Error::other("it is not UTF-8")))
}

/// Lines with their numbers from 1, without line ends and byte order mark.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}
