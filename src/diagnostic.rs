//! Owns the classes of failure and hints. Must not know exit codes or the terminal; `cli` maps classes to both.

use std::error::Error;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The class of a failure. `cli/` owns its exit code; `docs/reference/exit-codes.md` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// A defect of b2i or of the system under it.
    Unexpected,
    /// The command line or the configuration is not valid.
    Usage,
    /// The input cannot be fetched or read.
    Input,
    /// The input is not a supported artifact, or not the declared one.
    Artifact,
    /// The builder image, its scripts, labels or base.
    Builder,
    /// The `assemble` script.
    Assemble,
    /// Writing the image.
    Image,
    /// Publishing the image.
    Publish,
    /// The engine or the daemon is missing, or fails.
    Engine,
}

/// An error with its class and hints.
pub trait Diagnostic: Error + Send + Sync + 'static {
    /// The class of the failure.
    fn kind(&self) -> FailureKind;

    /// The next steps, one sentence each, most useful first.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A possible mistake, or an option without effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    /// One sentence.
    pub message: String,
    /// The advice, one sentence.
    pub hint: Option<String>,
}
