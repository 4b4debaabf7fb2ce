//! Owns what the tests of this module share. Must not test anything.

pub(in crate::builder) mod sample;
