//! Owns the command line: arguments become a request; results and errors become text and exit codes.
//!
//! Must not decide how an image is made. No other module prints, reads the environment or exits.

mod arguments;
mod commands;
mod context;
mod environment;
mod failure;
mod foreign_words;
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

use std::process::ExitCode;

use arguments::GlobalArguments;
use commands::Command;
use context::Context;
use environment::Environment;
use failure::CliError;
use printer::Printer;
#[cfg(test)]
pub(crate) use {failure::ErrorEvent, printer::Versioned};

/// Runs the program.
pub fn main() -> ExitCode {
    let environment = Environment::capture();
    let mut words: Vec<_> = std::env::args_os().collect();
    if let Some(called) = words.first().and_then(s2i::CalledAs::from_program) {
        return s2i::main(called, words.split_off(1), GlobalArguments::default(), environment);
    }
    // Before clap: s2i parses `b2i s2i --help` and `b2i s2i -q …` in its own way.
    if words.get(1).is_some_and(|word| word == "s2i") {
        let called = s2i::CalledAs::Command;
        return s2i::main(called, words.split_off(2), GlobalArguments::default(), environment);
    }
    let cli = match arguments::parse(words, &environment) {
        Ok(cli) => cli,
        // Help, the version or a usage error. clap knows the stream and the code (0 or 2). A closed reader is ignored.
        Err(error) => {
            print_parse_error(&error);
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match cli.command {
        Command::S2i { words } => s2i::main(s2i::CalledAs::Command, words, cli.global, environment),
        command => {
            execute(cli.global, environment, CliError::exit_code, |context| commands::run(&command, context))
        }
    }
}

/// Prints help, or a usage error. An error quotes words of the command line, which may hold control characters.
fn print_parse_error(error: &clap::Error) {
    let text = error.to_string();
    let escaped = printable::printable_lines(&text);
    // A closed reader has read enough.
    let _ = match escaped {
        std::borrow::Cow::Borrowed(_) => error.print(),
        std::borrow::Cow::Owned(escaped) if error.use_stderr() => {
            std::io::Write::write_all(&mut std::io::stderr(), escaped.as_bytes())
        }
        std::borrow::Cow::Owned(_) => error.print(),
    };
}

/// Runs a command and turns its result into an exit code.
fn execute(
    global: GlobalArguments,
    environment: Environment,
    exit_code: fn(&CliError) -> u8,
    command: impl FnOnce(&Context) -> Result<(), CliError>,
) -> ExitCode {
    let printer = Printer::new(false, global.color.unwrap_or_default(), &environment);
    let context = match Context::new(global, environment) {
        Ok(context) => context,
        Err(error) => {
            printer.error(&error.render().unwrap_or_default());
            return ExitCode::from(exit_code(&error));
        }
    };
    match command(&context) {
        Ok(()) => {
            context.progress.finish();
            ExitCode::SUCCESS
        }
        Err(error) => {
            context.progress.fail(&error, &context.printer);
            ExitCode::from(exit_code(&error))
        }
    }
}
