//! The tests that cross rooms or need real parts: one test binary made of modules.

mod cli;
mod fault_server;
mod input;
mod leases;
mod scripts;
mod support;
