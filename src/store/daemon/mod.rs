//! Owns the daemon (Docker ≥ 20.10, Podman ≥ 4) as image source and image sink, and the connection to it.
//!
//! Must not know a plan or an artifact. `engine/docker` uses the same connection.

mod clean_up;
mod connection;
mod discover;
mod error;
mod export;
mod full_config;
mod info;
mod load;
mod pull;
mod pull_cause;
mod request;
mod sink;
mod source;
mod top_layer;
mod volumes;

pub use clean_up::{LEASE_LABEL, Removal, remove_leftovers};
pub(crate) use clean_up::{container_name, remove_container};
pub use connection::Daemon;
pub use discover::{Candidates, DaemonSettings, Endpoint};
pub use error::DaemonError;
pub use info::{DaemonFlavour, DaemonInfo};
pub use pull_cause::PullCause;
pub(crate) use request::{RawRequest, traced};
pub use sink::{DaemonSink, PublishContext};
pub use source::ResolveOptions;
pub(crate) use top_layer::ContainerCommit;
pub use volumes::{CACHE_LABEL, CacheVolume, cache_volumes, ensure_cache_volume, remove_cache_volume};
