//! Owns registries as image source and image sink, over HTTP: resolving names, publishing, copying. Must not know a plan.
//!
//! [`Registries`] has one connection pool, and the state of each registry. Base layers never touch the disk: they are
//! mounted within a registry and streamed between two.
//!
//! Source: OCI distribution spec v1.1; the distribution project's token authentication.

mod auth;
mod blob;
mod cached_blobs;
mod challenge;
mod content;
mod copy;
mod error;
mod host;
mod login;
mod mirror;
mod push;
mod repository;
mod request;
mod response;
mod settings;
mod sink;
mod source;
mod speculative;
mod upload;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

pub use error::{Forbidden, Identity, RegistryError, RequestError};
use host::{Host, SharedClient};
pub use login::LoginAnswer;
pub use mirror::{InvalidMirror, Mirror};
pub use settings::{HostSettings, RegistrySettings};
pub use sink::RegistrySink;
pub use source::ResolveOptions;

use super::cache::{ImageCache, KnownName};
use crate::events::Events;
use crate::image::Digest;

/// All registries of one run. Cheap to clone; creating it sends no request.
#[derive(Clone)]
pub struct Registries {
    shared: Arc<Shared>,
    cache: Option<(ImageCache, PathBuf)>,
}

struct Shared {
    settings: RegistrySettings,
    events: Events,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
    loopback: SharedClient,
    verified: SharedClient,
}

impl Registries {
    pub fn new(settings: RegistrySettings, events: Events) -> Self {
        let (hosts, loopback, verified) = Default::default();
        Self { shared: Arc::new(Shared { settings, events, hosts, loopback, verified }), cache: None }
    }

    /// Adds a cache of manifests and configs. `temporary` is a directory on the file system of the cache.
    #[must_use]
    pub fn with_cache(self, cache: ImageCache, temporary: PathBuf) -> Self {
        Self { cache: Some((cache, temporary)), ..self }
    }

    /// The registry `name` (`host[:port]`); the same value each time.
    fn host(&self, name: &str) -> Result<Arc<Host>, RequestError> {
        let shared = &*self.shared;
        let mut hosts = shared.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Ok(host.clone());
        }
        let host = Arc::new(self.new_host(name)?);
        Ok(hosts.entry(name.to_owned()).or_insert(host).clone())
    }

    fn new_host(&self, name: &str) -> Result<Host, RequestError> {
        let Shared { settings, events, loopback, verified, .. } = &*self.shared;
        Host::new(name, settings, loopback, verified, events)
    }

    fn cached(&self, digest: &Digest, limit: u64) -> Option<Vec<u8>> {
        self.cache.as_ref()?.0.read(digest, limit)
    }

    fn keep(&self, bytes: &[u8]) {
        if let Some((cache, temporary)) = &self.cache {
            cache.keep(bytes, temporary);
        }
    }

    fn known_name(&self, name: &str) -> Option<KnownName> {
        self.cache.as_ref()?.0.known_name(name)
    }

    fn remember_name(&self, name: &str, known: &KnownName) {
        if let Some((cache, temporary)) = &self.cache {
            cache.remember_name(name, known, temporary);
        }
    }
}
