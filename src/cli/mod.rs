//! The room of the command line: what was typed becomes a request, results and errors become text and exit codes.
//!
//! The only room that prints, reads the environment or exits. Nothing here decides how an image is made.

mod arguments;
mod commands;
mod context;
mod environment;
mod failure;
mod input;
mod log;
mod output_file;
mod outputs;
mod printable;
mod printer;
mod progress;
mod request;
mod runtime;
mod s2i;
mod secret;
mod signals;
mod source;
mod source_values;

use std::process::ExitCode;

use arguments::{Cli, ColorWhen, Command, GlobalArguments};
use context::Context;
use environment::Environment;
use failure::CliError;
use printer::Printer;

/// Version of every JSON document and line that is printed. It changes when a field changes its meaning or goes.
const SCHEMA_VERSION: u32 = 1;

/// Runs the program and says how it ended.
pub fn main() -> ExitCode {
    let environment = Environment::capture();
    let mut words: Vec<_> = std::env::args_os().collect();
    if let Some(called) = words.first().and_then(s2i::CalledAs::from_program) {
        return s2i::main(called, words.split_off(1), GlobalArguments::default(), environment);
    }
    // Before clap, so that `b2i s2i --help` and `b2i s2i -q …` are s2i's own.
    if words.get(1).is_some_and(|word| word == "s2i") {
        let called = s2i::CalledAs::Command;
        return s2i::main(called, words.split_off(2), GlobalArguments::default(), environment);
    }
    let cli = match arguments::parse(words, &environment) {
        Ok(cli) => cli,
        // Help, the version, or a usage error; clap knows which stream and code (0 or 2). A reader that is gone
        // has read enough.
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let Cli { global, command, .. } = cli;
    let command = match command {
        Command::S2i { words } => return s2i::main(s2i::CalledAs::Command, words, global, environment),
        command => command,
    };
    let fallback = Printer::new(false, global.color.unwrap_or(ColorWhen::Auto), &environment);
    let (result, context) = match Context::new(global, environment) {
        Ok(context) => (run(&command, &context), Some(context)),
        Err(error) => (Err(error), None),
    };
    match (result, context) {
        (Ok(()), Some(context)) => {
            context.progress.finish();
            ExitCode::SUCCESS
        }
        (Ok(()), None) => ExitCode::SUCCESS,
        (Err(error), Some(context)) => {
            context.progress.fail(&error, &context.printer);
            ExitCode::from(error.exit_code())
        }
        (Err(error), None) => {
            if let Some(text) = error.render() {
                fallback.error(&text);
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: &Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Build(arguments) => commands::build::run(arguments, context),
        Command::Inspect(arguments) => commands::inspect::run(arguments, context),
        Command::Builders(arguments) => commands::builders::run(arguments, context),
        Command::Copy(arguments) => commands::copy::run(arguments, context),
        Command::Login(arguments) => commands::login::run(arguments, context),
        Command::Logout(arguments) => commands::login::log_out(arguments, context),
        Command::Doctor(arguments) => commands::doctor::run(arguments, context),
        Command::Cache(arguments) => commands::cache::run(arguments, context),
        Command::Config(arguments) => commands::config::run(arguments, context),
        Command::S2i { .. } => unreachable!("it has a context and exit codes of its own"),
        Command::Completions { shell } => commands::completions::run(*shell, &context.printer),
        Command::Man => commands::man::run(&context.printer),
    }
}
