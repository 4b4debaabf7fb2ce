//! Owns the sections of single registries: `[registries."host:port"]`.
//!
//! They belong to the user and the machine: whoever may name a mirror or switch verification off decides whose bytes
//! are believed. Must not know how registries are reached.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::levels::Levels;
use super::settings::{Setting, Settings};
use super::values::ByteSize;
use crate::image::reference::RepositoryPrefix;
use crate::store::registry::HostSettings;

/// Keys of one registry's section.
pub const REGISTRY_KEYS: [&str; 4] = ["insecure", "ca-files", "mirrors", "chunk-size"];

/// `[registries."host:port"]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct RegistrySection {
    /// Accept plain HTTP and certificates that nobody vouches for.
    pub insecure: Option<Spanned<bool>>,
    /// Files with further CA certificates, relative to the file.
    pub ca_files: Option<Spanned<Vec<PathBuf>>>,
    /// Where to look first when images are read: `host[:port][/path]`.
    pub mirrors: Option<Spanned<Vec<RepositoryPrefix>>>,
    /// Size of the pieces in which blobs are uploaded.
    pub chunk_size: Option<Spanned<ByteSize>>,
}

/// What the levels say of one registry.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are the keys of `RegistrySection`, documented there")]
pub struct RegistryHost {
    pub insecure: Option<Setting<bool>>,
    pub ca_files: Option<Setting<Vec<PathBuf>>>,
    pub mirrors: Option<Setting<Vec<RepositoryPrefix>>>,
    pub chunk_size: Option<Setting<ByteSize>>,
}

impl Levels {
    /// Every registry that some level names; each key from the highest level that has it.
    pub(super) fn registries(&self) -> BTreeMap<String, RegistryHost> {
        let names: BTreeSet<&String> =
            self.0.iter().flat_map(|level| level.content.registries.keys()).collect();
        names.into_iter().map(|name| (name.clone(), self.registry(name))).collect()
    }

    fn registry(&self, name: &str) -> RegistryHost {
        const KEY: &str = "registries";
        RegistryHost {
            insecure: self.pick(KEY, |file| file.registries.get(name).map_or(&None, |host| &host.insecure)),
            ca_files: self.0.iter().find_map(|level| {
                let files = level.content.registries.get(name)?.ca_files.as_ref()?;
                let value = files.get_ref().iter().map(|file| level.resolve(file)).collect();
                Some(Setting { value, origin: level.origin(KEY, files) })
            }),
            mirrors: self.pick(KEY, |file| file.registries.get(name).map_or(&None, |host| &host.mirrors)),
            chunk_size: self
                .pick(KEY, |file| file.registries.get(name).map_or(&None, |host| &host.chunk_size)),
        }
    }
}

impl Settings {
    /// The registries that have settings of their own, as the room of registries takes them.
    pub fn registry_hosts(&self) -> BTreeMap<String, HostSettings> {
        let value = |host: &RegistryHost| HostSettings {
            insecure: host.insecure.as_ref().is_some_and(|setting| setting.value),
            extra_ca: host.ca_files.as_ref().map(|setting| setting.value.clone()).unwrap_or_default(),
            mirrors: host.mirrors.as_ref().map(|setting| setting.value.clone()).unwrap_or_default(),
            chunk_size: host.chunk_size.as_ref().map(|setting| setting.value.0),
        };
        self.registries.iter().map(|(name, host)| (name.clone(), value(host))).collect()
    }
}
