//! What the tests of this package build: a static program for linux/amd64, which needs no download.

/// The program; it only has to be an executable.
pub const PROGRAM: &[u8] = include_bytes!("../../src/launcher/launcher-amd64");
