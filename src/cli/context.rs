//! Owns what every command works with: environment, merged settings, printer, progress.

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
    /// Selects colors and the display of progress; reads no file.
    ///
    /// # Errors
    /// A usage error if `B2I_COLOR` or `B2I_PROGRESS` is invalid.
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

    /// Reads and merges the configuration; `command` has the flags of the command.
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
        for (name, known) in self.environment.misspelled() {
            let message = format!("unknown environment variable `{name}` (ignored)");
            self.progress.events().warning(message, Some(format!("did you mean `{known}`?")));
        }
        Ok(settings)
    }

    /// The machine that the settings and the environment describe.
    ///
    /// # Errors
    /// A usage error if they contradict themselves.
    pub(super) fn host(&self, settings: &Settings) -> Result<Host, CliError> {
        Ok(Host::from_settings(settings, self.environment.variables().clone())?)
    }

    /// A run on that machine.
    ///
    /// # Errors
    /// As [`Self::host`].
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
