//! Owns the symbolic links that leave a source tree. Must not follow a link unless the policy allows it.

use std::path::{Path, PathBuf};

use crate::sources::SourceError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkPolicy {
    /// An error. `may_follow` is whether `--follow-links` would change that.
    Refuse { may_follow: bool },
    /// The target is copied.
    Follow,
}

/// The target of a link, by canonical paths.
pub(super) enum LinkTarget {
    /// The link stays a link, as in S2I.
    Missing,
    File {
        parent: PathBuf,
        name: String,
    },
    /// `ancestors` are the directories with the links that lead here.
    Directory {
        path: PathBuf,
        ancestors: Vec<PathBuf>,
    },
    /// A socket, pipe or device.
    Other,
}

/// Whether a link at `link` (relative to a tree) with this target stays inside the tree, by the names alone.
pub(super) fn stays_inside(link: &str, target: &str) -> bool {
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

/// Follows the link at `path` if the policy allows it.
pub(super) fn follow(
    policy: LinkPolicy,
    path: &Path,
    target: &str,
    ancestors: &[PathBuf],
) -> Result<LinkTarget, SourceError> {
    let link = || (path.to_owned(), target.to_owned());
    if let LinkPolicy::Refuse { may_follow } = policy {
        let (path, target) = link();
        return Err(SourceError::LinkOutside { path, target, may_follow });
    }
    let failed = |source| SourceError::Read { path: path.to_owned(), source };
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(LinkTarget::Missing),
        Err(error) => return Err(failed(error)),
    };
    let kind = real.metadata().map_err(failed)?.file_type();
    if kind.is_dir() {
        let mut ancestors = ancestors.to_vec();
        ancestors.push(path.parent().unwrap_or(path).canonicalize().map_err(failed)?);
        if ancestors.iter().any(|directory| directory.starts_with(&real)) {
            let (path, target) = link();
            return Err(SourceError::LinkLoop { path, target });
        }
        return Ok(LinkTarget::Directory { path: real, ancestors });
    }
    if !kind.is_file() {
        return Ok(LinkTarget::Other);
    }
    let name = real.file_name().and_then(|name| name.to_str());
    match (real.parent(), name) {
        (Some(parent), Some(name)) => {
            Ok(LinkTarget::File { parent: parent.to_owned(), name: name.to_owned() })
        }
        _ => Err(SourceError::NotUtf8 { path: real }),
    }
}

#[cfg(test)]
mod tests {
    use super::stays_inside;

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
            assert_eq!(stays_inside(link, target), expected, "{link} -> {target}");
        }
    }
}
