//! Owns `b2i doctor`: its arguments, and the text of its findings.
//!
//! Must not check anything.

use clap::Args;
use serde_json::json;

use super::login;
use crate::cli::arguments::Format;
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::printable::printable;
use crate::cli::runtime::Runtime;
use crate::config::ConfigFile;
use crate::ops::{self, Finding, Health};

/// Check this machine and explain how to fix problems
///
/// b2i checks the daemon, the sandbox, the cache, proxies and certificates, and whether each HOST accepts the stored
/// credentials. The exit code is 1 if there is a problem.
#[derive(Debug, Args)]
#[command(after_help = "Example: b2i doctor registry.example")]
pub(in crate::cli) struct DoctorArguments {
    /// Check these registries too, such as registry.example:5000
    #[arg(value_name = "HOST")]
    pub(in crate::cli) hosts: Vec<String>,
    /// Print the result as text or json [default: text]
    #[arg(long, value_enum, default_value_t, hide_default_value = true, hide_possible_values = true)]
    pub(in crate::cli) format: Format,
}

pub(in crate::cli) fn run(arguments: &DoctorArguments, context: &Context) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    let session = context.session(&settings)?;
    let hosts = arguments.hosts.iter().map(|host| login::registry(host)).collect::<Result<Vec<_>, _>>()?;
    let work = ops::doctor(&hosts, settings.network.offline.value, &session);
    let findings = Runtime::start()?.run(&session, work)?;
    context.progress.finish();
    let document = json!({ "findings": findings });
    context.printer.result(arguments.format, &document, || describe(&findings))?;
    let has_problem = findings.iter().any(|finding| finding.health == Health::Problem);
    if has_problem { Err(CliError::Program(1)) } else { Ok(()) }
}

fn describe(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.subject.len()).max().unwrap_or_default();
    let mut text = String::new();
    for finding in findings {
        let health = match finding.health {
            Health::Ok => "ok",
            Health::Note => "note",
            Health::Problem => "problem",
        };
        let (subject, message) = (printable(&finding.subject), printable(&finding.message));
        text.push_str(&format!("{health:<7}  {subject:<width$}  {message}\n"));
        for hint in &finding.hints {
            text.push_str(&format!("{:<7}  {:<width$}  hint: {}\n", "", "", printable(hint)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_stand_below_each_other() {
        let finding = |subject: &str, health, message: &str, hints: &[&str]| Finding {
            subject: subject.into(),
            health,
            message: message.into(),
            hints: hints.iter().map(|hint| (*hint).to_owned()).collect(),
        };
        let findings = [
            finding("daemon", Health::Note, "none", &["start one"]),
            finding("registry.example", Health::Problem, "no\u{1b}[2J", &[]),
        ];
        insta::assert_snapshot!(describe(&findings), @r"
        note     daemon            none
                                   hint: start one
        problem  registry.example  no\u{1b}[2J
        ");
    }
}
