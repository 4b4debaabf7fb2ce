//! Owns the command line of s2i: `b2i s2i …`, and the program under the name `s2i` or `sti`.
//!
//! Must not write to the standard output what s2i does not write there: progress, script output and errors go to the standard
//! error. Must not exit with 0 after an error.

mod arguments;
mod commands;
mod configuration;
mod daemon;
mod environment_file;
mod exit_code;
mod location;
mod request;
mod source_build;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

#[cfg(test)]
pub(super) use arguments::command;
use arguments::{S2iCommand, S2iGlobalArguments};

use super::arguments::{GlobalArguments, with_help_command};
use super::commands::completions;
use super::context::Context;
use super::environment::Environment;
use super::failure::CliError;

/// The version of this command line; scripts parse it from `s2i version`.
const S2I_VERSION: &str = "1.6.3";

/// The name under which the program was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CalledAs {
    S2i,
    /// The name of s2i before 2016.
    Sti,
    /// `b2i s2i`.
    Command,
}

impl CalledAs {
    /// The name of the program, if it is one of s2i's.
    pub(super) fn from_program(name: &OsString) -> Option<Self> {
        match Path::new(name).file_stem()?.to_str()? {
            "s2i" => Some(Self::S2i),
            "sti" => Some(Self::Sti),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::S2i => "s2i",
            Self::Sti => "sti",
            Self::Command => "b2i s2i",
        }
    }
}

/// Runs the program as s2i; `words` follow its name.
pub(super) fn main(
    called: CalledAs,
    words: Vec<OsString>,
    global: GlobalArguments,
    environment: Environment,
) -> ExitCode {
    let line = std::iter::once(OsString::from(called.name())).chain(words.iter().cloned());
    let line = with_help_command(line.collect());
    let (parsed, matches) = match arguments::parse(line, called.name()) {
        Ok(parsed) => parsed,
        Err(error) => return help_or_usage(&error),
    };
    let global = with_s2i_flags(global, &parsed.global);
    let line = CommandLine { words: &words, matches: &matches, called };
    super::execute(global, environment, exit_code::exit_code, |context| {
        if called == CalledAs::Sti {
            context.printer.note("`sti` is the old name of `s2i`; the result is the same");
        }
        run(&parsed.command, &parsed.global, &line, context)
    })
}

/// The command line, raw and parsed.
struct CommandLine<'a> {
    words: &'a [OsString],
    matches: &'a clap::ArgMatches,
    called: CalledAs,
}

fn run(
    command: &S2iCommand,
    global: &S2iGlobalArguments,
    line: &CommandLine<'_>,
    context: &Context,
) -> Result<(), CliError> {
    match command {
        S2iCommand::Build(arguments) => commands::build(arguments, global, line, context),
        S2iCommand::Rebuild(arguments) => commands::rebuild(arguments, global, context),
        S2iCommand::Usage(arguments) => commands::usage(arguments, global, context),
        S2iCommand::Generate(arguments) => commands::generate(arguments, global, context),
        S2iCommand::Create(arguments) => commands::create(arguments, context),
        S2iCommand::Version => {
            let version = env!("CARGO_PKG_VERSION");
            context.printer.data(&format!("s2i v{S2I_VERSION} (b2i {version})"))
        }
        S2iCommand::Completion { shell } => completion(shell.as_deref(), line.called, context),
    }
}

/// Prints help to the standard output, a usage error to the standard error.
fn help_or_usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        // Without a command, s2i prints its help.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // A closed reader has read enough.
            let _ = std::io::Write::write_all(&mut std::io::stdout(), error.to_string().as_bytes());
            ExitCode::SUCCESS
        }
        _ => {
            crate::cli::print_parse_error(error);
            ExitCode::from(1)
        }
    }
}

fn with_s2i_flags(mut global: GlobalArguments, typed: &S2iGlobalArguments) -> GlobalArguments {
    // s2i logs from level 3 on. Below, it prints steps, which b2i always does.
    global.verbose = match typed.loglevel.unwrap_or(0) {
        0..3 => global.verbose,
        3 | 4 => global.verbose.max(1),
        _ => global.verbose.max(2),
    };
    global.docker_host = typed.url.clone().or(global.docker_host);
    global
}

fn completion(shell: Option<&str>, called: CalledAs, context: &Context) -> Result<(), CliError> {
    let shell = match shell {
        Some("bash") => clap_complete::Shell::Bash,
        Some("zsh") => clap_complete::Shell::Zsh,
        Some(other) => {
            return Err(CliError::usage(format!("completion for `{other}` is not supported"))
                .with_hint("use bash or zsh"));
        }
        None => return Err(CliError::usage("the shell is missing").with_hint("use bash or zsh")),
    };
    // A shell completes the words of one program, so `b2i s2i` prints the script of a program named `s2i`.
    let name = if called == CalledAs::Command { CalledAs::S2i.name() } else { called.name() };
    context.printer.data(&completions::script(shell, arguments::command(), name)?)
}
