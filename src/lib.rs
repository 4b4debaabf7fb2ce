//! b2i turns a finished artifact — JAR, WAR, native executable — into a container image, without a Dockerfile.
//!
//! The pipeline goes in one direction: request → input → artifact → facts → builder → plan → assemble → finish → sinks.
//! Each room below owns one part of it; `ARCHITECTURE.md` is the map. The library never prints, never reads the
//! environment and never exits; only `cli` does.

pub mod assemble;
mod blocking;
pub mod builder;
pub mod cli;
pub mod config;
pub mod detect;
pub mod diagnostic;
pub mod engine;
pub mod error;
pub mod events;
pub mod fs;
pub mod image;
pub mod input;
pub mod launcher;
pub mod network;
pub mod ops;
pub mod pipeline;
pub mod plan;
pub mod request;
pub mod session;
pub mod source_build;
pub mod sources;
pub mod store;
mod stream;
pub mod transport;
