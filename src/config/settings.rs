//! Owns a merged setting, its origin, and the conversion of registries for the registry client.
//!
//! Must not know how levels merge; `levels` does.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::file::FileLevel;
use super::table::{RegistryHost, Settings};
use crate::store::registry::HostSettings;

/// The place that a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// The value of a key that has no default.
pub fn value<T: Clone>(setting: &Option<Setting<T>>) -> Option<T> {
    setting.as_ref().map(|setting| setting.value.clone())
}

/// A directory of builder templates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TemplateDirectory {
    pub path: PathBuf,
    /// Whether its templates may be placed. Scripts of a project's templates always run.
    pub trusted: bool,
}

impl Settings {
    /// The settings of single registries, for the registry client.
    pub fn registry_hosts(&self) -> BTreeMap<String, HostSettings> {
        let settings = |host: &RegistryHost| HostSettings {
            insecure: value(&host.insecure).unwrap_or_default(),
            extra_ca: value(&host.ca_files).unwrap_or_default(),
            mirrors: value(&host.mirrors).unwrap_or_default(),
            chunk_size: value(&host.chunk_size).map(|size| size.0),
        };
        self.registries.iter().map(|(name, host)| (name.clone(), settings(host))).collect()
    }
}
