//! Owns source trees: what somebody names as sources, and the tree that is fetched from there.
//!
//! Must not know builders, engines or images.

mod directory;
mod error;
mod fetch;
mod git;
pub(in crate::source_build) mod ignore;
mod location;
mod tree;

pub use error::SourceError;
pub use fetch::fetch_source;
pub use git::{GitError, GitLocation, GitOptions};
pub use location::{SourceLocation, SourceOptions};
pub use tree::{Commit, SourceInfo, SourceTree, TreeEntry, TreeEntryKind};
