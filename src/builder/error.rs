//! Owns the errors of this module: templates, the catalog, the selection and the contract of builder images.
//!
//! Must not know where a template comes from.

use super::image_metadata::IMAGE_METADATA_PATH;
use crate::diagnostic::{Diagnostic, FailureKind};

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BuilderError {
    /// A metadata file is not TOML, or a value has the wrong type.
    #[error("`{file}` line {line}: {message}, at `{text}`")]
    Malformed {
        file: String,
        /// Counted from 1.
        line: usize,
        message: String,
        /// The text of the line.
        text: String,
    },
    /// A value of a metadata file is not valid.
    #[error("`{file}`: `{key}` {reason}")]
    Invalid { file: String, key: String, reason: String },
    #[error("the builder template's file `{file}` {reason}")]
    TemplateFile { file: String, reason: String },
    #[error("`{text}` is not a valid name of a builder: {reason}")]
    BuilderName { text: String, reason: String },
    #[error("unknown builder `{name}`; the builders are {known}")]
    UnknownTemplate {
        name: String,
        /// The name with its tag, as it was written.
        written: String,
        known: String,
        nearest: Option<String>,
    },
    #[error("the builder `{template}` has no version `{version}`; it has {known}")]
    UnknownVersion { template: String, version: String, known: String, nearest: Option<String> },
    #[error("configuration replaces the base `{name}`, but no builder uses it")]
    UnknownBase {
        name: String,
        nearest: Option<String>,
        /// The bases of the same repository that builders use.
        siblings: Vec<String>,
    },
    #[error("`{artifact}` is built for {built_for}, not for {requested}")]
    PlatformContradicts { artifact: String, built_for: String, requested: String },
    #[error("the builder `{template}` takes {takes}, and `{artifact}` is {is}")]
    WrongKind { template: String, takes: String, artifact: String, is: String, hint: String },
    #[error("the builder `{template}` takes {takes}, not finished artifacts")]
    TakesSources { template: String, takes: String },
    #[error("the builder `{template}` takes {takes}, not sources")]
    TakesArtifacts {
        template: String,
        takes: String,
        /// The templates that take sources.
        known: String,
    },
    /// A source tree without a build file, or with one that no template takes.
    #[error("no builder of the catalog fits the sources `{source_name}`: {reason}")]
    NoSourceBuilder { source_name: String, reason: String, hints: Vec<String> },
    /// A source tree without files.
    #[error("`{source_name}` is empty: it has neither an artifact nor sources")]
    NoSources { source_name: String },
    /// No version of the template builds the release that the project requires.
    #[error("the builder `{template}` cannot build `{source_name}`: {reason}")]
    NoSourceVersion {
        /// The name of the template, with the version if the user named one.
        template: String,
        source_name: String,
        reason: String,
        hint: String,
    },
    /// No base of the catalog can run the artifact.
    #[error("no builder of the catalog can run `{artifact}`: {reason}")]
    CannotRun { artifact: String, reason: String, hint: String },
    /// The base is known to lack libraries that the artifact needs.
    #[error("`{subject}` needs {libraries}, which the base `{base}` is not known to have{elsewhere}")]
    MissingLibraries {
        /// The program, or a library that comes along.
        subject: String,
        libraries: String,
        base: String,
        /// The place of a file with this name, as a clause.
        elsewhere: String,
        hints: Vec<String>,
    },
    /// No version of the template can run the artifact.
    #[error("the builder `{template}` cannot run `{artifact}`: {reasons}")]
    NothingFits {
        /// The name of the template, with the version if the user named one.
        template: String,
        artifact: String,
        /// Each version with its reason.
        reasons: String,
        hint: String,
    },
    #[error("`{path}` is not a context path: {reason}")]
    ContextPath { path: String, reason: String },
    #[error("the builder `{template}` has no context path, so `{path}` does not apply")]
    NoContextPath { template: String, path: String },
    #[error(
        "`{image}` is not a builder image: it has neither a label `io.openshift.s2i.scripts-url` nor one of its older names"
    )]
    NoScripts { image: String },
    /// A label or variable of the builder image is refused.
    #[error("the builder image `{image}` sets `{name}` to `{value}`, {reason}")]
    Contract { image: String, name: String, value: String, reason: String, hint: Option<String> },
    #[error("the script `assemble` wrote a `{IMAGE_METADATA_PATH}` that is not valid: {0}")]
    ImageMetadata(String),
    #[error("cannot read the file system of the image: {0}")]
    Observation(String),
}

