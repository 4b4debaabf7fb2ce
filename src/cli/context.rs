//! Owns what commands share: environment, settings, printer, progress.
//!
//! Must not read a file before a command needs it.

use std::path::PathBuf;

use super::arguments::{ColorWhen, GlobalArguments, ProgressChoice};
use super::environment::Environment;
use super::failure::CliError;
use super::printer::Printer;
use super::progress::Progress;
use crate::config::{self, ConfigFile, Settings, Sources, unplaced};
use crate::host::Host;
use crate::session::Session;

/// The machine's configuration file.
const SYSTEM_CONFIGURATION: &str = "/etc/b2i/config.toml";

/// The configuration file of the project, in the working directory only: a directory above may belong to another user.
const PROJECT_CONFIGURATION: &str = "b2i.toml";

pub(super) struct Context {
    pub(super) environment: Environment,
    pub(super) printer: Printer,
    pub(super) progress: Progress,
    global: GlobalArguments,
}

impl Context {
    /// Selects colors and the display of progress.
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

    /// Reads and merges the configuration, with the flags of the command.
    pub(super) fn settings(&self, mut flags: ConfigFile) -> Result<Settings, CliError> {
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
            cache_directory: Some(self.environment.cache_directory()),
        })?;
        for (name, known) in self.environment.misspelled() {
            let message = format!("unknown environment variable `{name}` (ignored)");
            self.progress.events().warning(message, Some(format!("did you mean `{known}`?")));
        }
        Ok(settings)
    }

    /// The host of the settings and the environment.
    pub(super) fn host(&self, settings: &Settings) -> Result<Host, CliError> {
        Ok(Host::from_settings(settings, self.environment.variables().clone())?)
    }

    /// A session on that host.
    pub(super) fn session(&self, settings: &Settings) -> Result<Session, CliError> {
        Ok(self.host(settings)?.session(self.progress.events()))
    }
}

/// The value of a flag, else of its variable, else the default.
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
                "environment variable `{variable}` is not valid: `{text}` is not one of {}",
                names.join(", ")
            ))
        }),
    }
}
