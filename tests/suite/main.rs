//! The tests that cross rooms, as one binary made of modules.

mod fault_server;
mod input;
