//! Owns how the levels of configuration become one: flag, variable, project, user, system, built in.
//!
//! The highest level that says something wins. Maps (`labels`, `env`, `bases`) are merged entry by entry, template
//! directories are collected from all levels, every other list is taken whole. Each value keeps its origin. Must
//! not read the environment: the variables are handed in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::error::{Error, line_of};
use super::file::{self, ConfigFile, FileLevel};
use super::settings::{
    BuildSettings, CacheSettings, DockerSettings, LimitsSettings, NetworkSettings, Origin, ProxiesSettings,
    Setting, Settings, TemplateDirectory, TemplatesSettings,
};
use super::values::{AssembleChoice, ByteSize, PullChoice};
use super::{keys, variables};
use crate::request::{AssembleRequest, PullPolicy};

/// What the merging starts from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// What the command line says, as if it were a file.
    pub flags: ConfigFile,
    /// The environment's variables, those of other programs included.
    pub variables: BTreeMap<String, String>,
    /// The project's file.
    pub project: Option<PathBuf>,
    /// The user's file.
    pub user: Option<PathBuf>,
    /// Whether a missing user file is an error, because somebody named it.
    pub user_is_required: bool,
    /// The machine's file.
    pub system: Option<PathBuf>,
    /// The cache's directory if nobody says another.
    pub cache_directory: Option<PathBuf>,
}

/// The size limit of anything fetched or unpacked.
const DEFAULT_MAX_SIZE: ByteSize = ByteSize(4 << 30);

/// Reads every level and merges them.
///
/// # Errors
/// [`Error`] if a file or a variable is wrong.
pub fn load(sources: Sources) -> Result<Settings, Error> {
    let (of_variables, names) = variables::read(&sources.variables)?;
    let mut levels = vec![
        Level { source: Source::Flags, content: sources.flags },
        Level { source: Source::Variables(names), content: of_variables },
    ];
    let files = [
        (FileLevel::Project, sources.project, false),
        (FileLevel::User, sources.user, sources.user_is_required),
        (FileLevel::System, sources.system, false),
    ];
    for (level, path, is_required) in files {
        let Some(path) = path else { continue };
        match file::read(level, &path)? {
            Some(text) => {
                let content = file::parse(level, &path, &text)?;
                levels.push(Level { source: Source::File { level, path, text }, content });
            }
            None if is_required => return Err(Error::Missing { path }),
            None => {}
        }
    }
    Ok(Levels(levels).merge(sources.cache_directory))
}

/// Where the values of a level come from.
enum Source {
    Flags,
    /// By key, the variable that set it.
    Variables(BTreeMap<&'static str, String>),
    File {
        level: FileLevel,
        path: PathBuf,
        text: String,
    },
}

pub(super) struct Level {
    source: Source,
    pub(super) content: ConfigFile,
}

impl Level {
    pub(super) fn origin<T>(&self, key: &str, value: &Spanned<T>) -> Origin {
        match &self.source {
            Source::Flags => {
                let flag = keys::key(key).and_then(|key| key.flag).unwrap_or("--");
                Origin::Flag { flag: flag.to_owned() }
            }
            Source::Variables(names) => {
                Origin::Variable { variable: names.get(key).cloned().unwrap_or_default() }
            }
            Source::File { level, path, text } => {
                Origin::File { level: *level, path: path.clone(), line: line_of(text, value.span().start) }
            }
        }
    }

    /// Paths in a file are relative to that file, not to where b2i was started.
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        match &self.source {
            Source::File { path: file, .. } => file.parent().unwrap_or(Path::new("")).join(path),
            Source::Flags | Source::Variables(_) => path.to_owned(),
        }
    }
}

/// All levels, highest first.
pub(super) struct Levels(pub(super) Vec<Level>);

impl Levels {
    /// The value of the highest level that has one.
    pub(super) fn pick<T: Clone>(
        &self,
        key: &str,
        field: impl Fn(&ConfigFile) -> &Option<Spanned<T>>,
    ) -> Option<Setting<T>> {
        self.0.iter().find_map(|level| {
            let value = field(&level.content).as_ref()?;
            Some(Setting { value: value.get_ref().clone(), origin: level.origin(key, value) })
        })
    }

    fn pick_or<T: Clone>(
        &self,
        key: &str,
        default: T,
        field: impl Fn(&ConfigFile) -> &Option<Spanned<T>>,
    ) -> Setting<T> {
        self.pick(key, field).unwrap_or(Setting { value: default, origin: Origin::BuiltIn })
    }

