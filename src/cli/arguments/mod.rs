//! Owns the grammar of the command line, the global options, and the option groups that commands share.
//!
//! Must not act on anything; `cli/commands/` does. The doc comments of the fields are the help texts: an imperative verb
//! first, at most 70 characters, no period.

pub(super) mod input;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, ValueEnum};

use super::commands::Command;
use super::environment::Environment;
use super::failure::exit_codes;
use super::foreign_words;

/// Turn an artifact into a container image, without a Dockerfile
///
/// An artifact is a JAR, a WAR, an executable or an archive that contains one, in a file or at a URL. A source tree or a
/// git repository is built first.
#[derive(Debug, Parser)]
#[command(
    name = "b2i",
    bin_name = "b2i",
    version,
    max_term_width = 100,
    disable_help_flag = true,
    disable_help_subcommand = true,
    disable_version_flag = true,
    after_help = "Run `b2i COMMAND -h` for the options of a command.",
    after_long_help = after_long_help()
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

/// The width of the text below the help, in columns. A manual page of 80 columns indents this text.
const TEXT_WIDTH: usize = 72;

/// Configuration, variables and exit codes, from their tables.
fn after_long_help() -> String {
    let mut text = "\
Configuration, strongest first:
  flags, B2I_* variables, ./b2i.toml, ~/.config/b2i/config.toml,
  /etc/b2i/config.toml
  `b2i config show` prints every value and its origin.

Variables:
 "
    .to_owned();
    let mut column = 1;
    for variable in Environment::variable_names() {
        if column + variable.len() >= TEXT_WIDTH {
            text.push_str("\n ");
            column = 1;
        }
        text.push(' ');
        text.push_str(variable);
        column += 1 + variable.len();
    }
    text.push_str("\n\nExit codes:\n");
    for (code, meaning) in exit_codes() {
        text.push_str(&format!("  {code:<13}  {meaning}\n"));
    }
    text.push_str("\nRun `b2i COMMAND --help` for the options and examples of a command.");
    text
}

/// Options of every command.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = GLOBAL_HEADING)]
pub(super) struct GlobalArguments {
    /// Print only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Log more; -vv logs even more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(super) verbose: u8,
    /// Use colors: auto, always or never [default: auto] [env: B2I_COLOR]
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub(super) color: Option<ColorWhen>,
    /// Show progress: auto (live on a terminal), plain lines or json lines [default: auto] [env: B2I_PROGRESS]
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "STYLE",
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub(super) progress: Option<ProgressChoice>,
    /// Read FILE instead of ~/.config/b2i/config.toml [env: B2I_CONFIG]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(super) config: Option<PathBuf>,
    /// Store downloads and remembered digests in DIR [default: ~/.cache/b2i] [env: B2I_CACHE_DIR]
    #[arg(long, global = true, value_name = "DIR", hide_short_help = true)]
    pub(super) cache_dir: Option<PathBuf>,
    /// Never use the network; fail and list what is missing [env: B2I_OFFLINE]
    #[arg(long, global = true, hide_short_help = true)]
    pub(super) offline: bool,
    /// Use the Docker or Podman daemon at URL [env: B2I_DOCKER_HOST, DOCKER_HOST]
    #[arg(short = 'H', long, global = true, value_name = "URL", hide_short_help = true)]
    pub(super) docker_host: Option<String>,
    /// Print help (-h: summary, --help: everything)
    #[arg(short, long, action = ArgAction::Help, global = true)]
    help: Option<bool>,
}

/// Values of `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    Always,
    Never,
}

/// Values of `--progress`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressChoice {
    /// Live on a terminal, else plain.
    #[default]
    Auto,
    /// One line for each finished step.
    Plain,
    /// One JSON object per line.
    Json,
}

/// Values of `--format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    #[default]
    Text,
    Json,
}

/// The grammar for help, completions and manual pages.
pub(super) fn command() -> clap::Command {
    Cli::command()
}

/// Parses a choice among the texts of a type.
pub(super) fn one_of<T, const N: usize>(texts: [(&'static str, T); N]) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    PossibleValuesParser::new(texts.map(|(text, _)| text)).map(move |typed| {
        let choice = texts.iter().find(|(text, _)| *text == typed);
        choice.expect("clap accepts only these texts").1
    })
}

