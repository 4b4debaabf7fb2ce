//! The `b2i` program.

fn main() {}
