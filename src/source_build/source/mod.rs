//! Owns source trees: what somebody names as sources, and the tree that is fetched from there.
//!
//! Must not know builders, engines or images.

mod entries;
pub(crate) mod interim;
mod location;
mod tree;

pub use location::{GitLocation, SourceLocation, SourceOptions};
pub use tree::{Commit, SourceInfo, SourceTree, TreeEntry, TreeEntryKind};
