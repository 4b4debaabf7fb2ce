//! Owns `b2i builders`.

use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::arguments::Format;
use crate::cli::arguments::builders::{BuildersArguments, BuildersCommand};
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::printable::printable;
use crate::cli::runtime::Runtime;
use crate::config::ConfigFile;
use crate::failure::FailureKind;
use crate::road::{self, BuilderCheck, BuilderDetails, BuilderSummary};

/// Lists, shows, checks or exports.
pub(in crate::cli) fn run(arguments: &BuildersArguments, context: &Context) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    let surroundings = context.surroundings(&settings)?;
    let mut runtime = Runtime::start()?;
    let default = BuildersCommand::List { format: Format::Text };
    match arguments.command.as_ref().unwrap_or(&default) {
        BuildersCommand::List { format } => {
            let builders = runtime.run(&surroundings, road::list_builders(&surroundings))?;
            print(context, *format, &Listing { builders: &builders }, || list(&builders))
        }
        BuildersCommand::Show { name, format } => {
            let details = runtime.run(&surroundings, road::show_builder(name, &surroundings))?;
            print(context, *format, &details, || show(&details))
        }
        BuildersCommand::Check { name, format } => {
            let checks = runtime.run(&surroundings, road::check_builder(name, &surroundings))?;
            print(context, *format, &Checks { checks: &checks }, || check(&checks))?;
            match checks.iter().filter(|check| check.found.is_some()).count() {
                0 => Ok(()),
                wrong => Err(CliError::file(
                    FailureKind::Builder,
                    format!("the bases of `{name}` are not as assumed"),
                    format!("{wrong} of {} assumptions do not hold", checks.len()),
                )
                .with_hint("a base of your own belongs into a template of your own: `b2i builders export`")),
            }
        }
        BuildersCommand::Export { name, directory } => {
            let files = runtime.run(&surroundings, road::export_builder(name, directory, &surroundings))?;
            context.progress.finish();
            let paths =
                files.iter().map(|file| format!("{}\n", printable(&directory.join(file).to_string_lossy())));
            context.printer.data(&paths.collect::<String>())?;
            let directory = crate::image::words::quote(&[directory.to_string_lossy()]);
            context
                .printer
                .note(&format!("Build it: docker build -t {} {directory}", name.replace(':', "-")));
            Ok(())
        }
    }
}

#[derive(Serialize)]
struct Listing<'a> {
    builders: &'a [BuilderSummary],
}

#[derive(Serialize)]
struct Checks<'a> {
    checks: &'a [BuilderCheck],
}

fn print(
    context: &Context,
    format: Format,
    document: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<(), CliError> {
    context.progress.finish();
    match format {
        Format::Json => context.printer.json(document),
        Format::Text => context.printer.data(&text()),
    }
}

/// Lines of three columns.
fn list(builders: &[BuilderSummary]) -> String {
    let rows: Vec<(String, String, &str)> = builders
        .iter()
        .map(|builder| {
            (
                printable(&builder.name).into_owned(),
                printable(&builder.versions.join(" ")).into_owned(),
                builder.description.as_str(),
            )
        })
        .collect();
    let name_width = rows.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or_default();
    let versions_width =
        rows.iter().map(|(_, versions, _)| versions.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for (name, versions, description) in rows {
        let description = printable(description);
        let line = format!("{name:<name_width$}  {versions:<versions_width$}  {description}");
        writeln!(text, "{}", line.trim_end()).expect("writing to a String");
    }
    text
}

fn show(details: &BuilderDetails) -> String {
    let summary = &details.summary;
    let mut rows = vec![
        ("name", summary.name.clone()),
        ("versions", summary.versions.join(", ")),
        ("for", summary.description.clone()),
        ("from", summary.origin.clone()),
    ];
    rows.extend(details.details.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let line =
        |(name, value): (&str, String)| format!("{:<width$}  {}\n", printable(name), printable(&value));
    rows.into_iter().map(line).collect()
}

fn check(checks: &[BuilderCheck]) -> String {
    let line = |check: &BuilderCheck| {
        let (base, assumption) = (printable(&check.base), printable(&check.assumption));
        match &check.found {
            None => format!("ok     {base}: {assumption}\n"),
            Some(found) => format!("wrong  {base}: {assumption}; found {}\n", printable(found)),
        }
    };
    checks.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(name: &str, versions: &[&str], description: &str) -> BuilderSummary {
        BuilderSummary {
            name: name.into(),
            versions: versions.iter().map(|version| (*version).to_owned()).collect(),
            description: description.into(),
            origin: "built in".into(),
        }
    }

    #[test]
    fn lists_in_columns() {
        let builders =
            [summary("binary", &["static"], "native executables"), summary("java", &["21", "17"], "")];
        insta::assert_snapshot!(list(&builders), @r"
        binary  static  native executables
        java    21 17
        ");
    }

    #[test]
    fn names_what_does_not_hold() {
        let held = BuilderCheck { base: "debian:12".into(), assumption: "has /bin/sh".into(), found: None };
        let wrong = BuilderCheck {
            found: Some("glibc 2.31".into()),
            assumption: "glibc 2.36".into(),
            ..held.clone()
        };
        insta::assert_snapshot!(check(&[held, wrong]), @r"
        ok     debian:12: has /bin/sh
        wrong  debian:12: glibc 2.36; found glibc 2.31
        ");
    }
}
