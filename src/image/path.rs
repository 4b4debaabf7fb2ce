//! Owns absolute paths inside an image: names in a tar archive or an image config.
//! Must not touch a file system.

use std::fmt;
use std::str::FromStr;

use crate::text::as_text;

/// An absolute, normal path inside an image: starts with `/`, has no `.`, `..`, empty component or NUL.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImagePath(String);

/// The error for a text that is not an absolute, normal path.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{path}` is not an absolute path inside an image: {reason}")]
pub struct InvalidImagePath {
    path: String,
    reason: &'static str,
}

impl ImagePath {
    /// Parses `path`, without repeated and trailing slashes.
    pub fn new(path: &str) -> Result<Self, InvalidImagePath> {
        let invalid = |reason| InvalidImagePath { path: path.to_owned(), reason };
        if !path.starts_with('/') {
            return Err(invalid("it does not start with `/`"));
        }
        if path.contains('\0') {
            return Err(invalid("it contains a NUL"));
        }
        let components: Vec<&str> = path.split('/').filter(|component| !component.is_empty()).collect();
        if components.iter().any(|component| matches!(*component, "." | "..")) {
            return Err(invalid("it contains `.` or `..`"));
        }
        Ok(Self(format!("/{}", components.join("/"))))
    }

    /// Appends a relative path.
    pub fn join(&self, relative: &str) -> Result<Self, InvalidImagePath> {
        Self::new(&format!("{}/{relative}", self.0))
    }

    /// The path with its leading `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without its leading `/`, as in tar archives.
    pub fn relative(&self) -> &str {
        &self.0[1..]
    }

    /// The last component; empty for `/`.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The directory of this path; `None` for `/`.
    pub fn parent(&self) -> Option<Self> {
        let (parent, name) = self.0.rsplit_once('/')?;
        if name.is_empty() {
            return None;
        }
        Some(Self(if parent.is_empty() { "/".to_owned() } else { parent.to_owned() }))
    }

    /// Whether this path is `other` or below it.
    pub fn is_within(&self, other: &Self) -> bool {
        other.0 == "/"
            || self.0 == other.0
            || self.0.strip_prefix(&other.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for ImagePath {
    type Err = InvalidImagePath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

as_text!(ImagePath);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises_slashes() {
        assert_eq!(ImagePath::new("//opt/app-root//bin/").expect("valid").as_str(), "/opt/app-root/bin");
        assert_eq!(ImagePath::new("/").expect("valid").relative(), "");
    }

    #[test]
    fn refuses_what_could_leave_the_place() {
        for path in ["", "opt", "/opt/../etc", "/./x", "/a\0b"] {
            assert!(ImagePath::new(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn knows_its_parent_and_whether_it_is_within() {
        let bin = ImagePath::new("/opt/app-root/bin").expect("valid");
        let root = ImagePath::new("/opt/app-root").expect("valid");
        assert_eq!(bin.parent(), Some(root.clone()));
        assert_eq!(ImagePath::new("/opt").expect("valid").parent().expect("has one").as_str(), "/");
        assert_eq!(ImagePath::new("/").expect("valid").parent(), None);
        assert!(bin.is_within(&root) && !root.is_within(&bin));
        assert!(!ImagePath::new("/opt/app-rooted").expect("valid").is_within(&root));
    }
}
