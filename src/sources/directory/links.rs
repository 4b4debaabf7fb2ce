//! Owns symbolic links of a source tree: which stay in it, and what becomes of the others.

use std::path::{Path, PathBuf};

use super::super::error::SourceError;

/// What becomes of a link that leads out of its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkPolicy {
    /// It is an error. Somebody's own directory could be followed, if they say so.
    Refuse {
        /// Whether it is somebody's own directory.
        is_own: bool,
    },
    /// What it leads to is copied.
    Follow,
}

/// What a link leads to.
pub(super) enum Followed {
    /// Nothing is there: the link stays as it is, as in S2I.
    Nothing,
    /// A regular file.
    File {
        /// Where it really is.
        parent: PathBuf,
        /// Its name there.
        name: String,
    },
    /// A directory.
    Directory {
        /// Where it really is.
        path: PathBuf,
        /// The directories that links were followed from, with the one that holds this link.
        followed: Vec<PathBuf>,
    },
    /// A socket, pipe or device.
    Other,
}

/// Says whether a link at `link` (relative to a tree) with this target stays inside the tree, by the names alone.
pub(super) fn leads_inside(link: &str, target: &str) -> bool {
    if target.is_empty() || target.starts_with('/') || Path::new(target).is_absolute() {
        return false;
    }
    let mut depth = link.matches('/').count();
    for part in target.split('/').filter(|part| !matches!(*part, "" | ".")) {
        let next = if part == ".." { depth.checked_sub(1) } else { depth.checked_add(1) };
        let Some(next) = next else { return false };
        depth = next;
    }
    true
}

/// Follows the link at `place` if that is allowed.
pub(super) fn follow(
    policy: LinkPolicy,
    place: &Path,
    target: &str,
    followed: &[PathBuf],
) -> Result<Followed, SourceError> {
    if let LinkPolicy::Refuse { is_own } = policy {
        return Err(SourceError::LinkOutside {
            path: place.to_owned(),
            target: target.to_owned(),
            may_follow: is_own,
        });
    }
    let failed = |source| SourceError::Read { path: place.to_owned(), source };
    let real = match place.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Followed::Nothing),
        Err(error) => return Err(failed(error)),
    };
    let kind = real.metadata().map_err(failed)?.file_type();
    if kind.is_dir() {
        let here = place.parent().unwrap_or(place).canonicalize().map_err(failed)?;
        let mut above = followed.to_vec();
        above.push(here);
        if above.iter().any(|directory| directory.starts_with(&real)) {
            return Err(SourceError::LinkLoop { path: place.to_owned(), target: target.to_owned() });
        }
        return Ok(Followed::Directory { path: real, followed: above });
    }
    if !kind.is_file() {
        return Ok(Followed::Other);
    }
    let name = real.file_name().and_then(|name| name.to_str());
    match (real.parent(), name) {
        (Some(parent), Some(name)) => Ok(Followed::File { parent: parent.to_owned(), name: name.to_owned() }),
        _ => Err(SourceError::NotUtf8 { path: real }),
    }
}

#[cfg(test)]
mod tests {
    use super::leads_inside;

    #[test]
    fn links_are_judged_by_their_names() {
        for (link, target, expected) in [
            ("a", "b", true),
            ("a/b", "../c", true),
            ("a/b", "x/../../c", true),
            ("a", "../c", false),
            ("a/b", "../../c", false),
            ("a/b", "x/../../../c", false),
            ("a", "/etc/passwd", false),
            ("a", "", false),
            ("a", "./b/..", true),
        ] {
            assert_eq!(leads_inside(link, target), expected, "{link} -> {target}");
        }
    }
}
