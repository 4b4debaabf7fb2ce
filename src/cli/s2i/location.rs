//! Owns the parser of the source argument of `s2i build`.
//!
//! Must not read sources.

use std::path::{Component, Path, PathBuf};

use super::arguments::{BuildArguments, is_on, non_empty};
use crate::cli::failure::CliError;
use crate::sources::SourceLocation;

/// Parses the source as s2i does. A local repository stands for its commits; with `--copy`, for its files.
pub(super) fn location(source: &str, arguments: &BuildArguments) -> Result<SourceLocation, CliError> {
    if source.is_empty() {
        return Ok(SourceLocation::Nothing);
    }
    let option = non_empty(&arguments.r#ref);
    // `--ref` wins over `#ref`.
    let text = if option.is_some() { without_reference(source) } else { source };
    let is_copied = is_on(arguments.copy);
    let location = match SourceLocation::parse(text)? {
        SourceLocation::Git(git) if is_copied => match working_tree(&git.repository) {
            Some(path) => SourceLocation::Directory(path),
            None => SourceLocation::Git(git),
        },
        location => location,
    };
    let reference = match &location {
        SourceLocation::Directory(path) if !is_copied && path.join(".git").exists() => {
            option.or(Some("HEAD".into()))
        }
        SourceLocation::Directory(_) if is_copied && option.is_some() => {
            return Err(CliError::usage(
                "`--copy` conflicts with `--ref`: it copies the directory, not a commit",
            )
            .with_hint("omit one of them"));
        }
        _ => option,
    };
    match reference {
        Some(reference) => Ok(location.with_reference(&reference)?),
        None => Ok(location),
    }
}

/// The directory of a `file://` URL of a repository: `--copy` copies its files.
fn working_tree(repository: &str) -> Option<PathBuf> {
    let path = url::Url::parse(repository).ok().filter(|url| url.scheme() == "file")?.to_file_path().ok()?;
    path.join(".git").exists().then_some(path)
}

/// The source as the image's label records it, for `s2i rebuild`. A relative path below the working directory reveals
/// nothing about the machine; other paths are not recorded.
pub(super) fn recorded(source: &str) -> Option<String> {
    let path = without_reference(source);
    let is_below = Path::new(path)
        .components()
        .all(|component| matches!(component, Component::Normal(_) | Component::CurDir));
    (is_below && !path.is_empty() && Path::new(path).exists()).then(|| path.to_owned())
}

/// The source without `#ref`. A `#` in the name of an existing file stays.
fn without_reference(source: &str) -> &str {
    match source.rsplit_once('#') {
        Some((location, _)) if !Path::new(source).exists() => location,
        _ => source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::s2i::source_build::tests::request_of;

    #[test]
    fn sources_are_read_as_s2i_reads_them() {
        let location = |words: &[&str]| request_of(words).expect("valid").location;
        let git = |words: &[&str]| match location(words) {
            SourceLocation::Git(git) => (git.repository, git.reference.unwrap_or_default()),
            other => panic!("{words:?}: {other:?}"),
        };
        let pair = |one: &str, two: &str| (one.to_owned(), two.to_owned());
        let url = "https://host.example/a.git";
        assert_eq!(git(&["https://host.example/a.git#v2", "b"]), pair(url, "v2"));
        assert_eq!(git(&["https://host.example/a.git#v2", "b", "-r", "main"]), pair(url, "main"));
        assert_eq!(git(&["https://host.example/a.git#v2", "b", "-r", ""]), pair(url, "v2"));
        assert_eq!(git(&["git@host.example:a/b.git", "b"]).1, "");
        assert_eq!(location(&["", "b"]), SourceLocation::Nothing);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().to_str().expect("UTF-8");
        assert_eq!(location(&[path, "b"]), SourceLocation::Directory(path.into()));
        assert!(request_of(&[path, "b", "-r", "v1"]).is_err(), "a directory has no commits");
        let made_repository = std::process::Command::new("git").args(["init", "--quiet", path]).status();
        assert!(made_repository.expect("git starts").success());
        assert_eq!(git(&[path, "b"]).1, "HEAD");
        assert_eq!(git(&[&format!("{path}#v1"), "b"]).1, "v1");
        let url = format!("file://{path}");
        assert_eq!(git(&[&url, "b"]), pair(&url, ""));
        for place in [path, &url] {
            assert_eq!(location(&[place, "b", "--copy"]), SourceLocation::Directory(path.into()));
            assert!(request_of(&[place, "b", "--copy", "-r", "v1"]).is_err(), "either as it is or a commit");
        }
    }

    #[test]
    fn the_label_says_no_path_of_the_machine() {
        assert_eq!(recorded("src").as_deref(), Some("src"));
        assert_eq!(recorded("./src#v1").as_deref(), Some("./src"));
        assert_eq!(recorded(".").as_deref(), Some("."));
        for other in
            ["/tmp", "../other", "src/../..", "", "https://host.example/a.git", "file:///tmp", "nowhere"]
        {
            assert_eq!(recorded(other), None, "{other}");
        }
    }
}
