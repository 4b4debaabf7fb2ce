//! Owns `b2i config`: its arguments, and the text of the settings.
//!
//! Must not know single keys, except the sections with free names.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::Value;

use crate::cli::arguments::Format;
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::printable::printable;
use crate::config::{ConfigFile, Origin, Settings};

/// Show the configuration
#[derive(Debug, Args)]
pub(in crate::cli) struct ConfigArguments {
    #[command(subcommand)]
    pub(in crate::cli) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ConfigCommand {
    /// Print every value and its origin; passwords are masked
    Show {
        /// Print the result as text or json [default: text]
        #[arg(long, value_enum, default_value_t, hide_default_value = true, hide_possible_values = true)]
        format: Format,
    },
}

pub(in crate::cli) fn run(arguments: &ConfigArguments, context: &Context) -> Result<(), CliError> {
    let ConfigCommand::Show { format } = &arguments.command;
    let settings = context.settings(ConfigFile::default())?;
    context.printer.result(*format, &settings, || text(&settings))
}

/// Renders the settings as an equivalent configuration file; each line has its origin.
fn text(settings: &Settings) -> String {
    let json = serde_json::to_value(settings).expect("settings are plain data with text keys");
    let mut lines = Vec::new();
    for (section, values) in json.as_object().into_iter().flatten() {
        collect(section, values, &mut lines);
    }
    // Longer lines do not shift the column of origins.
    const WIDEST: usize = 60;
    let widths = lines.iter().filter(|(_, comment)| comment.is_some()).map(|(line, _)| line.chars().count());
    let column = widths.filter(|width| *width <= WIDEST).max().unwrap_or_default();
    let mut text = String::new();
    for (line, comment) in lines {
        let written = match comment {
            Some(comment) => writeln!(text, "{line:<column$}  # {comment}"),
            None => writeln!(text, "{line}"),
        };
        written.expect("writing to a String");
    }
    text
}

/// Adds the lines of one section, then its subsections.
fn collect(section: &str, values: &Value, lines: &mut Vec<(String, Option<String>)>) {
    if !lines.is_empty() {
        lines.push((String::new(), None));
    }
    lines.push((format!("[{section}]"), None));
    if values.as_object().is_some_and(serde_json::Map::is_empty) {
        let example = match section {
            "registries" => "# [registries.\"HOST[:PORT]\"]",
            _ => "# \"docker.io/library/NAME:TAG\" =",
        };
        lines.push((example.into(), Some("not set".into())));
    }
    let mut below = Vec::new();
    for (name, value) in values.as_object().into_iter().flatten() {
        let key = key(name);
        match value {
            Value::Object(map) if map.contains_key("origin") => lines.push(line(&key, value)),
            // The proxies are a section; labels, variables and base images have a value each.
            Value::Object(_) if name == "proxies" || section == "registries" => below.push((key, value)),
            Value::Object(map) if !map.is_empty() => {
                lines.extend(
                    map.iter().map(|(entry, value)| line(&format!("{key}.{}", self::key(entry)), value)),
                );
            }
            Value::Array(directories) if !directories.is_empty() => {
                lines.push((format!("{key} = ["), None));
                for directory in directories {
                    let path = toml_value(&directory["value"]["path"]);
                    lines.push((format!("  {path},"), Some(origin(directory))));
                }
                lines.push(("]".into(), None));
            }
            _ => lines.push((format!("# {key} ="), Some("not set".into()))),
        }
    }
    for (name, value) in below {
        collect(&format!("{section}.{name}"), value, lines);
    }
}

fn line(key: &str, setting: &Value) -> (String, Option<String>) {
    (format!("{key} = {}", toml_value(&setting["value"])), Some(origin(setting)))
}

fn origin(setting: &Value) -> String {
    let origin = Origin::deserialize(&setting["origin"]).expect("every setting has an origin");
    printable(&origin.to_string()).into_owned()
}

/// A key in TOML, quoted if needed.
fn key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_bare) { name.to_owned() } else { toml_text(name) }
}

fn toml_value(value: &Value) -> String {
    match value {
        Value::String(text) => toml_text(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml_value).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

/// A TOML basic string; JSON's escapes are among TOML's.
fn toml_text(text: &str) -> String {
    crate::cli::printable::printable_json(&Value::from(text).to_string())
}
