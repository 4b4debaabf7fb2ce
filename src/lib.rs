//! b2i turns a finished artifact — JAR, WAR, native executable — into a container image, without a Dockerfile.
//!
//! A [`Request`] describes a build, a [`Host`] the machine. A [`Session`] is one run on a host: it builds, plans, inspects
//! and copies. Dropping it cleans up. A session sends [`events`].
//!
//! ```
//! use b2i::request::{ImageRequest, InputSource, Request, Transport};
//! use b2i::{Events, Host};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let (program, cache) = (directory.path().join("app"), directory.path().join("cache"));
//! # std::fs::copy("src/launcher/launcher-amd64", &program)?;
//! # let layout = directory.path().join("layout");
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let request = Request {
//!     artifacts: vec![InputSource::File(program)],
//!     tags: vec!["app:1.0".parse()?],
//!     outputs: vec![Transport::OciDirectory { path: layout.clone() }],
//!     image: ImageRequest { ports: vec!["8080".parse()?], ..ImageRequest::default() },
//!     ..Request::default()
//! };
//! let session = Host::new(cache).session(Events::new(|event| println!("{event:?}")));
//! let built = session.build(&request).await?;
//! println!("built {} with the builder {}", built.image_id, built.builder);
//! assert!(layout.join("index.json").is_file());
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! [`Request::from_json`] reads the same request from JSON. JSON contains references to secrets, never the secrets.
//!
//! The pipeline has one direction: request → input → artifact → facts → builder → plan → assemble → finish → sinks.
//! `ARCHITECTURE.md` is the map. The library never prints, reads environment variables or exits; only the program does.
#![cfg_attr(
    not(feature = "internals"),
    expect(
        unreachable_pub,
        unused_imports,
        reason = "modules are public to each other, and to the tests with `internals`"
    )
)]
#![cfg_attr(
    not(any(feature = "program", feature = "internals")),
    expect(dead_code, reason = "some modules serve the commands of the program alone")
)]
#![cfg_attr(
    feature = "internals",
    allow(missing_docs, reason = "the facade alone is documented item by item")
)]

mod base_files;
mod blocking;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod cli;
pub mod diagnostic;
pub mod error;
pub mod events;
pub mod host;
pub mod request;
pub mod session;
mod stream;
mod suggestion;
#[cfg(test)]
mod tests;
mod text;
pub mod transport;

// Behind the facade: only tests, fuzz targets and benches see these modules.
#[cfg(feature = "internals")]
pub mod assemble;
#[cfg(not(feature = "internals"))]
mod assemble;
#[cfg(feature = "internals")]
pub mod builder;
#[cfg(not(feature = "internals"))]
mod builder;
#[cfg(feature = "internals")]
pub mod config;
#[cfg(not(feature = "internals"))]
mod config;
#[cfg(feature = "internals")]
pub mod detect;
#[cfg(not(feature = "internals"))]
mod detect;
#[cfg(feature = "internals")]
pub mod engine;
#[cfg(not(feature = "internals"))]
mod engine;
#[cfg(feature = "internals")]
pub mod fs;
#[cfg(not(feature = "internals"))]
mod fs;
#[cfg(feature = "internals")]
pub mod image;
#[cfg(not(feature = "internals"))]
mod image;
#[cfg(feature = "internals")]
pub mod input;
#[cfg(not(feature = "internals"))]
mod input;
#[cfg(feature = "internals")]
pub mod launcher;
#[cfg(not(feature = "internals"))]
mod launcher;
#[cfg(feature = "internals")]
pub mod network;
#[cfg(not(feature = "internals"))]
mod network;
#[cfg(feature = "internals")]
pub mod ops;
#[cfg(not(feature = "internals"))]
mod ops;
#[cfg(feature = "internals")]
pub mod pipeline;
#[cfg(not(feature = "internals"))]
mod pipeline;
#[cfg(feature = "internals")]
pub mod plan;
#[cfg(not(feature = "internals"))]
mod plan;
#[cfg(feature = "internals")]
pub mod source_build;
#[cfg(not(feature = "internals"))]
mod source_build;
#[cfg(feature = "internals")]
pub mod sources;
#[cfg(not(feature = "internals"))]
mod sources;
#[cfg(feature = "internals")]
pub mod store;
#[cfg(not(feature = "internals"))]
mod store;

pub use config::{Settings, Sources, load as load_settings};
pub use diagnostic::{Diagnostic, FailureKind};
pub use error::Error;
pub use events::{Event, Events};
pub use host::{Host, Variables};
pub use image::{Digest, ImagePath, ImageReference, Platform};
pub use ops::CopyRequest;
pub use pipeline::{Built, BuiltImage, BuiltSources, Inspection, WrittenContext};
pub use plan::Plan;
pub use request::Request;
pub use session::Session;

/// Runs this process as a child of the sandbox, if it is one, and returns its exit code.
///
/// The sandbox starts [`Host::program`] again. A program that builds in the sandbox calls this first in `main`, before it
/// starts a thread.
pub fn sandbox_child() -> Option<std::process::ExitCode> {
    engine::sandbox::run_if_child(std::env::args_os())
}
