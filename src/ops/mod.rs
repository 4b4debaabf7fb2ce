//! Owns the commands other than the build: builders, cache, copy, credentials, usage, rebuild, doctor.
//!
//! Must not print, read the environment or exit.

pub(crate) mod builders;
mod cache;
mod copy;
mod doctor;
mod login;
mod rebuild;
mod usage;

pub use builders::{
    BaseCheck, BaseOutcome, BuilderDetails, BuilderSummary, TakesSummary, check_builder, create_builder,
    export_builder, list_builders, show_builder,
};
pub use cache::{CacheInfo, CachePruned, cache_info, prune_cache};
pub use copy::{CopyRequest, copy};
pub use doctor::{Finding, Health, doctor};
pub use login::{Login, Logout, log_in, log_out};
pub use rebuild::{RebuildError, read_build};
pub use usage::show_usage;
