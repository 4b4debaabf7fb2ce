//! The room of assembling: a plan and open handles in, the new layer or the committed change out.
//!
//! `place` performs a placement itself; `run` has an engine run the script, in a `container_run`. `finish` makes every
//! image config. Knows no front end and writes to no store.

mod container_run;
mod error;
mod finish;
mod place;
mod recipe;
mod run;
mod upload;

pub use container_run::AssembledContainer;
pub(crate) use container_run::ContainerRun;
pub use error::RunError;
pub use finish::finish;
pub use place::{Inputs, layer, source_kind};
pub use recipe::{read_digest, recipe};
pub use run::{RunOutcome, ScriptRun, run_script};
