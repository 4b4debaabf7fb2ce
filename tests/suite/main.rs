//! The tests that cross rooms, in one binary.

mod cli;
mod support;
