//! Owns `b2i man`: one page with every command on it.

use clap_mangen::Man;

use crate::cli::arguments;
use crate::cli::failure::CliError;
use crate::cli::printer::Printer;
use crate::diagnostic::FailureKind;

/// Prints the page.
pub(in crate::cli) fn run(printer: &Printer) -> Result<(), CliError> {
    let failed = |error| CliError::file(FailureKind::Unexpected, "cannot write the manual page", error);
    let page = page().map_err(failed)?;
    printer.data(&String::from_utf8_lossy(&page))
}

fn page() -> std::io::Result<Vec<u8>> {
    let mut root = arguments::command();
    root.build();
    let mut page = Vec::new();
    let man = Man::new(root.clone()).section("1").manual("b2i manual");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    for command in root.get_subcommands() {
        command_sections(command, &mut page)?;
    }
    page.extend(text_section(&man, ".SH NOTES")?);
    Ok(page)
}

/// The text that follows the help, line by line as it is written there.
fn text_section(man: &Man, heading: &str) -> std::io::Result<Vec<u8>> {
    let mut section = Vec::new();
    man.render_extra_section(&mut section)?;
    let text = String::from_utf8_lossy(&section).replace(".SH EXTRA\n", &format!("{heading}\n.nf\n"));
    Ok(format!("{text}.fi\n").into_bytes())
}

/// A section for a command and for each of its own, their sections becoming subsections.
fn command_sections(command: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    page.extend_from_slice(format!(".SH \"{}\"\n", name.to_uppercase()).as_bytes());
    let man = Man::new(command.clone());
    let mut section = Vec::new();
    man.render_synopsis_section(&mut section)?;
    man.render_description_section(&mut section)?;
    // The global options stand at the top once.
    let own = command.clone().mut_args(|argument| {
        let is_global = argument.is_global_set();
        argument.hide(is_global)
    });
    if own.get_arguments().any(|argument| !argument.is_hide_set()) {
        Man::new(own).render_options_section(&mut section)?;
    }
    if command.get_after_help().is_some() {
        section.extend(text_section(&man, ".SH EXAMPLES")?);
    }
    let text = String::from_utf8_lossy(&section).replace("\n.SH ", "\n.SS ");
    let text = text.strip_prefix(".SH ").map(|rest| format!(".SS {rest}")).unwrap_or(text);
    page.extend_from_slice(text.as_bytes());
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        command_sections(inner, page)?;
    }
    Ok(())
}
