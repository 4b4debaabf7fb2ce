//! Owns the list of commands. Each has a file with its arguments and its function.
//!
//! Must not know how an image is made: a command turns arguments into a request, and a result into text.

use std::ffi::OsString;

use clap::Subcommand;

use super::context::Context;
use super::failure::CliError;

pub(super) mod build;
pub(super) mod builders;
mod cache;
pub(super) mod completions;
mod config;
mod copy;
mod doctor;
mod inspect;
mod login;
mod man;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    Build(Box<build::BuildArguments>),
    Inspect(Box<inspect::InspectArguments>),
    Builders(builders::BuildersArguments),
    Copy(Box<copy::CopyArguments>),
    Login(login::LoginArguments),
    Logout(login::LogoutArguments),
    Doctor(doctor::DoctorArguments),
    Cache(cache::CacheArguments),
    Config(config::ConfigArguments),
    /// Build from sources with the command line of s2i
    ///
    /// Commands, flags and exit codes are those of Source-to-Image; `b2i s2i --help` lists them. The program behaves the
    /// same when it is started under the name s2i.
    #[command(disable_help_flag = true)]
    S2i {
        /// Pass this command and these flags of s2i
        #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
    Completions(completions::CompletionsArguments),
    Man(man::ManArguments),
}

pub(super) fn run(command: &Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Build(arguments) => build::run(arguments, context),
        Command::Inspect(arguments) => inspect::run(arguments, context),
        Command::Builders(arguments) => builders::run(arguments, context),
        Command::Copy(arguments) => copy::run(arguments, context),
        Command::Login(arguments) => login::run(arguments, context),
        Command::Logout(arguments) => login::log_out(arguments, context),
        Command::Doctor(arguments) => doctor::run(arguments, context),
        Command::Cache(arguments) => cache::run(arguments, context),
        Command::Config(arguments) => config::run(arguments, context),
        Command::S2i { .. } => unreachable!("it has a context and exit codes of its own"),
        Command::Completions(arguments) => completions::run(arguments, &context.printer),
        Command::Man(arguments) => man::run(arguments, &context.printer),
    }
}
