//! Owns the errors of the room: what is wrong with a template, the catalog, a choice or a builder image.

use super::image_metadata::IMAGE_METADATA_PATH;
use crate::diagnostic::{Diagnostic, FailureKind};

/// What can go wrong in this room.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BuilderError {
    /// A metadata file is no TOML or has another shape.
    #[error("`{file}` line {line}: {message}, at `{text}`")]
    Malformed {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
        /// The line's text.
        text: String,
    },
    /// A value of a metadata file cannot be.
    #[error("`{file}`: `{key}` {reason}")]
    Invalid {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// A file of a template folder cannot be used.
    #[error("the builder template's file `{file}` {reason}")]
    TemplateFile {
        /// The file.
        file: String,
        /// Why not.
        reason: String,
    },
    /// The text is no name of a builder.
    #[error("`{text}` names no builder: {reason}")]
    BuilderName {
        /// What was given.
        text: String,
        /// Why not.
        reason: String,
    },
    /// No template has this name.
    #[error("there is no builder `{name}`; there are {known}")]
    UnknownTemplate {
        /// The name.
        name: String,
        /// All names.
        known: String,
        /// The nearest of them.
        nearest: Option<String>,
    },
    /// The template has no such version.
    #[error("the builder `{template}` has no version `{version}`; it has {known}")]
    UnknownVersion {
        /// The template.
        template: String,
        /// The version.
        version: String,
        /// All versions.
        known: String,
        /// The nearest of them.
        nearest: Option<String>,
    },
    /// Configuration replaces a base that no template uses.
    #[error("configuration replaces the base `{name}`, but no builder uses it")]
    UnknownBase {
        /// The base.
        name: String,
        /// The nearest base that is used.
        nearest: Option<String>,
        /// The bases of the same repository that are used.
        siblings: Vec<String>,
    },
    /// The requested platform is not the one the executable was built for.
    #[error("`{artifact}` is built for {built_for}, and {requested} was asked for")]
    PlatformContradicts {
        /// The artifact.
        artifact: String,
        /// Its platform.
        built_for: String,
        /// The requested platform.
        requested: String,
    },
    /// The template takes another kind of artifact.
    #[error("the builder `{template}` takes {takes}, and `{artifact}` is {is}")]
    WrongKind {
        /// The template.
        template: String,
        /// The kinds it takes.
        takes: String,
        /// The artifact.
        artifact: String,
        /// What the artifact is.
        is: String,
        /// What to do.
        hint: String,
    },
    /// The template takes sources and no artifacts.
    #[error("the builder `{template}` takes {takes}, and no finished artifacts")]
    TakesSources {
        /// The template.
        template: String,
        /// What it takes, in words.
        takes: String,
    },
    /// The template takes artifacts and no sources.
    #[error("the builder `{template}` takes {takes}, and no sources")]
    TakesArtifacts {
        /// The template.
        template: String,
        /// What it takes, in words.
        takes: String,
        /// The templates that take sources.
        known: String,
    },
    /// Nothing in a source tree says by what it is built, or there is no template for what does.
    #[error("no builder of the catalog fits the sources `{source_name}`: {reason}")]
    NoSourceBuilder {
        /// The sources.
        source_name: String,
        /// Why not.
        reason: String,
        /// What to do, the nearest first.
        hints: Vec<String>,
    },
    /// None of the versions that may be chosen builds what the project asks for.
    #[error("the builder `{template}` cannot build `{source_name}`: {reason}")]
    NoSourceVersion {
        /// The template, with the version if one was asked for.
        template: String,
        /// The sources.
        source_name: String,
        /// Why not.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// No base of the catalog can run the artifact, whatever the version.
    #[error("no builder of the catalog can run `{artifact}`: {reason}")]
    CannotRun {
        /// The artifact.
        artifact: String,
        /// Why not.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// None of the versions that may be chosen can run the artifact.
    #[error("the builder `{template}` cannot run `{artifact}`: {reasons}")]
    NothingFits {
        /// The template, with the version if one was asked for.
        template: String,
        /// The artifact.
        artifact: String,
        /// Each version with what keeps it from running.
        reasons: String,
        /// What to do.
        hint: String,
    },
    /// The context path cannot be.
    #[error("`{path}` is no context path: {reason}")]
    ContextPath {
        /// The context path.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The template has no use for a context path.
    #[error("the builder `{template}` has no context path, and `{path}` was asked for")]
    NoContextPath {
        /// The template.
        template: String,
        /// The context path.
        path: String,
    },
    /// The image has no S2I scripts.
    #[error(
        "`{image}` is no builder image: it has neither a label `io.openshift.s2i.scripts-url` nor one of its older names"
    )]
    NoScripts {
        /// The image.
        image: String,
    },
    /// A label or variable of the builder image says what cannot be followed.
    #[error("the builder image `{image}` sets `{name}` to `{value}`, {reason}")]
    Contract {
        /// The image.
        image: String,
        /// The label or variable.
        name: String,
        /// Its value.
        value: String,
        /// Why it cannot be followed.
        reason: String,
        /// What to do.
        hint: Option<String>,
    },
    /// `image_metadata.json` of the builder cannot be used.
    #[error("the script `assemble` left a `{IMAGE_METADATA_PATH}` that cannot be used: {0}")]
    ImageMetadata(String),
    /// The content of a base image cannot be looked through.
    #[error("the file system of the image cannot be looked through: {0}")]
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
            Self::PlatformContradicts { .. } => FailureKind::Artifact,
            _ => FailureKind::Builder,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::UnknownTemplate { name, nearest, .. } => {
                let image =
                    format!("for an image of that name, write it in full: `docker.io/library/{name}`");
                nearest.iter().map(|nearest| format!("did you mean `{nearest}`?")).chain([image]).collect()
            }
            Self::UnknownVersion { template, nearest, .. } => {
                let any = format!("`--builder {template}` leaves the choice of the version to b2i");
                nearest
                    .iter()
                    .map(|nearest| format!("did you mean `{template}:{nearest}`?"))
                    .chain([any])
                    .collect()
            }
            Self::UnknownBase { nearest, siblings, .. } => {
                let list = "`b2i builders show NAME` lists the bases of a builder".to_owned();
                let near = match (nearest, siblings.is_empty()) {
                    (Some(nearest), _) => Some(format!("did you mean `{nearest}`?")),
                    (None, false) => {
                        Some(format!("of that repository builders use `{}`", siblings.join("`, `")))
                    }
                    (None, true) => None,
                };
                near.into_iter().chain([list]).collect()
            }
            Self::TakesSources { template, .. } => vec![
                format!(
                    "give the sources, and let it build them: `b2i build DIRECTORY --source-builder {template}`"
                ),
                "leave out `--builder`: what an artifact needs is chosen by itself".to_owned(),
            ],
            Self::TakesArtifacts { known, .. } => vec![
                format!("builders for sources are {known}"),
                "leave out `--source-builder`: it is chosen by the build file".to_owned(),
            ],
            Self::NoSourceBuilder { hints, .. } => hints.clone(),
            Self::NoSourceVersion { hint, .. } => vec![hint.clone()],
            Self::PlatformContradicts { requested, .. } => {
                vec![format!("leave out `--platform`, or package the program that is built for {requested}")]
            }
            Self::WrongKind { hint, .. } | Self::CannotRun { hint, .. } | Self::NothingFits { hint, .. } => {
                vec![hint.clone()]
            }
            Self::ContextPath { .. } => {
                vec!["write it as it stands in the URL, such as `/` or `/shop`".to_owned()]
            }
            Self::NoContextPath { .. } => {
                vec!["leave out `--context-path`; it is for WARs on Tomcat".to_owned()]
            }
            Self::NoScripts { .. } => vec![
                "`b2i builders` lists the builders that come with b2i".to_owned(),
                "an S2I builder image names its scripts in the label `io.openshift.s2i.scripts-url`"
                    .to_owned(),
            ],
            Self::Contract { hint: Some(hint), .. } => vec![hint.clone()],
            Self::Contract { name, .. } => vec![
                format!("correct `{name}` in the builder image (a `LABEL` or `ENV` of its Dockerfile)"),
                "`b2i builders` lists the builders that come with b2i".to_owned(),
            ],
            Self::ImageMetadata(_) => {
                vec![r#"it has to be JSON of the form {"labels": [{"name": "value"}]}"#.to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

/// Makes a text of a stranger fit for a message: a terminal obeys control characters, and nobody reads a megabyte.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut kept: String = text.chars().filter(|character| !character.is_control()).take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        kept.push('…');
    }
    kept
}

/// Turns an error of the TOML parser into one that names file, line and key.
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