/// Parses `arguments`, the name of the program first. An error is a usage error, or a request for help or the version.
pub(super) fn parse(arguments: Vec<OsString>, environment: &Environment) -> Result<Cli, clap::Error> {
    let mut command = command().color(color_before_parsing(&arguments, environment));
    let matches = command.try_get_matches_from_mut(with_help_command(arguments));
    let matches = matches.map_err(foreign_words::with_hint)?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    if let (Command::Build(build), Some((_, matches))) = (&mut cli.command, matches.subcommand()) {
        build.source.record_first(matches);
    }
    Ok(cli)
}

/// Replaces `help COMMAND` by `COMMAND --help`. clap's own `help` would be listed in every command.
pub(super) fn with_help_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.get(1).is_some_and(|word| word == "help") {
        arguments.remove(1);
        arguments.push("--help".into());
    }
    arguments
}

/// The color of help and usage errors, which clap prints before `--color` is known.
fn color_before_parsing<'a>(arguments: &'a [OsString], environment: &'a Environment) -> clap::ColorChoice {
    let words = arguments.iter().take_while(|word| *word != "--").filter_map(|word| word.to_str());
    let value = |(word, next): (&'a str, &'a str)| match word.strip_prefix("--color")? {
        "" => Some(next),
        value => value.strip_prefix('='),
    };
    let typed = words.clone().zip(words.skip(1).chain([""])).filter_map(value).last();
    match typed.or_else(|| environment.text("B2I_COLOR")) {
        Some("always") => clap::ColorChoice::Always,
        Some("never") => clap::ColorChoice::Never,
        _ => clap::ColorChoice::Auto,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::s2i;
    use crate::config::keys::KEYS;

    /// Calls `check` with the path and the grammar of every command.
    fn each_command(command: &clap::Command, path: &str, check: &mut impl FnMut(&str, &clap::Command)) {
        let path = format!("{path} {}", command.get_name());
        check(&path, command);
        command.get_subcommands().for_each(|inner| each_command(inner, &path, check));
    }

    /// The first line of a help text, without the notes in brackets at its end.
    fn sentence(help: &clap::builder::StyledStr) -> String {
        let help = help.to_string();
        let mut text = help.trim();
        while let Some((start, _)) = text.rsplit_once(" [").filter(|_| text.ends_with(']')) {
            text = start;
        }
        text.to_owned()
    }

    #[test]
    fn help_texts_are_one_short_sentence() {
        for grammar in [command(), s2i::command()] {
            each_command(&grammar, "", &mut |path, command| {
                let own =
                    command.get_arguments().map(|argument| (argument.get_id().as_str(), argument.get_help()));
                for (name, help) in own.chain([("about", command.get_about())]) {
                    let text = sentence(help.unwrap_or_else(|| panic!("{path}: {name} has no help")));
                    assert!(text.chars().count() <= 70, "{path}: {name}: {text}");
                    assert!(
                        text.starts_with(char::is_uppercase) && !text.ends_with('.'),
                        "{path}: {name}: {text}"
                    );
                }
            });
        }
    }

    #[test]
    fn help_names_the_variable_of_an_option() {
        each_command(&command(), "", &mut |path, command| {
            // The `--platform` of `copy` selects from an existing image, the `--base` of `create` is for a Dockerfile.
            if ["copy", "create"].contains(&command.get_name()) {
                return;
            }
            for argument in command.get_arguments() {
                let flag = argument.get_long().map(|long| format!("--{long}"));
                let key = KEYS.iter().find(|key| key.flag.is_some() && key.flag == flag.as_deref());
                let Some(variable) = key.and_then(|key| key.variables.first()) else { continue };
                let help =
                    argument.get_long_help().or(argument.get_help()).expect("it has a help").to_string();
                assert!(help.contains(&format!("[env: {variable}")), "{path}: {flag:?}: {help}");
            }
        });
    }

    #[test]
    fn variables_and_exit_codes_fit_a_manual_page() {
        let text = after_long_help();
        assert!(text.lines().all(|line| line.chars().count() <= 76), "{text}");
    }

    #[test]
    fn the_grammar_is_consistent() {
        command().debug_assert();
    }
}
