//! Owns assembling: a plan and open handles become a new layer or a committed change.
//!
//! `place` performs a placement. `run` runs the script, in a `container_run`. `finish` makes every image config. Must
//! not know front ends or stores.

mod container_run;
mod error;
mod finish;
mod place;
mod recipe;
mod run;
mod upload;

pub use container_run::AssembledContainer;
pub(crate) use container_run::{ContainerRun, Findings};
pub(crate) use error::EXCERPT_INDENT;
pub use error::RunError;
pub use finish::finish;
pub use place::{Inputs, layer, source_kind};
pub use recipe::{read_digest, recipe};
pub use run::{RunOutcome, ScriptRun, run_script};
