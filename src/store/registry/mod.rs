//! Registries as image source and image sink, over HTTP.
//!
//! [`Registries`] is the one handle: it resolves names to base images, publishes images and indexes, copies. It holds
//! one connection pool, and for each registry what it asks for. Base layers never touch the disk: they are mounted
//! within a registry and streamed between two.
//!
//! Source: OCI distribution spec v1.1; the distribution project's token authentication.

mod auth;
mod blob;
mod challenge;
mod content;
mod copy;
mod error;
mod host;
mod login;
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

pub use error::{Identity, RegistryError, RequestError};
use host::{Host, SharedClient};
pub use login::LoginAnswer;
pub use settings::{HostSettings, RegistrySettings};
pub use sink::RegistrySink;
pub use source::ResolveOptions;

use super::cache::{ImageCache, KnownName};
use crate::events::Events;
use crate::image::Digest;

/// All registries, as one run of b2i reaches them. Cheap to clone; contacts nobody until it is asked to.
#[derive(Clone)]
pub struct Registries(Arc<Inner>);

struct Inner {
    settings: RegistrySettings,
    events: Events,
    cache: Option<(ImageCache, PathBuf)>,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
    loopback: SharedClient,
    verified: SharedClient,
}

impl Registries {
    /// Prepares to reach registries by `settings`.
    pub fn new(settings: RegistrySettings, events: Events) -> Self {
        Self(Arc::new(Inner {
            settings,
            events,
            cache: None,
            hosts: Mutex::default(),
            loopback: SharedClient::default(),
            verified: SharedClient::default(),
        }))
    }

    /// The same, with manifests and configs kept in `cache`; `temporary` is a directory on its file system.
    #[must_use]
    pub fn with_cache(self, cache: ImageCache, temporary: PathBuf) -> Self {
        let Inner { settings, events, .. } = &*self.0;
        Self(Arc::new(Inner {
            settings: settings.clone(),
            events: events.clone(),
            cache: Some((cache, temporary)),
            hosts: Mutex::default(),
            loopback: self.0.loopback.clone(),
            verified: self.0.verified.clone(),
        }))
    }

    fn settings(&self) -> &RegistrySettings {
        &self.0.settings
    }

    fn events(&self) -> &Events {
        &self.0.events
    }

    /// The registry `name` (`host[:port]`), the same one each time.
    fn host(&self, name: &str) -> Result<Arc<Host>, RequestError> {
        let inner = &*self.0;
        let mut hosts = inner.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Ok(host.clone());
        }
        let host = Host::new(name, &inner.settings, &inner.loopback, &inner.verified, &inner.events)?;
        Ok(hosts.entry(name.to_owned()).or_insert(Arc::new(host)).clone())
    }

    fn cached(&self, digest: &Digest, limit: u64) -> Option<Vec<u8>> {
        self.0.cache.as_ref()?.0.read(digest, limit)
    }

    fn keep(&self, bytes: &[u8]) {
        if let Some((cache, temporary)) = &self.0.cache {
            cache.keep(bytes, temporary);
        }
    }

    fn known_name(&self, name: &str) -> Option<KnownName> {
        self.0.cache.as_ref()?.0.known_name(name)
    }

    fn remember_name(&self, name: &str, known: &KnownName) {
        if let Some((cache, temporary)) = &self.0.cache {
            cache.remember_name(name, known, temporary);
        }
    }
}
