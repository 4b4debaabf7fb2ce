//! Owns what every command works with: environment, merged settings, printer, progress.

use std::path::{Path, PathBuf};

use super::arguments::{ColorWhen, GlobalArguments, ProgressChoice};
use super::environment::Environment;
use super::failure::CliError;
use super::input::network_options;
use super::printer::Printer;
use super::progress::Progress;
use crate::builder::{CatalogSettings, TemplateOrigin};
use crate::config::{self, ConfigFile, Origin, Settings, Sources, TemplateDirectory, unplaced};
use crate::events::Events;
use crate::session::DaemonChoice;
use crate::session::Session;
use crate::store::daemon::DaemonSettings;
use crate::store::registry::RegistrySettings;

/// The machine's configuration file.
const SYSTEM_CONFIGURATION: &str = "/etc/b2i/config.toml";

/// The project's configuration file, in the working directory and nowhere else: a file of a directory above could
/// be anybody's.
const PROJECT_CONFIGURATION: &str = "b2i.toml";

/// What every command works with.
pub(super) struct Context {
    pub(super) environment: Environment,
    pub(super) printer: Printer,
    pub(super) progress: Progress,
    global: GlobalArguments,
}

impl Context {
    /// Decides how to talk; reads no file.
    ///
    /// # Errors
    /// A usage error if `B2I_COLOR` or `B2I_PROGRESS` is none of its words.
    pub(super) fn new(global: GlobalArguments, environment: Environment) -> Result<Self, CliError> {
        let color: ColorWhen = choice(global.color, "B2I_COLOR", &environment)?;
        let style: ProgressChoice = choice(global.progress, "B2I_PROGRESS", &environment)?;
        let printer = Printer::new(global.quiet, color, &environment);
        let progress = Progress::new(style, global.verbose > 0, &printer, &environment);
        if global.verbose > 0 {
            super::log::start(global.verbose, &printer);
        }
        Ok(Self { environment, printer, progress, global })
    }

    /// Reads and merges the configuration; `command` is what the command's own flags say.
    ///
    /// # Errors
    /// A usage error if a file or variable is wrong.
    pub(super) fn settings(&self, command: ConfigFile) -> Result<Settings, CliError> {
        let mut flags = command;
        flags.network.offline = self.global.offline.then(|| unplaced(true));
        flags.docker.host = self.global.docker_host.clone().map(unplaced);
        flags.cache.directory = self.global.cache_dir.clone().map(unplaced);
        let named = self.global.config.clone().or_else(|| self.environment.path("B2I_CONFIG"));
        let settings = config::load(Sources {
            flags,
            variables: self.environment.for_configuration(),
            project: Some(PathBuf::from(PROJECT_CONFIGURATION)),
            user_is_required: named.is_some(),
            user: named.or_else(|| self.environment.user_configuration()),
            system: cfg!(unix).then(|| PathBuf::from(SYSTEM_CONFIGURATION)),
            cache_directory: self.environment.cache_directory(),
        })?;
        for (name, meant) in self.environment.misspelled() {
            let message = format!("the variable `{name}` means nothing");
            self.progress.events().warning(message, Some(format!("did you mean `{meant}`?")));
        }
        Ok(settings)
    }

    /// Says on which machine and by which settings the road is gone.
    ///
    /// # Errors
    /// A usage error if there is no place for the cache.
    pub(super) fn session(&self, settings: &Settings) -> Result<Session, CliError> {
        let cache = settings.cache.directory.as_ref().ok_or_else(|| {
            CliError::usage("there is no place for the cache: neither HOME nor XDG_CACHE_HOME is set")
                .with_hint("give `--cache-dir DIR` or set B2I_CACHE_DIR")
        })?;
        // Relative to where b2i was started, whatever happens later.
        let cache_directory = std::path::absolute(&cache.value).map_err(|error| {
            CliError::usage(format!("`{}` is no place for the cache: {error}", cache.value.display()))
        })?;
        let catalog = CatalogSettings {
            replaced_bases: settings
                .bases
                .iter()
                .map(|(public, replacement)| (public.clone(), replacement.value.clone()))
                .collect(),
            // The catalog takes the weakest first, the settings name the strongest first.
            template_directories: settings
                .templates
                .directories
                .iter()
                .rev()
                .map(|directory| template_directory(&directory.value))
                .collect::<Result<_, _>>()?,
        };
        let stdin = || Box::new(std::io::stdin()) as Box<dyn std::io::Read + Send>;
        let daemon = self.daemon(settings);
        let registry = RegistrySettings {
            network: network_options(settings),
            credential_files: daemon.credential_files.clone(),
            hosts: settings.registry_hosts(),
            chunk_size: settings.network.chunk_size.as_ref().map(|size| size.value.0),
            ..RegistrySettings::default()
        };
        let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
        let mut session =
            Session::new(cache_directory, daemon, registry, catalog, program, self.events(), stdin);
        session.working_directory = std::env::current_dir().ok();
        Ok(session)
    }

