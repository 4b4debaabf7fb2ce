//! Owns source trees: their locations, their files, and the scripts and variables in them.
//!
//! Must not know builders, engines or plans.

mod directory;
pub mod environment;
mod error;
mod fetch;
mod git;
pub(crate) mod ignore;
mod location;
pub mod scripts;
mod tree;

pub use error::SourceError;
pub use fetch::fetch_source;
pub(crate) use git::work_tree_head;
pub use git::{GitError, GitLocation, GitOptions};
pub use location::{SourceLocation, SourceOptions};
pub use tree::{Commit, SourceInfo, SourceTree, TreeEntry, TreeEntryKind};
