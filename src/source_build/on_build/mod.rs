//! The ONBUILD instructions of a builder image, in a build from sources: read, decided, carried out.
//!
//! A daemon keeps instructions as text for whoever builds on an image; S2I hands them to a `docker build`. Here they are
//! carried out by b2i on any engine, so that the sandbox does it too, and what is not carried out exactly ends the build
//! before anything runs. `instruction` and `words` read, `decide` turns all of them into steps and a config, `copy`
//! finds what of the sources goes where, `execute` works on an engine.

mod copy;
mod execute;
mod instruction;
mod lexer;
mod plan;

pub use execute::{OnBuildRun, execute};
pub use plan::{Assemble, Given, entry_script};

use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::{ConfigEdits, ImagePath};

use copy::CopyStep;

/// What the instructions of an image come to, with the sources that it is for.
#[derive(Clone)]
pub struct OnBuild {
    pub(super) steps: Vec<Step>,
    /// What they change in the image's config.
    pub edits: ConfigEdits,
    /// The users that they name, in order.
    pub users: Vec<String>,
    /// The working directory in the end.
    pub directory: ImagePath,
}

/// One thing to do in the container.
#[derive(Clone)]
pub(super) enum Step {
    Copy(CopyStep),
    /// A directory that is to be there.
    Directory(ImagePath),
    Run(RunStep),
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunStep {
    /// What it is, for messages.
    pub(super) shown: String,
    pub(super) command: Vec<String>,
    /// Variables that it sees beside the image's.
    pub(super) environment: Vec<(String, String)>,
    pub(super) user: String,
    pub(super) directory: ImagePath,
    /// A script that has to be there.
    pub(super) script: Option<ImagePath>,
}

/// An instruction that is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OnBuildError {
    /// It is none that b2i carries out.
    #[error("`ONBUILD {instruction}` of the builder image `{image}` is not carried out: {reason}")]
    Refused {
        /// The image.
        image: String,
        /// The instruction.
        instruction: String,
        /// Why.
        reason: String,
    },
}

impl Diagnostic for OnBuildError {
    fn kind(&self) -> FailureKind {
        FailureKind::Builder
    }

    fn hints(&self) -> Vec<String> {
        vec!["build with `docker build` and a Dockerfile that stands on the image".into()]
    }
}
