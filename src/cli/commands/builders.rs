//! Owns `b2i builders`.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::builder::check::Finding;
use crate::builder::scaffold::DEFAULT_BASE;
use crate::cli::arguments::Format;
use crate::cli::arguments::builders::{BuildersArguments, BuildersCommand};
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::printable::printable;
use crate::cli::request;
use crate::cli::runtime::Runtime;
use crate::config::ConfigFile;
use crate::diagnostic::FailureKind;
use crate::image::ImageReference;
use crate::ops::{self, BaseCheck, BaseOutcome, BuilderDetails, BuilderSummary, CheckOptions, TakesSummary};
use crate::session::Session;

/// Lists, shows, checks or exports.
pub(in crate::cli) fn run(arguments: &BuildersArguments, context: &Context) -> Result<(), CliError> {
    let mut flags = ConfigFile::default();
    if let Some(BuildersCommand::Check { pull, .. }) = &arguments.command {
        request::configured_pull(pull.as_deref(), &mut flags)?;
    }
    let settings = context.settings(flags)?;
    let session = context.session(&settings)?;
    let mut runtime = Runtime::start()?;
    let default = BuildersCommand::List { format: Format::Text };
    match arguments.command.as_ref().unwrap_or(&default) {
        BuildersCommand::List { format } => {
            let builders = runtime.run(&session, ops::list_builders(&session))?;
            print(context, *format, &Listing { builders: &builders }, || list(&builders))
        }
        BuildersCommand::Show { name, format } => {
            let details = runtime.run(&session, ops::show_builder(name, &session))?;
            print(context, *format, &details, || show(&details))
        }
        BuildersCommand::Check { name, format, .. } => {
            let (pull, offline) = request::pulling(&settings)?;
            let options = CheckOptions { pull, offline };
            let bases = runtime.run(&session, ops::check_builder(name, options, &session))?;
            print(context, *format, &Checks { bases: &bases }, || check(&bases))?;
            verdict(name, &bases)
        }
        BuildersCommand::Create { name, directory, base } => {
            let files = create(name, base.as_ref(), directory, &session, &mut runtime)?;
            context.progress.finish();
            context.printer.data(&files)?;
            let directory = crate::image::shell_words::quote(&[directory.to_string_lossy()]);
            context.printer.note(&format!("Build and test it: make -C {} test", printable(&directory)));
            Ok(())
        }
        BuildersCommand::Export { name, directory } => {
            let files = runtime.run(&session, ops::export_builder(name, directory, &session))?;
            context.progress.finish();
            let paths =
                files.iter().map(|file| format!("{}\n", printable(&directory.join(file).to_string_lossy())));
            context.printer.data(&paths.collect::<String>())?;
            let directory = crate::image::shell_words::quote(&[directory.to_string_lossy()]);
            context
                .printer
                .note(&format!("Build it: docker build -t {} {directory}", name.replace(':', "-")));
            Ok(())
        }
    }
}

/// Makes the files of a new builder image and gives their names, one a line.
pub(in crate::cli) fn create(
    name: &str,
    base: Option<&ImageReference>,
    directory: &Path,
    session: &Session,
    runtime: &mut Runtime,
) -> Result<String, CliError> {
    let usual = || DEFAULT_BASE.parse().expect("the default base is an image's name");
    let base = base.cloned().unwrap_or_else(usual);
    let files = runtime.run(session, ops::create_builder(name, &base, directory, session))?;
    let line = |file: &String| format!("{}\n", printable(&directory.join(file).to_string_lossy()));
    Ok(files.iter().map(line).collect())
}

#[derive(Serialize)]
struct Listing<'a> {
    builders: &'a [BuilderSummary],
}

#[derive(Serialize)]
struct Checks<'a> {
    bases: &'a [BaseCheck],
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

