//! Owns the settings after merging: each value with where it comes from.
//!
//! Must not know how levels merge; `levels` does.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::file::FileLevel;
use super::registries::RegistryHost;
use super::values::{
    AssembleChoice, BuilderName, ByteSize, Cpus, Period, Platforms, Port, ProxyUrl, PullChoice, Words,
};
use crate::image::ImageReference;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Origin {
    /// The command line.
    Flag {
        /// The flag.
        flag: String,
    },
    /// The environment.
    Variable {
        /// The variable.
        variable: String,
    },
    /// A file.
    File {
        /// Which one.
        level: FileLevel,
        /// Its path.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// b2i itself.
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

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

/// A directory of builder templates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TemplateDirectory {
    /// The directory.
    pub path: PathBuf,
    /// Whether its templates may be placed; those of a project are always run.
    pub trusted: bool,
}

/// Everything that can be configured, merged. What nobody set and has no default is nothing.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are the keys of `ConfigFile`, documented there")]
pub struct Settings {
    pub build: BuildSettings,
    pub bases: BTreeMap<String, Setting<ImageReference>>,
    pub templates: TemplatesSettings,
    pub docker: DockerSettings,
    pub cache: CacheSettings,
    pub network: NetworkSettings,
    pub registries: BTreeMap<String, RegistryHost>,
    pub limits: LimitsSettings,
}

#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are the keys of `BuildSection`, documented there")]
pub struct BuildSettings {
    pub builder: Option<Setting<BuilderName>>,
    #[serde(rename = "source-builder")]
    pub source_builder: Option<Setting<BuilderName>>,
    pub args: Option<Setting<Words>>,
    pub env: BTreeMap<String, Setting<String>>,
    pub labels: BTreeMap<String, Setting<String>>,
    pub ports: Option<Setting<Vec<Port>>>,
    pub assemble: Setting<AssembleChoice>,
    pub pull: Setting<PullChoice>,
    pub platform: Option<Setting<Platforms>>,
}

#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are the keys of `TemplatesSection`, documented there")]
pub struct TemplatesSettings {
    pub directories: Vec<Setting<TemplateDirectory>>,
}

#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are the keys of `DockerSection`, documented there")]
pub struct DockerSettings {
    pub host: Option<Setting<String>>,
}

#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are the keys of `CacheSection`, documented there")]
pub struct CacheSettings {
    pub directory: Option<Setting<PathBuf>>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are the keys of `NetworkSection`, documented there")]
pub struct NetworkSettings {
    pub offline: Setting<bool>,
    pub proxies: ProxiesSettings,
    pub ca_files: Option<Setting<Vec<PathBuf>>>,
    pub connect_timeout: Option<Setting<Period>>,
    pub read_timeout: Option<Setting<Period>>,
    pub retries: Option<Setting<u32>>,
    pub chunk_size: Option<Setting<ByteSize>>,
    pub max_size: Setting<ByteSize>,
}

#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are the keys of `ProxiesSection`, documented there")]
pub struct ProxiesSettings {
    pub http: Option<Setting<ProxyUrl>>,
    pub https: Option<Setting<ProxyUrl>>,
    pub all: Option<Setting<ProxyUrl>>,
    pub none: Option<Setting<String>>,
}

#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are the keys of `LimitsSection`, documented there")]
pub struct LimitsSettings {
    pub memory: Option<Setting<ByteSize>>,
    pub cpus: Option<Setting<Cpus>>,
    pub pids: Option<Setting<u32>>,
    pub timeout: Option<Setting<Period>>,
}
