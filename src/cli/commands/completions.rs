//! Owns `b2i completions`.

use crate::cli::arguments;
use crate::cli::failure::CliError;
use crate::cli::printer::Printer;

/// Prints the script for `shell`.
pub(in crate::cli) fn run(shell: clap_complete::Shell, printer: &Printer) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut arguments::command(), "b2i", &mut script);
    printer.data(&String::from_utf8_lossy(&script))
}
