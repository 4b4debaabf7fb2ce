//! Owns the files of a new builder image (`b2i builders create`), ready to be built and tested.
//!
//! Must not write them to the disk.

use super::error::BuilderError;
use crate::image::ImageReference;

/// The default base of a new builder.
pub const DEFAULT_BASE: &str = "docker.io/library/debian:12-slim";

/// One file of a new builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaffoldFile {
    /// Relative to the builder's directory.
    pub path: &'static str,
    pub text: String,
    pub executable: bool,
}

/// Path, text with `{{NAME}}` and `{{BASE}}`, and whether it is executable.
const FILES: [(&str, &str, bool); 9] = [
    ("Dockerfile", include_str!("files/Dockerfile"), false),
    ("Makefile", include_str!("files/Makefile"), false),
    ("README.md", include_str!("files/README.md"), false),
    ("s2i/bin/assemble", include_str!("files/s2i/bin/assemble"), true),
    ("s2i/bin/run", include_str!("files/s2i/bin/run"), true),
    ("s2i/bin/save-artifacts", include_str!("files/s2i/bin/save-artifacts"), true),
    ("s2i/bin/usage", include_str!("files/s2i/bin/usage"), true),
    ("test/run", include_str!("files/test/run"), true),
    ("test/test-app/app.sh", include_str!("files/test/test-app/app.sh"), true),
];

/// Makes the files of the builder image `name` on `base`.
///
/// # Errors
/// [`BuilderError::BuilderName`] if no image can have the name.
pub fn scaffold(name: &str, base: &ImageReference) -> Result<Vec<ScaffoldFile>, BuilderError> {
    let invalid = |reason: String| BuilderError::BuilderName { text: name.to_owned(), reason };
    let reference: ImageReference = name
        .parse()
        .map_err(|error: crate::image::reference::InvalidReference| invalid(error.to_string()))?;
    if reference.digest().is_some() {
        return Err(invalid("a digest is not a name: it follows from the content of the image".into()));
    }
    // The name goes into scripts as it was typed. A reference contains no character that is special in a shell.
    Ok(FILES
        .into_iter()
        .map(|(path, text, executable)| ScaffoldFile {
            path,
            text: text.replace("{{NAME}}", name).replace("{{BASE}}", &base.familiar()),
            executable,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_put_in_and_only_names() {
        let base: ImageReference = DEFAULT_BASE.parse().expect("a name");
        let files = scaffold("team/builder", &base).expect("a name");
        let text = |path: &str| &files.iter().find(|file| file.path == path).expect("there").text;
        assert!(text("Dockerfile").contains("ARG BASE=debian:12-slim\n"), "{}", text("Dockerfile"));
        assert!(text("README.md").contains("s2i build test/test-app team/builder app"));
        // Docker's own braces are not ours.
        assert!(text("test/run").contains("{{.Config.User}}"));
        assert!(files.iter().all(|file| !file.text.contains("{{NAME}}") && !file.text.contains("{{BASE}}")));
        for name in ["", "UPPER", "a b", "a;rm -rf x", "$(id)", "a\nb", "a@sha256:0"] {
            assert!(scaffold(name, &base).is_err(), "{name}");
        }
    }
}