    /// Every entry, each from the highest level that has it.
    fn pick_entries<T: Clone>(
        &self,
        key: &str,
        field: impl Fn(&ConfigFile) -> &BTreeMap<String, Spanned<T>>,
    ) -> BTreeMap<String, Setting<T>> {
        let mut entries = BTreeMap::new();
        for level in self.0.iter().rev() {
            for (name, value) in field(&level.content) {
                let setting = Setting { value: value.get_ref().clone(), origin: level.origin(key, value) };
                entries.insert(name.clone(), setting);
            }
        }
        entries
    }

    fn directories(&self) -> Vec<Setting<TemplateDirectory>> {
        let mut directories = Vec::new();
        for level in &self.0 {
            let Some(values) = &level.content.templates.directories else { continue };
            let trusted = !matches!(level.source, Source::File { level: FileLevel::Project, .. });
            directories.extend(values.get_ref().iter().map(|path| Setting {
                value: TemplateDirectory { path: level.resolve(path), trusted },
                origin: level.origin("templates.directories", values),
            }));
        }
        directories
    }

    /// Like [`Self::pick`], for lists of paths.
    fn ca_files(&self) -> Option<Setting<Vec<PathBuf>>> {
        self.0.iter().find_map(|level| {
            let files = level.content.network.ca_files.as_ref()?;
            let value = files.get_ref().iter().map(|file| level.resolve(file)).collect();
            Some(Setting { value, origin: level.origin("network.ca-files", files) })
        })
    }

    fn cache_directory(&self, default: Option<PathBuf>) -> Option<Setting<PathBuf>> {
        let configured = self.0.iter().find_map(|level| {
            let directory = level.content.cache.directory.as_ref()?;
            let value = level.resolve(directory.get_ref());
            Some(Setting { value, origin: level.origin("cache.directory", directory) })
        });
        configured.or_else(|| default.map(|value| Setting { value, origin: Origin::BuiltIn }))
    }

    fn merge(&self, cache_directory: Option<PathBuf>) -> Settings {
        Settings {
            build: BuildSettings {
                builder: self.pick("build.builder", |file| &file.build.builder),
                source_builder: self.pick("build.source-builder", |file| &file.build.source_builder),
                args: self.pick("build.args", |file| &file.build.args),
                env: self.pick_entries("build.env", |file| &file.build.env),
                labels: self.pick_entries("build.labels", |file| &file.build.labels),
                ports: self.pick("build.ports", |file| &file.build.ports),
                assemble: self.pick_or("build.assemble", AssembleChoice(AssembleRequest::Auto), |file| {
                    &file.build.assemble
                }),
                pull: self.pick_or("build.pull", PullChoice(PullPolicy::Missing), |file| &file.build.pull),
                platform: self.pick("build.platform", |file| &file.build.platform),
            },
            bases: self.pick_entries("bases", |file| &file.bases),
            templates: TemplatesSettings { directories: self.directories() },
            docker: DockerSettings { host: self.pick("docker.host", |file| &file.docker.host) },
            cache: CacheSettings { directory: self.cache_directory(cache_directory) },
            network: NetworkSettings {
                offline: self.pick_or("network.offline", false, |file| &file.network.offline),
                proxies: ProxiesSettings {
                    http: self.pick("network.proxies.http", |file| &file.network.proxies.http),
                    https: self.pick("network.proxies.https", |file| &file.network.proxies.https),
                    all: self.pick("network.proxies.all", |file| &file.network.proxies.all),
                    none: self.pick("network.proxies.none", |file| &file.network.proxies.none),
                },
                ca_files: self.ca_files(),
                connect_timeout: self.pick("network.connect-timeout", |file| &file.network.connect_timeout),
                read_timeout: self.pick("network.read-timeout", |file| &file.network.read_timeout),
                retries: self.pick("network.retries", |file| &file.network.retries),
                chunk_size: self.pick("network.chunk-size", |file| &file.network.chunk_size),
                max_size: self.pick_or("network.max-size", DEFAULT_MAX_SIZE, |file| &file.network.max_size),
            },
            registries: self.registries(),
            limits: LimitsSettings {
                memory: self.pick("limits.memory", |file| &file.limits.memory),
                cpus: self.pick("limits.cpus", |file| &file.limits.cpus),
                pids: self.pick("limits.pids", |file| &file.limits.pids),
                timeout: self.pick("limits.timeout", |file| &file.limits.timeout),
            },
        }
    }
}
