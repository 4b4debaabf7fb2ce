//! Owns the settings of registries: plain values from a front end. Must not connect.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::mirror::Mirror;
use crate::network::NetworkOptions;

/// Default for the largest blob that is read, in bytes (64 GiB). A descriptor may claim any size.
const MAXIMUM_BLOB: u64 = 64 << 30;

/// A registry on the same machine or network answers faster than this.
const READ_AHEAD_AFTER: Duration = Duration::from_millis(5);

#[derive(Clone, Debug)]
pub struct RegistrySettings {
    pub network: NetworkOptions,
    /// The files with credentials, in the order in which they are searched.
    pub credential_files: Vec<PathBuf>,
    /// Settings of single registries, by `host[:port]`.
    pub hosts: BTreeMap<String, HostSettings>,
    /// Size of the pieces of an upload, in bytes, at least 1 MiB; `None` means one piece where the registry accepts it.
    pub chunk_size: Option<u64>,
    pub maximum_blob: u64,
    /// The time that a registry has to begin an upload. After it, b2i uses the wait to read a new layer for its digest.
    pub read_ahead_after: Duration,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            network: NetworkOptions::default(),
            credential_files: Vec::new(),
            hosts: BTreeMap::new(),
            chunk_size: None,
            maximum_blob: MAXIMUM_BLOB,
            read_ahead_after: READ_AHEAD_AFTER,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// Allows plain HTTP, and TLS without a trusted certificate. Loopback hosts may always use plain HTTP.
    pub insecure: bool,
    /// PEM files with CA certificates that are trusted for it, besides the others.
    pub extra_ca: Vec<PathBuf>,
    /// Images are read from these first: from the layouts, then from the registries, each in this order. Nothing is written
    /// to them.
    pub mirrors: Vec<Mirror>,
    /// The chunk size for this registry, in bytes.
    pub chunk_size: Option<u64>,
}

impl RegistrySettings {
    /// The settings of `registry`. Docker Hub has several names.
    pub(super) fn host(&self, registry: &str) -> HostSettings {
        let is_it = |name: &str| canonical(name) == canonical(registry);
        let found = self.hosts.iter().find(|(name, _)| is_it(name));
        found.map(|(_, settings)| settings.clone()).unwrap_or_default()
    }
}

fn canonical(registry: &str) -> String {
    match registry {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_has_its_own_settings_and_docker_hub_by_any_name() {
        let own = HostSettings { insecure: true, ..HostSettings::default() };
        let hosts = BTreeMap::from([("index.docker.io".to_owned(), own.clone()), ("a:5000".to_owned(), own)]);
        let settings = RegistrySettings { hosts, ..RegistrySettings::default() };
        for (name, insecure) in [("docker.io", true), ("a:5000", true), ("a", false), ("b.a:5000", false)] {
            assert_eq!(settings.host(name).insecure, insecure, "{name}");
        }
    }
}
