//! Owns the error of everything that front ends call: what one step failed with, or a contradiction between steps.
//!
//! A step's own error is kept as it is; only those that somebody matches on have a variant. Must not know exit codes.

mod diagnosis;
mod step;

pub use step::StepError;

use crate::assemble::RunError;
use crate::builder::BuilderError;
use crate::engine::EngineError;
use crate::engine::sandbox::SandboxError;
use crate::fs::FileError;
use crate::image::config::InvalidConfig;
use crate::image::layer::InvalidLayer;
use crate::image::{InvalidImage, Platform};
use crate::input::InputError;
use crate::plan::{PlanError, SourcePlanError};
use crate::sources::SourceError;
use crate::store::archive::ArchiveError;
use crate::store::daemon::DaemonError;
use crate::store::registry::RegistryError;
use crate::transport::Transport;

/// Why a build or another command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Any other step.
    #[error(transparent)]
    Step(#[from] StepError),
    /// Fetching the input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Choosing the builder.
    #[error(transparent)]
    Builder(#[from] BuilderError),
    /// Fetching the sources.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The daemon.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// A registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// An engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Running a script.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A script for another platform than that of the machine that ran it.
    #[error("a script of an image for {platform} did not run on {native}")]
    ForeignScript {
        /// The image's platform.
        platform: Platform,
        /// The machine's.
        native: Platform,
        /// How it ended.
        source: RunError,
    },
    /// Planning.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Planning what becomes of sources.
    #[error(transparent)]
    SourcePlan(SourcePlanError),
    /// Two added files want one place.
    #[error(transparent)]
    Layer(#[from] InvalidLayer),
    /// The base's config cannot be used.
    #[error("the config of the base image `{base}` cannot be used")]
    Config {
        /// The base.
        base: String,
        /// Why not.
        source: InvalidConfig,
    },
    /// The daemon has another image under the base's name.
    #[error("the daemon's image `{base}` has other layers than the registry's")]
    OtherBase {
        /// The base.
        base: String,
    },
    /// The built-in base needs no check.
    #[error("the built-in base of `{builder}` is part of b2i; there is no image to check")]
    NothingToCheck {
        /// The builder.
        builder: String,
    },
    /// An output file cannot be written.
    #[error(transparent)]
    Output(FileError),
    /// An output directory is not empty.
    #[error("`{directory}` is there already and not empty")]
    NotEmpty {
        /// The directory.
        directory: String,
    },
    /// A result that would replace what it is made of.
    #[error("output `{path}` would overwrite an input")]
    OwnInput {
        /// The file.
        path: String,
    },
    /// A place that nothing can be copied to.
    #[error("nothing can be copied to `{place}`")]
    Destination {
        /// The place.
        place: String,
    },
    /// A plan without outputs.
    #[error("the plan has no output")]
    NoOutput,
    /// The program that `--run` starts failed in the sandbox. The image is written.
    #[error("{error}")]
    Program {
        /// Why.
        error: EngineError,
        /// Where the image went.
        outputs: Vec<Transport>,
    },
    /// A network that the program which `--run` starts cannot have. Nothing was built.
    #[error("`--run` starts the program in the sandbox, as no daemon gets the image: {0}")]
    ProgramNetwork(SandboxError),
    /// A daemon is needed.
    #[error("no daemon answers")]
    NoDaemon,
}

impl From<SandboxError> for Error {
    fn from(error: SandboxError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<InvalidImage> for Error {
    fn from(error: InvalidImage) -> Self {
        ArchiveError::from(error).into()
    }
}

impl From<SourcePlanError> for Error {
    fn from(error: SourcePlanError) -> Self {
        match error {
            // One kind of error has one variant, whoever found it.
            SourcePlanError::Builder(error) => Self::Builder(error),
            error => Self::SourcePlan(error),
        }
    }
}
