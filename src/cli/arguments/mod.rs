//! Owns what can be typed: the command line's grammar and its help, one file a command.
//!
//! The doc comments of the fields are the help texts: imperative, no period. Must not act on anything;
//! `cli/request.rs` and `cli/commands/` do.

pub(super) mod build;
pub(super) mod builders;
pub(super) mod cache;
pub(super) mod copy;
pub(super) mod doctor;
pub(super) mod input;
pub(super) mod inspect;
pub(super) mod login;
pub(super) mod source;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use super::environment::Environment;

/// Turn a finished artifact into a container image, without a Dockerfile
///
/// An artifact is a JAR, a WAR or a native executable, or an archive that holds one; a file or a URL.
#[derive(Debug, Parser)]
#[command(
    name = "b2i",
    bin_name = "b2i",
    version,
    max_term_width = 100,
    disable_help_flag = true,
    disable_help_subcommand = true,
    disable_version_flag = true,
    after_help = "Type `b2i COMMAND --help` for the options and examples of a command.",
    after_long_help = AFTER_LONG_HELP
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: GlobalArguments,
    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version, help_heading = GLOBAL_HEADING)]
    version: Option<bool>,
    #[command(subcommand)]
    pub(super) command: Command,
}

const GLOBAL_HEADING: &str = "Global options";

/// Narrow enough for a manual page on a terminal of 80 columns.
const AFTER_LONG_HELP: &str = "\
Configuration:
  A flag wins over a B2I_* variable, that over ./b2i.toml, that over
  ~/.config/b2i/config.toml, that over /etc/b2i/config.toml.
  `b2i config show` prints every value and where it comes from.

Variables:
  B2I_CONFIG B2I_COLOR B2I_PROGRESS B2I_BUILDER B2I_SOURCE_BUILDER B2I_ARGS
  B2I_ASSEMBLE B2I_PULL B2I_PLATFORM B2I_DOCKER_HOST B2I_CACHE_DIR B2I_OFFLINE
  B2I_CONNECT_TIMEOUT B2I_READ_TIMEOUT B2I_RETRIES B2I_MAX_SIZE B2I_CHUNK_SIZE
  B2I_MEMORY B2I_CPUS B2I_PIDS_LIMIT B2I_TIMEOUT
  DOCKER_HOST DOCKER_CONTEXT DOCKER_CONFIG DOCKER_TLS_VERIFY
  DOCKER_CERT_PATH http_proxy https_proxy all_proxy no_proxy NETRC
  SOURCE_DATE_EPOCH NO_COLOR CLICOLOR_FORCE CI

Exit codes:
  0  done                               5  the builder image
  1  unexpected                         6  the assemble script
  2  usage or configuration             7  writing the image
  3  the input was not fetched or read  8  publishing the image
  4  nothing that can be packaged       9  no engine or daemon
  129, 130, 143  hung up, interrupted,  --run: the program's own
                 terminated

Type `b2i COMMAND --help` for a command's options and examples.";

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Build(Box<build::BuildArguments>),
    Inspect(Box<inspect::InspectArguments>),
    Builders(builders::BuildersArguments),
    Copy(Box<copy::CopyArguments>),
    Login(login::LoginArguments),
    Logout(login::LogoutArguments),
    Doctor(doctor::DoctorArguments),
    Cache(cache::CacheArguments),
    Config(ConfigArguments),
    /// Build from sources with the command line of s2i
    ///
    /// The commands, flags and exit codes are those of Source-to-Image: `b2i s2i --help` lists them. The program
    /// behaves the same when it is started under the name s2i.
    #[command(disable_help_flag = true)]
    S2i {
        /// Command and flags of s2i
        #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
    /// Print a completion script for a shell
    ///
    /// For bash: b2i completions bash > ~/.local/share/bash-completion/completions/b2i
    Completions {
        /// Shell to complete in
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    ///
    /// To read it: b2i man | man -l -
    Man,
}

/// Show the configuration
#[derive(Debug, Args)]
pub(super) struct ConfigArguments {
    #[command(subcommand)]
    pub(super) command: ConfigCommand,
}

/// What can be done with the configuration.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print every value and where it comes from; passwords are left out
    Show {
        /// Print as text or JSON
        #[arg(long, value_enum, default_value_t, hide_default_value = true)]
        format: Format,
    },
}

