//! The tests that cross rooms, as one binary made of modules.

mod cli;
mod fault_server;
mod input;
mod leases;
mod support;
