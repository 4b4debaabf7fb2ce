//! Owns the ONBUILD instructions of a builder image in a source build. Must not start what it cannot execute exactly.
//!
//! S2I passes the instructions to `docker build`. b2i executes them itself, so they work on every engine, the sandbox
//! included. `lexer` and `instruction` parse, `plan` makes steps and a config, `copy` selects files, `execute` runs.

mod copy;
mod execute;
mod instruction;
mod lexer;
mod plan;

pub use execute::{OnBuildRun, execute};
pub use plan::{AssembleScript, OnBuildContext, entry_script, needs_shell};

use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::{ConfigEdits, ImagePath};

use copy::CopyStep;

/// The plan of all instructions of an image, for certain sources.
#[derive(Clone)]
pub struct OnBuild {
    pub(super) steps: Vec<Step>,
    /// Changes of the image's config.
    pub edits: ConfigEdits,
    /// The users of all `USER` instructions, in order.
    pub users: Vec<String>,
    /// The final working directory.
    pub directory: ImagePath,
}

#[derive(Clone)]
pub(super) enum Step {
    Copy(CopyStep),
    /// Creates a directory.
    Directory(ImagePath),
    Run(RunStep),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunStep {
    /// The instruction or script.
    pub(super) shown: String,
    pub(super) command: Vec<String>,
    /// Variables in addition to the image's.
    pub(super) environment: Vec<(String, String)>,
    pub(super) user: String,
    pub(super) directory: ImagePath,
    /// A script that must exist.
    pub(super) script: Option<ImagePath>,
}

#[derive(Debug, thiserror::Error)]
#[error("b2i cannot execute `ONBUILD {instruction}` of the builder image `{image}`: {reason}")]
pub struct OnBuildError {
    image: String,
    instruction: String,
    reason: String,
}

impl Diagnostic for OnBuildError {
    fn kind(&self) -> FailureKind {
        FailureKind::Builder
    }

    fn hints(&self) -> Vec<String> {
        vec!["build with `docker build` and a Dockerfile with the image in `FROM`".into()]
    }
}