/// Those for artifacts, then those for sources, each under a heading.
fn list(builders: &[BuilderSummary]) -> String {
    let group = |takes: TakesSummary, heading: &str| {
        let group: Vec<&BuilderSummary> = builders.iter().filter(|one| one.takes == takes).collect();
        (!group.is_empty()).then(|| format!("{heading}\n{}", columns(&group)))
    };
    let groups = [
        group(TakesSummary::Artifacts, "for artifacts:"),
        group(TakesSummary::Sources, "for sources, which it builds first:"),
    ];
    groups.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// Lines of three columns.
fn columns(builders: &[&BuilderSummary]) -> String {
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

fn check(bases: &[BaseCheck]) -> String {
    bases.iter().map(check_one).collect()
}

/// A line for each assumption, or one that says why there is none.
fn check_one(check: &BaseCheck) -> String {
    let base = printable(&check.base);
    let line = |finding: &Finding| {
        let (property, expected) = (finding.property, printable(&finding.expected));
        match finding.agrees {
            true => format!("ok       {base}: {property}: {expected}\n"),
            false => {
                format!("wrong    {base}: {property}: {expected}; found {}\n", printable(&finding.found))
            }
        }
    };
    match &check.outcome {
        BaseOutcome::Unavailable { reason } => format!("missing  {base}: {}\n", printable(reason)),
        BaseOutcome::Ok { findings } | BaseOutcome::Differs { findings } if findings.is_empty() => {
            format!("ok       {base}: nothing is assumed of it\n")
        }
        BaseOutcome::Ok { findings } | BaseOutcome::Differs { findings } => {
            findings.iter().map(line).collect()
        }
    }
}

/// The error of a check that found something wrong.
fn verdict(name: &str, bases: &[BaseCheck]) -> Result<(), CliError> {
    let number = |wanted: fn(&BaseOutcome) -> bool| bases.iter().filter(|one| wanted(&one.outcome)).count();
    let differ = number(|outcome| matches!(outcome, BaseOutcome::Differs { .. }));
    let missing = number(|outcome| matches!(outcome, BaseOutcome::Unavailable { .. }));
    let all = bases.len();
    let mut reasons = Vec::new();
    let mut hints = Vec::new();
    if differ > 0 {
        reasons.push(format!("{differ} of {all} differ"));
        hints.push("a base of your own belongs into a template of your own: `b2i builders export`");
    }
    if missing > 0 {
        reasons.push(format!("{missing} of {all} could not be had"));
        hints.push("a mirror of a base is set in the configuration, under `[bases]`");
    }
    if reasons.is_empty() {
        return Ok(());
    }
    let what = match differ {
        0 => format!("not every base of `{name}` could be checked"),
        _ => format!("the bases of `{name}` are not as assumed"),
    };
    let error = CliError::file(FailureKind::Builder, what, reasons.join(", "));
    Err(hints.into_iter().fold(error, CliError::with_hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(name: &str, versions: &[&str], description: &str) -> BuilderSummary {
        BuilderSummary {
            name: name.into(),
            versions: versions.iter().map(|version| (*version).to_owned()).collect(),
            takes: TakesSummary::Artifacts,
            description: description.into(),
            origin: "built in".into(),
        }
    }

    #[test]
    fn lists_in_columns() {
        let mut golang = summary("golang", &["1.25"], "Go modules");
        golang.takes = TakesSummary::Sources;
        let builders = [
            summary("binary", &["static"], "native executables"),
            golang,
            summary("java", &["21", "17"], ""),
        ];
        insta::assert_snapshot!(list(&builders), @r"
        for artifacts:
        binary  static  native executables
        java    21 17

        for sources, which it builds first:
        golang  1.25  Go modules
        ");
        insta::assert_snapshot!(list(&builders[..1]), @r"
        for artifacts:
        binary  static  native executables
        ");
    }

    #[test]
    fn every_base_is_reported_and_counted() {
        let finding = |property, found: &str, agrees| Finding {
            property,
            expected: "2.36".into(),
            found: found.into(),
            agrees,
        };
        let (held, wrong) = (finding("glibc", "2.36", true), finding("glibc", "2.31", false));
        let base = |base: &str, outcome| BaseCheck { base: base.into(), outcome };
        let bases = [
            base("debian:12", BaseOutcome::Ok { findings: vec![held.clone()] }),
            base(
                "debian:11",
                BaseOutcome::Unavailable { reason: "it could not be pulled: no network".into() },
            ),
            base("debian:10", BaseOutcome::Differs { findings: vec![held, wrong] }),
            base("own:1", BaseOutcome::Ok { findings: Vec::new() }),
        ];
        insta::assert_snapshot!(check(&bases), @r"
        ok       debian:12: glibc: 2.36
        missing  debian:11: it could not be pulled: no network
        ok       debian:10: glibc: 2.36
        wrong    debian:10: glibc: 2.36; found 2.31
        ok       own:1: nothing is assumed of it
        ");
        let error = verdict("binary", &bases).expect_err("two are not as assumed").render();
        let error = error.expect("there is a message");
        assert!(error.contains("1 of 4 differ, 1 of 4 could not be had"), "{error}");
        let error = verdict("binary", &bases[..2]).expect_err("one is missing").render();
        assert!(error.expect("there is a message").contains("1 of 2 could not be had"));
        assert!(verdict("binary", &bases[3..]).is_ok());
        assert_eq!(
            serde_json::to_value(&bases[1]).expect("written"),
            serde_json::json!({
                "base": "debian:11", "outcome": "unavailable", "reason": "it could not be pulled: no network"
            })
        );
    }
}
