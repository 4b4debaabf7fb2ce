//! Owns the side-by-side timings of builds into a daemon.

fn main() {}
