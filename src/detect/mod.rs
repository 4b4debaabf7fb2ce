//! The room of detection: artifact in, facts out.
//!
//! Pure: reads the bytes it is given and nothing else. Input is hostile here; every size and offset that a file
//! states is checked before it is believed.

pub mod facts;
pub mod source_tree;

pub use facts::Facts;
