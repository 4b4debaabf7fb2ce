//! Owns `b2i man`: one page with every command, the page of one command, or a file per command.
//!
//! Must not repeat the help: the grammar has the texts.

use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;

use crate::cli::arguments;
use crate::cli::failure::CliError;
use crate::cli::output_file;
use crate::cli::printable::printable;
use crate::cli::printer::Printer;
use crate::diagnostic::FailureKind;

/// Print a manual page, or write all of them to a directory
///
/// To read it: b2i man build | man -l -
#[derive(Debug, Args)]
pub(in crate::cli) struct ManArguments {
    /// Print the page of this command [default: one page with all commands]
    #[arg(value_name = "COMMAND", conflicts_with = "directory")]
    command: Vec<String>,
    /// Write the pages of all commands to DIR: b2i.1, b2i-build.1, …
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// The name of the program. Its page has the global options.
const PROGRAM: &str = "b2i";

pub(in crate::cli) fn run(arguments: &ManArguments, printer: &Printer) -> Result<(), CliError> {
    let mut root = arguments::command();
    root.build();
    if let Some(directory) = &arguments.directory {
        let failed = |error| {
            let message = format!("cannot create directory `{}`", directory.display());
            CliError::file(FailureKind::Image, message, error)
        };
        std::fs::create_dir_all(directory).map_err(failed)?;
        let mut paths = String::new();
        write_pages(&root, directory, &mut paths)?;
        return printer.data(&paths);
    }
    let page = match find(&root, &arguments.command)? {
        None => whole_page(&root),
        Some(command) => command_page(command),
    };
    printer.data(&String::from_utf8_lossy(&page.map_err(unwritable)?))
}

fn unwritable(error: std::io::Error) -> CliError {
    CliError::file(FailureKind::Unexpected, "cannot write the manual page", error)
}

/// The command at the path `names`; `None` for the program itself.
fn find<'a>(root: &'a Command, names: &[String]) -> Result<Option<&'a Command>, CliError> {
    let mut command = None;
    for name in names {
        let next = command.unwrap_or(root).find_subcommand(name);
        command = Some(next.ok_or_else(|| {
            CliError::usage(format!("unknown command `b2i {}`", names.join(" ")))
                .with_hint("list the commands with `b2i --help`")
        })?);
    }
    Ok(command)
}

fn write_pages(command: &Command, directory: &Path, paths: &mut String) -> Result<(), CliError> {
    let path = directory.join(Man::new(command.clone()).get_filename());
    output_file::write(&path, &command_page(command).map_err(unwritable)?)?;
    paths.push_str(&format!("{}\n", printable(&path.to_string_lossy())));
    command.get_subcommands().try_for_each(|inner| write_pages(inner, directory, paths))
}

/// The page of one command, with references to the pages of its subcommands.
fn command_page(command: &Command) -> std::io::Result<Vec<u8>> {
    let (man, mut page) = begin(command)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let is_program = command.get_name() == PROGRAM;
    if command.get_after_help().is_some() {
        page.extend(text_section(&man, if is_program { ".SH NOTES" } else { ".SH EXAMPLES" })?);
    }
    if !is_program {
        page.extend_from_slice(
            b".SH SEE ALSO\nb2i(1) has the global options, the variables and the exit codes\n",
        );
    }
    Ok(page)
}

/// One page with the sections of every command.
fn whole_page(root: &Command) -> std::io::Result<Vec<u8>> {
    let (man, mut page) = begin(root)?;
    for command in root.get_subcommands() {
        command_sections(command, &mut page)?;
    }
    page.extend(text_section(&man, ".SH NOTES")?);
    Ok(page)
}

/// A page from its title to the options.
fn begin(command: &Command) -> std::io::Result<(Man, Vec<u8>)> {
    let man = Man::new(without_global_options(command)).section("1").manual("b2i manual");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    Ok((man, page))
}

/// The text below the help, with its line breaks.
fn text_section(man: &Man, heading: &str) -> std::io::Result<Vec<u8>> {
    let mut section = Vec::new();
    man.render_extra_section(&mut section)?;
    let text = String::from_utf8_lossy(&section).replace(".SH EXTRA\n", &format!("{heading}\n.nf\n"));
    Ok(format!("{text}.fi\n").into_bytes())
}

/// A section for a command and each of its subcommands.
fn command_sections(command: &Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    page.extend_from_slice(format!(".SH \"{}\"\n", name.to_uppercase()).as_bytes());
    let man = Man::new(without_global_options(command));
    let mut section = Vec::new();
    man.render_synopsis_section(&mut section)?;
    man.render_description_section(&mut section)?;
    man.render_options_section(&mut section)?;
    if command.get_after_help().is_some() {
        section.extend(text_section(&man, ".SH EXAMPLES")?);
    }
    let text = String::from_utf8_lossy(&section).replace("\n.SH ", "\n.SS ");
    let text = text.strip_prefix(".SH ").map(|rest| format!(".SS {rest}")).unwrap_or(text);
    page.extend_from_slice(text.as_bytes());
    command.get_subcommands().try_for_each(|inner| command_sections(inner, page))
}

/// Hides the global options, except in the page of the program.
fn without_global_options(command: &Command) -> Command {
    let is_program = command.get_name() == PROGRAM;
    command.clone().mut_args(|argument| {
        let is_hidden = !is_program && argument.is_global_set();
        argument.hide(is_hidden)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut root = arguments::command();
        root.build();
        let mut paths = String::new();
        write_pages(&root, directory.path(), &mut paths).expect("the pages can be written");
        for name in ["b2i", "b2i-build", "b2i-builders-list", "b2i-cache-prune", "b2i-man", "b2i-s2i"] {
            let page = std::fs::read_to_string(directory.path().join(format!("{name}.1"))).expect(name);
            assert!(page.contains(&format!(".TH {name} 1 ")), "{name}: {page}");
        }
        assert_eq!(paths.lines().count(), directory.path().read_dir().expect("it is there").count());
        let page = std::fs::read_to_string(directory.path().join("b2i-build.1")).expect("it is there");
        assert!(page.contains("\\-\\-builder") && !page.contains("\\-\\-docker\\-host"), "{page}");
    }

    #[test]
    fn commands_are_found_by_their_names() {
        let mut root = arguments::command();
        root.build();
        let names = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert!(find(&root, &[]).expect("the program").is_none());
        let prune = find(&root, &names("cache prune")).expect("there").expect("a command");
        assert_eq!(prune.get_name(), "prune");
        assert_eq!(find(&root, &names("cache nonsense")).expect_err("unknown").exit_code(), 2);
    }
}