impl Diagnostic for BuilderError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::BuilderName { .. }
            | Self::TakesSources { .. }
            | Self::TakesArtifacts { .. }
            | Self::UnknownTemplate { .. }
            | Self::UnknownVersion { .. }
            | Self::UnknownBase { .. }
            | Self::ContextPath { .. }
            | Self::NoContextPath { .. } => FailureKind::Usage,
            Self::PlatformContradicts { .. } | Self::NoSources { .. } => FailureKind::Artifact,
            _ => FailureKind::Builder,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::UnknownTemplate { written, nearest, .. } => {
                let image =
                    format!("write an image with this name in full: `docker.io/library/{written}`");
                nearest.iter().map(|nearest| format!("did you mean `{nearest}`?")).chain([image]).collect()
            }
            Self::UnknownVersion { template, nearest, .. } => {
                let any = format!("pass `--builder {template}` to let b2i choose the version");
                nearest
                    .iter()
                    .map(|nearest| format!("did you mean `{template}:{nearest}`?"))
                    .chain([any])
                    .collect()
            }
            Self::UnknownBase { nearest, siblings, .. } => {
                let list = "list the bases of a builder with `b2i builders show NAME`".to_owned();
                let near = match (nearest, siblings.is_empty()) {
                    (Some(nearest), _) => Some(format!("did you mean `{nearest}`?")),
                    (None, false) => {
                        Some(format!("builders use these bases of the repository: `{}`", siblings.join("`, `")))
                    }
                    (None, true) => None,
                };
                near.into_iter().chain([list]).collect()
            }
            Self::TakesSources { template, .. } => vec![
                format!(
                    "build sources with it: `b2i build DIRECTORY --source-builder {template}`"
                ),
                "omit `--builder`: b2i chooses a builder that fits the artifact".to_owned(),
            ],
            Self::TakesArtifacts { known, .. } => vec![
                format!("builders for sources: {known}"),
                "omit `--source-builder`: b2i chooses a builder by the build file".to_owned(),
            ],
            Self::NoSourceBuilder { hints, .. } | Self::MissingLibraries { hints, .. } => hints.clone(),
            Self::NoSourceVersion { hint, .. } => vec![hint.clone()],
            Self::NoSources { .. } => vec!["build the project first, or name another directory".to_owned()],
            Self::PlatformContradicts { requested, .. } => {
                vec![format!("omit `--platform`, or pass the program for {requested}")]
            }
            Self::WrongKind { hint, .. } | Self::CannotRun { hint, .. } | Self::NothingFits { hint, .. } => {
                vec![hint.clone()]
            }
            Self::ContextPath { .. } => {
                vec!["pass the path in the URL, such as `/` or `/shop`".to_owned()]
            }
            Self::NoContextPath { .. } => {
                vec!["omit `--context-path`; it is for WARs on Tomcat".to_owned()]
            }
            Self::NoScripts { .. } => vec![
                "list the built-in builders with `b2i builders`".to_owned(),
                "an S2I builder image has the location of its scripts in the label `io.openshift.s2i.scripts-url`"
                    .to_owned(),
            ],
            Self::Contract { hint: Some(hint), .. } => vec![hint.clone()],
            Self::Contract { name, .. } => vec![
                format!("correct `{name}` in the builder image (a `LABEL` or `ENV` of its Dockerfile)"),
                "list the built-in builders with `b2i builders`".to_owned(),
            ],
            Self::ImageMetadata(_) => {
                vec![r#"write JSON of the form {"labels": [{"name": "value"}]}"#.to_owned()]
            }
            Self::Malformed { .. }
            | Self::Invalid { .. }
            | Self::TemplateFile { .. }
            | Self::BuilderName { .. }
            | Self::Observation(_) => Vec::new(),
        }
    }
}

/// Makes untrusted text safe to show: without control characters, which a terminal would obey, and not too long.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut shown: String = text.chars().filter(|character| !character.is_control()).take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// Adds the file and the line to an error of the TOML parser.
pub(super) fn toml_error(file: &str, text: &str, error: &toml::de::Error) -> BuilderError {
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    let line = text.get(..start).unwrap_or_default().matches('\n').count();
    BuilderError::Malformed {
        file: file.to_owned(),
        line: line + 1,
        message: shown(&error.message().trim().replace('\n', ", ")),
        text: shown(text.lines().nth(line).unwrap_or_default().trim()),
    }
}
