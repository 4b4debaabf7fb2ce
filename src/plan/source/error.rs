//! Owns the reasons for which sources make no plan, or what was built does not fit it.

use super::users::UserNotAllowed;
use crate::builder::BuilderError;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::path::InvalidImagePath;

/// Sources that make no plan, or an artifact that does not fit it.
#[derive(Debug, thiserror::Error)]
pub enum SourcePlanError {
    #[error(transparent)]
    Builder(#[from] BuilderError),
    #[error("{what} names no place in the builder")]
    Path { what: &'static str, source: InvalidImagePath },
    #[error(transparent)]
    UserNotAllowed(#[from] UserNotAllowed),
    #[error("the builder image `{image}` has {count} ONBUILD instructions, and these are refused")]
    OnBuildBlocked { image: String, count: usize },
    #[error(
        "nothing starts the result: the sources have no executable `run`, `start`, `exec` or `execute` at their top, and the \
         builder image `{image}` has no command"
    )]
    OnBuildStartsNothing { image: String },
    #[error(
        "`--artifact` makes an image of one artifact, and `--runtime-image` puts artifacts into another image"
    )]
    ArtifactAndRuntime,
    #[error("nothing says what the runtime image `{image}` gets of what is built")]
    NoRuntimeArtifacts { image: String },
    #[error(
        "nothing starts the result: the runtime image `{image}` has neither scripts nor a command of its own"
    )]
    RuntimeStartsNothing { image: String },
    #[error(
        "the source builder `{builder}` declares that it makes {declared}, and `{artifact}` is another: {found}"
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
                "run `assemble` as another with `--assemble-user UID`, or allow the user"
            }
            Self::OnBuildStartsNothing { .. } => "put an executable script `run` at the top of the sources",
            Self::ArtifactAndRuntime => "name what the runtime image gets with `--runtime-artifact PATH`",
            Self::NoRuntimeArtifacts { .. } => {
                "name it with `--runtime-artifact PATH`, or in the image's label `io.openshift.s2i.assemble-input-files`"
            }
            Self::RuntimeStartsNothing { .. } => "put a script `run` into the sources, in `.s2i/bin`",
            Self::OtherProduct { .. } => "`--artifact PATH` names another file of the builder",
        };
        vec![hint.to_owned()]
    }
}
