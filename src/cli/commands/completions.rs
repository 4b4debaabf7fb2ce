//! Owns `b2i completions`: the grammar with the values that a shell offers.
//!
//! Must not add the values to the grammar of the program, which would start more slowly.

use clap::builder::PossibleValuesParser;
use clap::{Arg, Args, Command, ValueHint};
use clap_complete::Shell;

use crate::builder::built_in;
use crate::cli::arguments;
use crate::cli::failure::CliError;
use crate::cli::printer::Printer;

/// Print a completion script for a shell
///
/// For bash: b2i completions bash > ~/.local/share/bash-completion/completions/b2i
#[derive(Debug, Args)]
pub(in crate::cli) struct CompletionsArguments {
    /// Print the script for this shell
    shell: Shell,
}

pub(in crate::cli) fn run(arguments: &CompletionsArguments, printer: &Printer) -> Result<(), CliError> {
    printer.data(&script(arguments.shell, arguments::command(), "b2i")?)
}

/// The script that completes `grammar` under `name`.
pub(in crate::cli) fn script(shell: Shell, grammar: Command, name: &str) -> Result<String, CliError> {
    let mut builders = Vec::new();
    for template in built_in::templates()? {
        let name = template.name();
        let versions = template.metadata.versions.iter().map(|version| format!("{name}:{}", version.version));
        builders.extend([name.to_owned()].into_iter().chain(versions));
    }
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut with_values(grammar, &builders), name, &mut script);
    Ok(String::from_utf8_lossy(&script).into_owned())
}

fn with_values(command: Command, builders: &[String]) -> Command {
    command
        .mut_args(|argument| with_argument_values(argument, builders))
        .mut_subcommands(|command| with_values(command, builders))
}

/// Selects the values by the placeholder in the help.
fn with_argument_values(argument: Arg, builders: &[String]) -> Arg {
    const PLATFORMS: &[&str] =
        &["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/ppc64le", "linux/riscv64", "linux/s390x"];
    const OUTPUTS: &[&str] = &["docker", "registry", "oci:", "oci-archive:", "docker-archive:"];
    const LOCATIONS: &[&str] = &["docker-daemon:", "oci:", "oci-archive:", "docker-archive:"];
    const COMPRESSIONS: &[&str] = &["auto", "gzip", "zstd", "none"];
    let placeholder = argument.get_value_names().and_then(|names| names.first()).map(|name| name.as_str());
    let values = match placeholder.unwrap_or_default() {
        "NAME|IMAGE" | "NAME[:VERSION]" => {
            return argument.value_parser(PossibleValuesParser::new(builders));
        }
        "OS/ARCH" => PLATFORMS,
        "WHERE" => OUTPUTS,
        "SRC" | "DST" => LOCATIONS,
        "METHOD[:LEVEL]" => COMPRESSIONS,
        "DIR" => return argument.value_hint(ValueHint::DirPath),
        _ => return argument,
    };
    argument.value_parser(PossibleValuesParser::new(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_offers_values() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell, arguments::command(), "b2i").expect("the templates are valid");
            // zsh separates a value from its description by a colon.
            let script = script.replace("\\:", ":");
            for value in [
                "java:21",
                "tomcat",
                "golang",
                "linux/arm64",
                "oci-archive:",
                "registry",
                "zstd",
                "never",
                "sandbox",
                "json",
            ] {
                assert!(script.contains(value), "{shell}: {value}");
            }
            // clap_complete offers no values of positional arguments in fish.
            assert!(shell == Shell::Fish || script.contains("docker-daemon:"), "{shell}");
        }
    }
}
