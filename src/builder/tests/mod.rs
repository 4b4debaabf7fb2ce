//! Owns what the tests of this room share. Must not test anything.

pub(in crate::builder) mod sample;
