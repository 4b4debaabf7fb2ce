//! Owns the error that front ends receive. Must not know exit codes.
//!
//! The error of a step keeps its words. Only those that code matches on have a variant.

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
#[expect(missing_docs, reason = "the message of a variant describes it")]
pub enum Error {
    #[error(transparent)]
    Step(#[from] StepError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Builder(#[from] BuilderError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("a script of an image for {platform} did not run on {native}")]
    ForeignScript { platform: Platform, native: Platform, source: RunError },
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    SourcePlan(SourcePlanError),
    #[error(transparent)]
    Layer(#[from] InvalidLayer),
    #[error("the config of the base image `{base}` cannot be used")]
    Config { base: String, source: InvalidConfig },
    #[error("`{base}` has different layers in the daemon than in the registry")]
    OtherBase { base: String },
    #[error("cannot check `{builder}`: its base is part of b2i, not an image")]
    NothingToCheck { builder: String },
    #[error(transparent)]
    Output(FileError),
    #[error("`{directory}` already exists and is not empty")]
    NotEmpty { directory: String },
    #[error("output `{path}` would overwrite an input")]
    OwnInput { path: String },
    #[error("cannot copy to `{place}`")]
    Destination { place: String },
    #[error("the plan has no output")]
    NoOutput,
    #[error("{error}")]
    Program { error: EngineError, outputs: Vec<Transport> },
    #[error("`--run` starts the program in the sandbox, because no daemon receives the image: {0}")]
    ProgramNetwork(SandboxError),
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
            // An error has one variant, whichever step found it.
            SourcePlanError::Builder(error) => Self::Builder(error),
            error => Self::SourcePlan(error),
        }
    }
}
