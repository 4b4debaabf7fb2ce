//! The room of the command line that s2i's users know: `b2i s2i …`, and the program under the name `s2i` or `sti`.
//!
//! What was typed becomes the same `Request` that `b2i build` makes. As with s2i, progress, script output and errors
//! go to the standard error, and nothing to the standard output but what was asked for: a script that reads it sees
//! what it has always seen. Errors never end with 0.

mod arguments;
mod build;
mod configuration;
mod create;
mod daemon;
mod environment_file;
mod exit_code;
mod location;
mod request;
mod source_build;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use arguments::{S2iCommand, S2iGlobalArguments};

use super::arguments::{ColorWhen, GlobalArguments, with_help_command};
use super::context::Context;
use super::environment::Environment;
use super::failure::CliError;
use super::printer::Printer;

/// The version whose command line this is; scripts read it out of `s2i version`.
const S2I_VERSION: &str = "1.6.3";

/// How the program is called: under a name of its own, or as a command of b2i.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CalledAs {
    /// `s2i`.
    S2i,
    /// `sti`, its name before 2016.
    Sti,
    /// `b2i s2i`.
    Command,
}

impl CalledAs {
    /// Reads it out of the program's own name, if that is s2i's.
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

/// Runs the program as s2i; `words` are those behind its name.
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
    let fallback = Printer::new(false, global.color.unwrap_or(ColorWhen::Auto), &environment);
    let context = match Context::new(global, environment) {
        Ok(context) => context,
        Err(error) => {
            fallback.error(&error.render().unwrap_or_default());
            return ExitCode::from(exit_code::exit_code(&error));
        }
    };
    if called == CalledAs::Sti {
        context.printer.note("`sti` is the old name of `s2i`; what is built is the same");
    }
    let typed = Typed { words: &words, matches: &matches, called };
    match run(&parsed.command, &parsed.global, &typed, &context) {
        Ok(()) => {
            context.progress.finish();
            ExitCode::SUCCESS
        }
        Err(error) => {
            context.progress.fail(&error, &context.printer);
            ExitCode::from(exit_code::exit_code(&error))
        }
    }
}

/// The command line as it was typed.
struct Typed<'a> {
    words: &'a [OsString],
    matches: &'a clap::ArgMatches,
    called: CalledAs,
}

fn run(
    command: &S2iCommand,
    global: &S2iGlobalArguments,
    typed: &Typed<'_>,
    context: &Context,
) -> Result<(), CliError> {
    match command {
        S2iCommand::Build(arguments) => build::build(arguments, global, typed, context),
        S2iCommand::Rebuild(arguments) => build::rebuild(arguments, global, context),
        S2iCommand::Usage(arguments) => build::usage(arguments, global, context),
        S2iCommand::Generate(arguments) => build::generate(arguments, global, context),
        S2iCommand::Create(arguments) => create::create(arguments, context),
        S2iCommand::Version => {
            let version = env!("CARGO_PKG_VERSION");
            context.printer.data(&format!("s2i v{S2I_VERSION} (b2i {version})"))
        }
        S2iCommand::Completion { shell } => completion(shell.as_deref(), typed.called, context),
    }
}

/// Shows clap's answer: help goes to the standard output and is no error, everything else is one.
fn help_or_usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        // Without a command, s2i prints its help.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // A reader that is gone has read enough.
            let _ = std::io::Write::write_all(&mut std::io::stdout(), error.to_string().as_bytes());
            ExitCode::SUCCESS
        }
        _ => {
            let _ = error.print();
            ExitCode::from(1)
        }
    }
}

fn with_s2i_flags(mut global: GlobalArguments, typed: &S2iGlobalArguments) -> GlobalArguments {
    // s2i logs from level 3 on; below it only adds lines about what it does, which b2i always prints.
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
            return Err(CliError::usage(format!("there is no completion for `{other}`"))
                .with_hint("there is one for bash and one for zsh"));
        }
        None => return Err(CliError::usage("the shell is missing").with_hint("write bash or zsh")),
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut arguments::command(), called.name(), &mut script);
    context.printer.data(&String::from_utf8_lossy(&script))
}
