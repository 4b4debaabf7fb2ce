//! Owns the host: plain settings of the machine.
//!
//! Must not hold the state of a run, nor read environment variables; a front end passes them.

mod secrets;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};

pub use secrets::SecretError;
pub(crate) use secrets::read_small_file;

use crate::builder::{CatalogSettings, TemplateOrigin};
use crate::config::values::ProxyUrl;
use crate::config::{FileLevel, Origin, Setting, Settings, TemplateDirectory};
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::events::Events;
use crate::network::{NetworkOptions, ProxySettings};
use crate::session::Session;
use crate::sources::GitOptions;
use crate::store::daemon::DaemonSettings;
use crate::store::registry::RegistrySettings;

/// Directories that are writable even in most containers with a read-only root.
const TEMPORARY_DIRECTORIES: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// The settings of a machine. One host serves any number of sessions.
#[derive(Clone, Debug)]
pub struct Host {
    /// The directory of the cache. It is created when needed.
    pub cache_directory: PathBuf,
    /// Directories for the temporary files of a run if the cache cannot be created, the best first. The run then has no cache.
    pub temporary_directories: Vec<PathBuf>,
    /// The daemon.
    pub daemon: DaemonChoice,
    /// Access to registries.
    pub registry: RegistrySettings,
    /// Changes to the built-in catalog of builders.
    pub catalog: CatalogSettings,
    /// Options of git.
    pub git: GitOptions,
    /// Whether b2i connects to public addresses only, for a service that builds from URLs of its users: not to this machine,
    /// private networks or link-local addresses. This holds for downloads, registries with their token services and
    /// redirects, callbacks, and git, which then supports only `https`. Names are checked after their resolution. The
    /// configured proxies may have any address, and must have the same rule. The daemon connects for itself.
    pub public_addresses_only: bool,
    /// The netrc file with passwords for downloads.
    pub netrc: Option<PathBuf>,
    /// The variables for `env:NAME` in a request.
    pub variables: Variables,
    /// The program that the sandbox starts again; its `main` calls [`sandbox_child`](crate::sandbox_child) first.
    pub program: PathBuf,
    /// The user's working directory: neither it nor a directory above it is replaced.
    pub working_directory: Option<PathBuf>,
    /// Opens standard input for the artifact `-`.
    pub stdin: fn() -> Box<dyn Read + Send>,
}

/// The choice of a daemon.
#[derive(Clone, Debug, Default)]
pub struct DaemonChoice {
    /// How b2i searches for a daemon.
    pub settings: DaemonSettings,
    /// Files with credentials for the daemon's pulls.
    pub credential_files: Vec<PathBuf>,
}

/// Why settings are not valid for a host.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant describes it")]
pub enum HostError {
    #[error("the cache has no directory: neither HOME nor XDG_CACHE_HOME is set")]
    NoCache,
    #[error("`{}` is not a valid directory for the cache", .path.display())]
    Cache { path: PathBuf, source: std::io::Error },
    #[error("the template directory `{}` leaves the project: it is a link to `{}`", .path.display(), .target.display())]
    TemplateLink { path: PathBuf, target: PathBuf },
    #[error("the base `{}` leaves the project: it is a link to `{}`", .path.display(), .target.display())]
    BaseLink { path: PathBuf, target: PathBuf },
}

impl Diagnostic for HostError {
    fn kind(&self) -> FailureKind {
        FailureKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NoCache => "pass `--cache-dir DIR` or set B2I_CACHE_DIR",
            Self::Cache { .. } => return Vec::new(),
            Self::TemplateLink { .. } => {
                "a project's file may list only its own directories; list others in your own configuration"
            }
            Self::BaseLink { .. } => {
                "a project's file may name only files of the project; pass another base with `--base`"
            }
        };
        vec![hint.to_owned()]
    }
}

