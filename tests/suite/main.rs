//! The tests that cross rooms or need real parts: one test binary made of modules. Start it with `tests/run`.

mod build;
mod cli;
mod commands;
mod daemon;
mod daemonless;
mod dockerfiles;
mod documentation;
mod environment;
mod failures;
mod fault_server;
mod input;
mod layouts;
mod leases;
mod recipes;
mod registry;
mod request_log;
mod s2i;
mod s2i_command;
#[cfg(target_os = "linux")]
mod sandbox;
mod scripts;
mod soak;
mod source;
mod source_build;
mod support;
