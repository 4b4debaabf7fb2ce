//! Owns the errors of planning a source stage, and of an artifact that does not fit the plan.

use super::users::UserNotAllowed;
use crate::builder::BuilderError;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::path::InvalidImagePath;

/// Why planning failed, or why the artifact does not fit the plan.
#[derive(Debug, thiserror::Error)]
pub enum SourcePlanError {
    #[error(transparent)]
    Builder(#[from] BuilderError),
    #[error("{what} is not a valid path in the builder")]
    Path { what: &'static str, source: InvalidImagePath },
    #[error(transparent)]
    UserNotAllowed(#[from] UserNotAllowed),
    #[error("the builder image `{image}` has {count} ONBUILD instructions, and the request forbids them")]
    OnBuildBlocked { image: String, count: usize },
    #[error(
        "no command starts the image: the sources have no executable `run`, `start`, `exec` or `execute` at their top, and the \
         builder image `{image}` has no command"
    )]
    OnBuildStartsNothing { image: String },
    #[error(
        "cannot use `--artifact` with `--runtime-image`: one packages an artifact, the other copies artifacts into an image"
    )]
    ArtifactAndRuntime,
    #[error("no artifacts are set for the runtime image `{image}`")]
    NoRuntimeArtifacts { image: String },
    #[error("no command starts the image: the runtime image `{image}` has neither scripts nor a command")]
    RuntimeStartsNothing { image: String },
    #[error(
        "the source builder `{builder}` declares that it makes {declared}, but `{artifact}` is something else: {found}"
    )]
    OtherProduct { builder: String, declared: String, artifact: String, found: String },
}

impl Diagnostic for SourcePlanError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Builder(error) => error.kind(),
            Self::Path { .. } | Self::ArtifactAndRuntime | Self::NoRuntimeArtifacts { .. } => {
                FailureKind::Usage
            }
            Self::UserNotAllowed(_)
            | Self::OnBuildBlocked { .. }
            | Self::OnBuildStartsNothing { .. }
            | Self::RuntimeStartsNothing { .. } => FailureKind::Builder,
            Self::OtherProduct { .. } => FailureKind::Artifact,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Builder(error) => return error.hints(),
            Self::Path { .. } | Self::OnBuildBlocked { .. } => return Vec::new(),
            Self::UserNotAllowed(_) => {
                "set another user of `assemble` with `--assemble-user UID`, or allow this one"
            }
            Self::OnBuildStartsNothing { .. } => {
                "add an executable script `run` to the top directory of the sources"
            }
            Self::ArtifactAndRuntime => {
                "name the artifacts of the runtime image with `--runtime-artifact PATH`"
            }
            Self::NoRuntimeArtifacts { .. } => {
                "name them with `--runtime-artifact PATH`, or in the image's label `io.openshift.s2i.assemble-input-files`"
            }
            Self::RuntimeStartsNothing { .. } => "add a script `run` to the sources, in `.s2i/bin`",
            Self::OtherProduct { .. } => "name another file of the builder with `--artifact PATH`",
        };
        vec![hint.to_owned()]
    }
}
