//! Owns `b2i builders`: its arguments, and the output of its results.
//!
//! Must not read templates.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::builder::check::Finding;
use crate::builder::scaffold::DEFAULT_BASE;
use crate::cli::arguments::{Format, one_of};
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::printable::{paths, printable, printable_lines};
use crate::cli::runtime::Runtime;
use crate::config::{ConfigFile, Settings, unplaced};
use crate::diagnostic::FailureKind;
use crate::image::PullPolicy;
use crate::image::{ImageReference, shell_words};
use crate::ops::{self, BaseCheck, BaseOutcome, BuilderDetails, BuilderSummary, TakesSummary};
use crate::session::Session;

/// List, show, check, create and export builders
#[derive(Debug, Args)]
pub(in crate::cli) struct BuildersArguments {
    #[command(subcommand)]
    pub(in crate::cli) command: Option<BuildersCommand>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum BuildersCommand {
    /// List available builders
    List {
        /// Print the result as text or json [default: text]
        #[arg(long, value_enum, default_value_t, hide_default_value = true, hide_possible_values = true)]
        format: Format,
    },
    /// Show the purpose, the versions and the base images of a builder
    Show {
        /// Show this builder, in every version or in one
        #[arg(value_name = "NAME[:VERSION]")]
        name: String,
        /// Print the result as text or json [default: text]
        #[arg(long, value_enum, default_value_t, hide_default_value = true, hide_possible_values = true)]
        format: Format,
    },
    /// Compare a builder's base images with what b2i assumes of them
    Check {
        /// Check this builder, in every version or in one
        #[arg(value_name = "NAME[:VERSION]")]
        name: String,
        /// Pull images: always, missing or never [default: missing] [env: B2I_PULL]
        #[arg(long, value_name = "WHEN", value_parser = one_of(PullPolicy::TEXTS), hide_possible_values = true)]
        pull: Option<PullPolicy>,
        /// Print the result as text or json [default: text]
        #[arg(long, value_enum, default_value_t, hide_default_value = true, hide_possible_values = true)]
        format: Format,
    },
    /// Create the files of a new builder image: Dockerfile, scripts and test
    Create {
        /// Name the builder image
        #[arg(value_name = "NAME")]
        name: String,
        /// Write to this directory; create it if missing, never overwrite a file
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Use this base image [default: debian:12-slim]
        #[arg(long, value_name = "IMAGE")]
        base: Option<ImageReference>,
    },
    /// Write the Dockerfile and the scripts of a builder to a directory
    Export {
        /// Export this builder
        #[arg(value_name = "NAME[:VERSION]")]
        name: String,
        /// Write to this directory; create it if missing
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

pub(in crate::cli) fn run(arguments: &BuildersArguments, context: &Context) -> Result<(), CliError> {
    let mut flags = ConfigFile::default();
    if let Some(BuildersCommand::Check { pull, .. }) = &arguments.command {
        flags.build.pull = pull.map(unplaced);
    }
    let settings = context.settings(flags)?;
    let session = context.session(&settings)?;
    let mut runtime = Runtime::start()?;
    let default = BuildersCommand::List { format: Format::Text };
    match arguments.command.as_ref().unwrap_or(&default) {
        BuildersCommand::List { format } => {
            let builders = runtime.run(&session, ops::list_builders(&session))?;
            context.progress.finish();
            context.printer.result(*format, &json!({ "builders": builders }), || list(&builders))
        }
        BuildersCommand::Show { name, format } => {
            let details = runtime.run(&session, ops::show_builder(name, &session))?;
            context.progress.finish();
            context.printer.result(*format, &details, || show(&details))
        }
        BuildersCommand::Check { name, format, .. } => {
            let (pull, offline) = pulling(&settings)?;
            let bases = runtime.run(&session, ops::check_builder(name, pull, offline, &session))?;
            context.progress.finish();
            context.printer.result(*format, &json!({ "bases": bases }), || check(&bases))?;
            verdict(name, &bases)
        }
        BuildersCommand::Create { name, directory, base } => {
            let files = create(name, base.as_ref(), directory, &session, &mut runtime)?;
            context.progress.finish();
            context.printer.data(&files)?;
            context.printer.note(&format!("Build and test it: make -C {} test", quoted(directory)));
            Ok(())
        }
        BuildersCommand::Export { name, directory } => {
            let files = runtime.run(&session, ops::export_builder(name, directory, &session))?;
            context.progress.finish();
            context.printer.data(&paths(directory, &files))?;
            let (tag, directory) = (name.replace(':', "-"), quoted(directory));
            context.printer.note(&format!("Build it: docker build -t {tag} {directory}"));
            Ok(())
        }
    }
}

/// The pull policy, and whether `--offline` is set.
fn pulling(settings: &Settings) -> Result<(PullPolicy, bool), CliError> {
    let (pull, offline) = (&settings.build.pull, &settings.network.offline);
    match offline.value && pull.value == PullPolicy::Always {
        true => Err(CliError::usage(format!(
            "pulling is set to always by {}, and offline by {}",
            pull.origin, offline.origin
        ))
        .with_hint("pass `--pull missing`, or remove `--offline`")),
        false => Ok((pull.value, offline.value)),
    }
}

/// A directory as an argument in a shell.
fn quoted(directory: &Path) -> String {
    printable(&shell_words::quote(&[directory.to_string_lossy()])).into_owned()
}

/// Creates the files of a new builder image and returns their paths, one per line.
pub(in crate::cli) fn create(
    name: &str,
    base: Option<&ImageReference>,
    directory: &Path,
    session: &Session,
    runtime: &mut Runtime,
) -> Result<String, CliError> {
    let default = || DEFAULT_BASE.parse().expect("the default base is an image reference");
    let base = base.cloned().unwrap_or_else(default);
    let files = runtime.run(session, ops::create_builder(name, &base, directory, session))?;
    Ok(paths(directory, &files))
}

/// Builders for artifacts, then builders for sources, each group under a heading.
fn list(builders: &[BuilderSummary]) -> String {
    let group = |takes: TakesSummary, heading: &str| {
        let group: Vec<&BuilderSummary> = builders.iter().filter(|one| one.takes == takes).collect();
        (!group.is_empty()).then(|| format!("{heading}\n{}", columns(&group)))
    };
    let groups = [
        group(TakesSummary::Artifacts, "for artifacts:"),
        group(TakesSummary::Sources, "for sources (built first):"),
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
    let indent = format!("\n{:width$}  ", "");
    let line = |(name, value): (&str, String)| {
        let value = printable_lines(value.trim_end()).replace('\n', &indent);
        format!("{:<width$}  {value}\n", printable(name))
    };
    rows.into_iter().map(line).collect()
}

fn check(bases: &[BaseCheck]) -> String {
    bases.iter().map(check_one).collect()
}

/// One line per assumption, or one line for a base without any.
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
            format!("ok       {base}: no assumptions\n")
        }
        BaseOutcome::Ok { findings } | BaseOutcome::Differs { findings } => {
            findings.iter().map(line).collect()
        }
    }
}

/// The error of a failed check.
fn verdict(name: &str, bases: &[BaseCheck]) -> Result<(), CliError> {
    let number = |is: fn(&BaseOutcome) -> bool| bases.iter().filter(|base| is(&base.outcome)).count();
    let differ = number(|outcome| matches!(outcome, BaseOutcome::Differs { .. }));
    let missing = number(|outcome| matches!(outcome, BaseOutcome::Unavailable { .. }));
    let all = bases.len();
    let mut reasons = Vec::new();
    let mut hints = Vec::new();
    if differ > 0 {
        reasons.push(format!("{differ} of {all} differ"));
        hints.push("to use your own base, export the builder and edit it: `b2i builders export NAME DIR`");
    }
    if missing > 0 {
        reasons.push(format!("{missing} of {all} are not available"));
        hints.push("to use a mirror, set it under `[bases]` in the configuration");
    }
    if reasons.is_empty() {
        return Ok(());
    }
    let what = match differ {
        0 => format!("not every base of `{name}` could be checked"),
        _ => format!("the bases of `{name}` differ from what b2i assumes"),
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

        for sources (built first):
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
        ok       own:1: no assumptions
        ");
        let error = verdict("binary", &bases).expect_err("two differ").render();
        let error = error.expect("there is a message");
        assert!(error.contains("1 of 4 differ, 1 of 4 are not available"), "{error}");
        let error = verdict("binary", &bases[..2]).expect_err("one is missing").render();
        assert!(error.expect("there is a message").contains("1 of 2 are not available"));
        assert!(verdict("binary", &bases[3..]).is_ok());
        assert_eq!(
            serde_json::to_value(&bases[1]).expect("written"),
            serde_json::json!({
                "base": "debian:11", "outcome": "unavailable", "reason": "it could not be pulled: no network"
            })
        );
    }
}