impl Host {
    /// Creates a host with built-in settings: no credentials, and the daemon at its default address.
    pub fn new(cache_directory: impl Into<PathBuf>) -> Self {
        Self {
            cache_directory: cache_directory.into(),
            temporary_directories: Vec::new(),
            daemon: DaemonChoice::default(),
            registry: RegistrySettings::default(),
            catalog: CatalogSettings::default(),
            git: GitOptions::default(),
            public_addresses_only: false,
            netrc: None,
            variables: Variables::default(),
            program: own_program(),
            working_directory: std::env::current_dir().ok(),
            stdin: || Box::new(std::io::stdin()),
        }
    }

    /// Creates a host from merged configuration and the environment's variables.
    ///
    /// # Errors
    /// [`HostError`] if the cache has no directory, or a project's template directory leaves the project.
    pub fn from_settings(settings: &Settings, variables: Variables) -> Result<Self, HostError> {
        let cache = settings.cache.directory.as_ref().ok_or(HostError::NoCache)?;
        // Resolved now: the working directory may change.
        let cache_directory = std::path::absolute(&cache.value)
            .map_err(|source| HostError::Cache { path: cache.value.clone(), source })?;
        let daemon = daemon(settings, &variables);
        let registry = RegistrySettings {
            network: network(settings),
            credential_files: daemon.credential_files.clone(),
            hosts: settings.registry_hosts(),
            chunk_size: settings.network.chunk_size.as_ref().map(|size| size.value.0),
            ..RegistrySettings::default()
        };
        let git = GitOptions::from_variables(variables.0.clone()).with_network(&registry.network);
        let netrc = variables.path("NETRC").or_else(|| {
            let path = variables.home()?.join(".netrc");
            path.is_file().then_some(path)
        });
        let catalog = catalog(settings)?;
        check_base(settings)?;
        // A directory that the user names is used or refused.
        let is_default =
            matches!(cache.origin, Origin::BuiltIn) && variables.path("XDG_CACHE_HOME").is_none();
        let temporary = variables.path("TMPDIR").into_iter().chain(TEMPORARY_DIRECTORIES.map(PathBuf::from));
        let temporary_directories = temporary.filter(|path| is_default && path.is_absolute()).collect();
        Ok(Self {
            daemon,
            registry,
            catalog,
            git,
            netrc,
            variables,
            temporary_directories,
            ..Self::new(cache_directory)
        })
    }

    /// Whether other directories stand for a cache that cannot be created. One that exists is used or refused.
    pub(crate) fn may_do_without_cache(&self) -> bool {
        !self.temporary_directories.is_empty() && self.cache_directory.symlink_metadata().is_err()
    }

    /// Starts a run on this host. Every event of the run goes to `events`.
    pub fn session(&self, events: Events) -> Session {
        let mut host = self.clone();
        host.registry.network.public_addresses_only |= host.public_addresses_only;
        host.git.public_addresses_only |= host.public_addresses_only;
        Session::new(host, events)
    }
}

fn catalog(settings: &Settings) -> Result<CatalogSettings, HostError> {
    let bases = settings.bases.iter();
    // In the catalog the last directory wins, in the settings the first.
    let directories = settings.templates.directories.iter().rev();
    Ok(CatalogSettings {
        replaced_bases: bases.map(|(public, base)| (public.clone(), base.value.clone())).collect(),
        template_directories: directories
            .map(|directory| template_directory(&directory.value))
            .collect::<Result<_, _>>()?,
    })
}

/// Rejects a base of the project's file that a link leads out of the project.
fn check_base(settings: &Settings) -> Result<(), HostError> {
    let Some(Setting { value, origin: Origin::File { level: FileLevel::Project, .. } }) =
        &settings.build.base
    else {
        return Ok(());
    };
    match value.transport.path().and_then(|path| Some((path, outside_project(path)?))) {
        Some((path, target)) => Err(HostError::BaseLink { path: path.to_owned(), target }),
        None => Ok(()),
    }
}

/// The target of a path of the project's file, if a symbolic link leads out of the project. The reader of the file has
/// checked the path itself.
fn outside_project(path: &Path) -> Option<PathBuf> {
    let (target, project) = (path.canonicalize().ok()?, Path::new(".").canonicalize().ok()?);
    (!target.starts_with(&project)).then_some(target)
}

