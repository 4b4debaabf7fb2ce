//! Owns the reasons for which sources make no plan, or what was built does not fit it.

use super::users::UserNotAllowed;
use crate::builder::BuilderError;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::path::InvalidImagePath;

/// Sources that make no plan, or an artifact that does not fit it.
#[derive(Debug, thiserror::Error)]
pub enum SourcePlanError {
    /// The builder cannot be used as requested.
    #[error(transparent)]
    Builder(#[from] BuilderError),
    /// A path in the builder is not valid.
    #[error("{what} names no place in the builder")]
    Path {
        /// What names it.
        what: &'static str,
        /// Why.
        source: InvalidImagePath,
    },
    /// A user is not allowed.
    #[error(transparent)]
    UserNotAllowed(#[from] UserNotAllowed),
    /// The builder has ONBUILD instructions, and they are refused.
    #[error("the builder image `{image}` has {count} ONBUILD instructions, and these are refused")]
    OnBuildBlocked {
        /// The builder image.
        image: String,
        /// The number of instructions.
        count: usize,
    },
    /// Nothing starts the result of ONBUILD instructions.
    #[error(
        "nothing starts the result: the sources have no executable `run`, `start`, `exec` or `execute` at their top, and the \
         builder image `{image}` has no command"
    )]
    OnBuildStartsNothing {
        /// The builder image.
        image: String,
    },
    /// `--artifact` and `--runtime-image` exclude each other.
    #[error(
        "`--artifact` makes an image of one artifact, and `--runtime-image` puts artifacts into another image"
    )]
    ArtifactAndRuntime,
    /// Nothing says what the runtime image gets.
    #[error("nothing says what the runtime image `{image}` gets of what is built")]
    NoRuntimeArtifacts {
        /// The runtime image.
        image: String,
    },
    /// Nothing starts the result of an extended build.
    #[error(
        "nothing starts the result: the runtime image `{image}` has neither scripts nor a command of its own"
    )]
    RuntimeStartsNothing {
        /// The runtime image.
        image: String,
    },
    /// The artifact that was built is not of the declared kind.
    #[error(
        "the source builder `{builder}` declares that it makes {declared}, and `{artifact}` is another: {found}"
    )]
    OtherProduct {
        /// The source builder.
        builder: String,
        /// What it declares.
        declared: String,
        /// The artifact's name.
        artifact: String,
        /// What the artifact is.
        found: String,
    },
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
