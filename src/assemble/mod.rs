//! The room of assembling: a plan and open handles in, the new layer or the committed change out.
//!
//! `place` performs a placement itself; `run` has an engine run the script. `finish` makes every image config. Knows
//! no front end and writes to no store.

mod finish;
mod labels;
mod place;
mod recipe;
mod run;
mod upload;

pub use finish::finish;
pub(crate) use labels::left_labels;
pub use place::{Inputs, layer, source_kind};
pub use recipe::{read_digest, recipe};
pub(crate) use upload::{resolve_owner, upload};

pub(crate) use run::kept_if_well;
pub use run::{RunError, RunOutcome, RunResult, ScriptRun, run_script};
