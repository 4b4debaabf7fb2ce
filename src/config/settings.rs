//! Owns what a merged setting is, its origin, and the registries as the registry client takes them.
//!
//! Must not know how levels merge; `levels` does.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::file::FileLevel;
use super::table::{RegistryHost, Settings};
use crate::store::registry::HostSettings;

/// The place that a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Origin {
    Flag {
        flag: String,
    },
    Variable {
        variable: String,
    },
    File {
        level: FileLevel,
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    BuiltIn,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag { flag } => write!(formatter, "flag {flag}"),
            Self::Variable { variable } => write!(formatter, "variable {variable}"),
            Self::File { path, line, .. } => write!(formatter, "{}:{line}", path.display()),
            Self::BuiltIn => formatter.write_str("built in"),
        }
    }
}

/// A value and its origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting<T> {
    pub value: T,
    pub origin: Origin,
}

impl<T> Setting<T> {
    pub(super) fn built_in(value: T) -> Self {
        Self { value, origin: Origin::BuiltIn }
    }
}

/// A directory of builder templates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TemplateDirectory {
    /// The directory.
    pub path: PathBuf,
    /// Whether its templates may be placed. Those of a project are always run.
    pub trusted: bool,
}

impl Settings {
    /// The registries that have settings of their own, as the registry client takes them.
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