/// Options that every command takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = GLOBAL_HEADING)]
pub(super) struct GlobalArguments {
    /// Print only the result, and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Print more; twice for even more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(super) verbose: u8,
    /// Use colours: auto, always or never [env: B2I_COLOR]
    #[arg(long, global = true, value_enum, value_name = "WHEN", hide_possible_values = true)]
    pub(super) color: Option<ColorWhen>,
    /// Show progress as a live display, plain lines or JSON lines: auto, plain or json [env: B2I_PROGRESS]
    #[arg(long, global = true, value_enum, value_name = "STYLE", hide_possible_values = true)]
    pub(super) progress: Option<ProgressChoice>,
    /// Read this file instead of the user's configuration [env: B2I_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Keep downloads and known results here [env: B2I_CACHE_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) cache_dir: Option<PathBuf>,
    /// Use no network; name what is missing [env: B2I_OFFLINE]
    #[arg(long, global = true)]
    pub(super) offline: bool,
    /// Use the Docker or Podman daemon at this address [env: B2I_DOCKER_HOST, DOCKER_HOST]
    #[arg(short = 'H', long, global = true, value_name = "URL")]
    pub(super) docker_host: Option<String>,
    /// Print help; -h prints less than --help
    #[arg(short, long, action = ArgAction::Help, global = true)]
    help: Option<bool>,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressChoice {
    /// Live on a terminal, else plain.
    #[default]
    Auto,
    /// One line for each finished step.
    Plain,
    /// One JSON object a line.
    Json,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// The grammar, for help, completions and the manual page.
pub(super) fn command() -> clap::Command {
    Cli::command()
}

/// Parses `arguments`, the program's name first.
///
/// # Errors
/// clap's error: a usage error, or a request for help or the version.
pub(super) fn parse(arguments: Vec<OsString>, environment: &Environment) -> Result<Cli, clap::Error> {
    let color = match color_before_parsing(&arguments, environment) {
        ColorWhen::Auto => clap::ColorChoice::Auto,
        ColorWhen::Always => clap::ColorChoice::Always,
        ColorWhen::Never => clap::ColorChoice::Never,
    };
    let mut command = command().color(color);
    let is_build = arguments.iter().any(|word| word == "build");
    let matches = command.try_get_matches_from_mut(with_help_command(arguments));
    let matches = matches.map_err(|error| if is_build { with_tip_for_files(error) } else { error })?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// `b2i help`, `b2i help COMMAND`: what people type who know other programs, as `--help` says it.
pub(super) fn with_help_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.get(1).is_some_and(|word| word == "help") {
        arguments.remove(1);
        // Commands and their commands; what stands behind has no help of its own.
        arguments.push("--help".into());
    }
    arguments
}

/// clap advises to write what begins with a dash behind `--`; the arguments of the program stand there.
fn with_tip_for_files(mut error: clap::Error) -> clap::Error {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    if error.kind() == ErrorKind::UnknownArgument && error.remove(ContextKind::Suggested).is_some() {
        let tip = "a file whose name begins with a dash is written `./-NAME`";
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// Looks for `--color` by eye: help and usage errors are printed by clap, which does not know it.
fn color_before_parsing(arguments: &[OsString], environment: &Environment) -> ColorWhen {
    let mut found = environment.text("B2I_COLOR").and_then(|text| ColorWhen::from_str(text, false).ok());
    let mut before_dashes = arguments.iter().take_while(|argument| *argument != "--");
    while let Some(argument) = before_dashes.next() {
        let Some(argument) = argument.to_str() else { continue };
        let value = match argument.strip_prefix("--color") {
            Some("") => before_dashes.next().and_then(|value| value.to_str()),
            Some(rest) => rest.strip_prefix('='),
            None => continue,
        };
        found = value.and_then(|value| ColorWhen::from_str(value, false).ok()).or(found);
    }
    found.unwrap_or_default()
}