/// A directory of templates and its origin. A project's file may list only directories of the project.
fn template_directory(directory: &TemplateDirectory) -> Result<(PathBuf, TemplateOrigin), HostError> {
    let path = directory.path.clone();
    if directory.trusted {
        return Ok((path.clone(), TemplateOrigin::Configured { directory: path }));
    }
    // A missing directory is reported by the catalog, with the reason.
    if let Some(target) = outside_project(&path) {
        return Err(HostError::TemplateLink { path, target });
    }
    Ok((path.clone(), TemplateOrigin::Project { directory: path }))
}

fn daemon(settings: &Settings, variables: &Variables) -> DaemonChoice {
    let context = variables.text("DOCKER_CONTEXT").map(str::to_owned);
    // A variable, here DOCKER_CONTEXT, wins over a file.
    let is_overruled = |origin: &Origin| context.is_some() && matches!(origin, Origin::File { .. });
    let host = settings.docker.host.as_ref().filter(|host| !is_overruled(&host.origin));
    let docker_config = variables.path("DOCKER_CONFIG").or_else(|| Some(variables.home()?.join(".docker")));
    let settings = DaemonSettings {
        host: host.map(|host| host.value.clone()),
        host_origin: host.map(|host| host.origin.to_string()),
        docker_context: context.filter(|_| host.is_none()),
        docker_config_directory: docker_config.clone().unwrap_or_default(),
        tls_verify: variables.path("DOCKER_TLS_VERIFY").is_some(),
        cert_path: variables.path("DOCKER_CERT_PATH"),
        runtime_directory: variables.path("XDG_RUNTIME_DIR"),
        user_id: user_id(),
        api_version: variables.text("DOCKER_API_VERSION").map(str::to_owned),
    };
    let podman = variables.path("XDG_RUNTIME_DIR").map(|runtime| runtime.join("containers/auth.json"));
    let named = variables.path("REGISTRY_AUTH_FILE");
    let docker = docker_config.map(|directory| directory.join("config.json"));
    DaemonChoice { settings, credential_files: [named, podman, docker].into_iter().flatten().collect() }
}

/// The network options of every client.
pub(crate) fn network(settings: &Settings) -> NetworkOptions {
    let network = &settings.network;
    let proxies = &network.proxies;
    let proxy = |setting: &Option<Setting<ProxyUrl>>| {
        setting.as_ref().map(|setting| setting.value.secret().to_owned())
    };
    let default = NetworkOptions::default();
    NetworkOptions {
        proxy: ProxySettings {
            http: proxy(&proxies.http),
            https: proxy(&proxies.https),
            all: proxy(&proxies.all),
            no_proxy: proxies.none.as_ref().map(|setting| setting.value.clone()),
        },
        extra_ca: network.ca_files.as_ref().map(|setting| setting.value.clone()).unwrap_or_default(),
        connect_timeout: network
            .connect_timeout
            .as_ref()
            .map_or(default.connect_timeout, |setting| setting.value.0),
        minimum_rate: network.min_rate.as_ref().map_or(default.minimum_rate, |setting| setting.value.0),
        public_addresses_only: default.public_addresses_only,
        read_timeout: network.read_timeout.as_ref().map_or(default.read_timeout, |setting| setting.value.0),
        retries: network.retries.as_ref().map_or(default.retries, |setting| setting.value),
        retry_pause: default.retry_pause,
    }
}

/// This program. Its name may lead to another version after an upgrade, or to nothing.
fn own_program() -> PathBuf {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { running } else { std::env::current_exe().unwrap_or(running) }
}

#[cfg(unix)]
fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn user_id() -> u32 {
    0
}

/// The variables of an environment. An empty variable is unset, by the XDG, Docker and `NO_COLOR` conventions.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<OsString, OsString>);

impl Variables {
    /// Returns the value of a variable, even if it is empty.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Returns all variables.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.0.iter()
    }

    /// Returns the text of a variable that is set and UTF-8.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str().filter(|text| !text.is_empty())
    }

    /// Returns the path in a variable that is set.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// Returns the user's home directory.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        let name = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        self.path(name).filter(|path| path.is_absolute())
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Shows the names only: a value may be a secret.
impl std::fmt::Debug for Variables {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}