    fn events(&self) -> Events {
        self.progress.events()
    }

    fn daemon(&self, settings: &Settings) -> DaemonChoice {
        let environment = &self.environment;
        let context = environment.text("DOCKER_CONTEXT").map(str::to_owned);
        let host = settings.docker.host.as_ref();
        // DOCKER_CONTEXT is a variable, and a variable wins over a file.
        let is_overruled = |origin: &Origin| context.is_some() && matches!(origin, Origin::File { .. });
        let host = host.filter(|host| !is_overruled(&host.origin));
        let docker_config =
            environment.path("DOCKER_CONFIG").or_else(|| Some(environment.home()?.join(".docker")));
        let settings = DaemonSettings {
            host: host.map(|host| host.value.clone()),
            host_origin: host.map(|host| host.origin.to_string()),
            docker_context: context.filter(|_| host.is_none()),
            docker_config_directory: docker_config.clone().unwrap_or_default(),
            tls_verify: environment.is_set("DOCKER_TLS_VERIFY"),
            cert_path: environment.path("DOCKER_CERT_PATH"),
            runtime_directory: environment.path("XDG_RUNTIME_DIR"),
            user_id: user_id(),
            api_version: environment.text("DOCKER_API_VERSION").map(str::to_owned),
        };
        let podman = environment.path("XDG_RUNTIME_DIR").map(|runtime| runtime.join("containers/auth.json"));
        let named = environment.path("REGISTRY_AUTH_FILE");
        let docker = docker_config.map(|directory| directory.join("config.json"));
        DaemonChoice { settings, credential_files: [named, podman, docker].into_iter().flatten().collect() }
    }
}

/// A directory of templates, with how far it is trusted.
///
/// The name of a project's directory stays in the project, which its file is checked for; a symbolic link may not.
fn template_directory(directory: &TemplateDirectory) -> Result<(PathBuf, TemplateOrigin), CliError> {
    let path = directory.path.clone();
    if directory.trusted {
        return Ok((path.clone(), TemplateOrigin::Configured { directory: path }));
    }
    // A directory that is not there is named by the catalog, with the reason.
    if let (Ok(real), Ok(project)) = (path.canonicalize(), Path::new(".").canonicalize())
        && !real.starts_with(&project)
    {
        let (shown, real) = (path.display(), real.display());
        let message =
            format!("the template directory `{shown}` leaves the project: it is a link to `{real}`");
        return Err(CliError::usage(message).with_hint(
            "a project's file may name only its own directories; name others in your own configuration",
        ));
    }
    Ok((path.clone(), TemplateOrigin::Project { directory: path }))
}

#[cfg(unix)]
fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn user_id() -> u32 {
    0
}

/// What a flag says, or else its variable.
fn choice<C: clap::ValueEnum + Default>(
    flag: Option<C>,
    variable: &str,
    environment: &Environment,
) -> Result<C, CliError> {
    match (flag, environment.text(variable)) {
        (Some(choice), _) => Ok(choice),
        (None, None) => Ok(C::default()),
        (None, Some(text)) => C::from_str(text, false).map_err(|_| {
            let names = C::value_variants().iter().filter_map(|choice| choice.to_possible_value());
            let names: Vec<String> = names.map(|value| value.get_name().to_owned()).collect();
            CliError::usage(format!(
                "the variable `{variable}` is wrong: `{text}` is none of {}",
                names.join(", ")
            ))
        }),
    }
}
