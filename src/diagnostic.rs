//! Owns the classes of failure: every error of every room says which class it belongs to and what to do next.
//!
//! Must not know about exit codes or the terminal; `cli/` maps classes to both.

use std::error::Error;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of thing went wrong; `docs/reference/exit-codes.md` has the exit codes, which `cli/` owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// A defect of b2i or of the system under it.
    Unexpected,
    /// The command line or the configuration asks for something that makes no sense.
    Usage,
    /// The input could not be fetched or read.
    Input,
    /// The input is not an artifact that can be packaged, or not what was declared.
    Artifact,
    /// The builder image, its scripts, labels or base.
    Builder,
    /// The `assemble` script.
    Assemble,
    /// Writing the image.
    Image,
    /// Publishing the image.
    Publish,
    /// The engine (or the daemon) is not available or does not do its work.
    Engine,
}

/// An error that knows its class and, where there is one, the way out.
pub trait Diagnostic: Error + Send + Sync + 'static {
    /// Returns the class.
    fn kind(&self) -> FailureKind;

    /// Returns what the user can do next, one sentence each, most useful first.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Something that may turn out wrong, or has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    /// One sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}
