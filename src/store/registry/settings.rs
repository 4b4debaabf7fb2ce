//! Owns how registries are reached: plain values that a front end fills in.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::image::reference::RepositoryPrefix;
use crate::network::NetworkOptions;

/// Largest blob that is read unless somebody says otherwise, in bytes (64 GiB); a descriptor may claim anything.
const MAXIMUM_BLOB: u64 = 64 << 30;

/// A registry on the same machine or beside it has answered by then.
const READ_AHEAD_AFTER: Duration = Duration::from_millis(5);

/// How all registries are reached.
#[derive(Clone, Debug)]
pub struct RegistrySettings {
    /// Proxies, certificates, time limits and retries.
    pub network: NetworkOptions,
    /// Where credentials are looked for, first come, first served.
    pub credential_files: Vec<PathBuf>,
    /// What holds for one registry alone, by `host[:port]`.
    pub hosts: BTreeMap<String, HostSettings>,
    /// Size of the pieces in which blobs are uploaded, in bytes, at least 1 MiB; none means in one piece where the
    /// registry takes it.
    pub chunk_size: Option<u64>,
    /// Largest blob that is read, in bytes.
    pub maximum_blob: u64,
    /// When a registry has not begun an upload after this time, a new layer is read meanwhile to know its digest.
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

/// What holds for one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// Whether it may speak plain HTTP, or TLS with a certificate that nobody vouches for. Loopback hosts may always
    /// speak plain HTTP.
    pub insecure: bool,
    /// Files with certificates (PEM) that are trusted for it, besides those trusted everywhere.
    pub extra_ca: Vec<PathBuf>,
    /// Asked before the registry itself when images are read, in this order; never written to.
    pub mirrors: Vec<RepositoryPrefix>,
    /// As [`RegistrySettings::chunk_size`], for this registry.
    pub chunk_size: Option<u64>,
}

impl RegistrySettings {
    /// What holds for `registry`; Docker Hub's other names mean the same.
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
