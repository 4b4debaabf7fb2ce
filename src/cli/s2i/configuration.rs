//! Owns `.s2ifile`, in which `s2i build --use-config` stores the command line for the next call in the same directory.
//!
//! Must not interpret flags. Source: Source-to-Image v1.6.3, pkg/config: `{source, builderImage, tag, flags}`, variables as
//! `env-0`, `env-1` ….

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use clap::parser::ValueSource;
use serde::{Deserialize, Serialize};

use super::arguments;
use crate::cli::failure::CliError;
use crate::cli::input::read_text;
use crate::cli::output_file;

/// Names of the file. The first, newer one is written.
const NAMES: [&str; 2] = [".s2ifile", ".stifile"];

/// The content of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SavedArguments {
    pub(super) source: String,
    pub(super) builder_image: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) tag: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) flags: BTreeMap<String, String>,
}

impl SavedArguments {
    /// Reads the file of the working directory, if it exists.
    pub(super) fn read() -> Result<Option<Self>, CliError> {
        let Some(name) = NAMES.into_iter().find(|name| Path::new(name).exists()) else { return Ok(None) };
        let text = read_text(Path::new(name), "--use-config")?;
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| CliError::usage(format!("`{name}` is not an s2i configuration: {error}")))
    }

    pub(super) fn write(&self) -> Result<(), CliError> {
        let text = serde_json::to_string(self).expect("texts can be written");
        output_file::write(Path::new(NAMES[0]), format!("{text}\n").as_bytes())
    }

    /// The typed arguments.
    pub(super) fn of(matches: &clap::ArgMatches) -> Self {
        let text = |id: &str| matches.get_one::<String>(id).cloned().unwrap_or_default();
        let mut flags = BTreeMap::new();
        for (id, name) in typed_flags(matches) {
            let raw = matches.get_raw(id).into_iter().flatten();
            let values: Vec<String> = raw.map(|value| value.to_string_lossy().into_owned()).collect();
            match name.as_str() {
                "env" => {
                    let numbered =
                        values.into_iter().enumerate().map(|(at, value)| (format!("env-{at}"), value));
                    flags.extend(numbered);
                }
                _ if REPEATED.contains(&name.as_str()) => {
                    flags.insert(name, values.join(SEPARATOR));
                }
                _ => flags.extend(values.last().map(|value| (name, value.clone()))),
            }
        }
        Self { source: text("source"), builder_image: text("image"), tag: text("tag"), flags }
    }

    /// The saved flags that were not typed, as words.
    pub(super) fn words(&self, matches: &clap::ArgMatches) -> Vec<OsString> {
        let typed: Vec<String> = typed_flags(matches).map(|(_, name)| name).collect();
        let known = arguments::command();
        let build = known.find_subcommand("build").expect("the grammar has it");
        let is_flag = |name: &str| build.get_arguments().any(|argument| argument.get_long() == Some(name));
        let mut words = Vec::new();
        for (key, value) in &self.flags {
            let name = if key.starts_with("env-") { "env" } else { key.as_str() };
            if !is_flag(name) || typed.iter().any(|typed| typed == name) {
                continue;
            }
            let values: Vec<&str> = match REPEATED.contains(&name) && name != "env" {
                true => value.split(SEPARATOR).collect(),
                false => vec![value],
            };
            words.extend(values.iter().map(|value| OsString::from(format!("--{name}={value}"))));
        }
        words
    }
}

/// Flags that can be repeated.
const REPEATED: [&str; 6] = ["env", "inject", "volume", "cap-drop", "runtime-artifact", "add-host"];

/// Separates the values of a repeated flag.
const SEPARATOR: &str = ";";

/// The typed flags: their IDs and long names.
fn typed_flags(matches: &clap::ArgMatches) -> impl Iterator<Item = (&str, String)> {
    matches
        .ids()
        .map(clap::Id::as_str)
        .filter(|id| matches.value_source(id) == Some(ValueSource::CommandLine))
        .filter(|id| !["source", "image", "tag"].contains(id))
        // Groups are named after types and have no values.
        .filter(|id| id.starts_with(char::is_lowercase))
        .map(|id| (id, id.replace('_', "-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(words: &[&str]) -> clap::ArgMatches {
        let words = ["s2i", "build"].iter().chain(words).map(OsString::from);
        let (_, matches) = arguments::parse(words, "s2i").expect("valid");
        matches.subcommand_matches("build").expect("it is a build").clone()
    }

    #[test]
    fn saved_flags_come_back_unless_they_are_typed_again() {
        let typed = matches(&[
            "-e",
            "A=1",
            ".",
            "-e",
            "B=x;y",
            "builder",
            "--copy",
            "-v",
            "/a:/b",
            "--volume=/c:/d",
            "tag:1",
            "-n",
            "x y",
        ]);
        let saved = SavedArguments::of(&typed);
        assert_eq!(
            (saved.source.as_str(), saved.builder_image.as_str(), saved.tag.as_str()),
            (".", "builder", "tag:1")
        );
        let text = serde_json::to_string(&saved).expect("texts");
        assert!(
            text.contains(r#""builderImage":"builder""#) && text.contains(r#""env-1":"B=x;y""#),
            "{text}"
        );
        let again: SavedArguments = serde_json::from_str(&text).expect("its own text");
        let words: Vec<String> = again
            .words(&matches(&["--use-config", "-n", "other"]))
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        assert_eq!(words, ["--copy=true", "--env=A=1", "--env=B=x;y", "--volume=/a:/b", "--volume=/c:/d"]);
    }

    #[test]
    fn unknown_saved_flags_are_ignored() {
        let saved: SavedArguments =
            serde_json::from_str(r#"{"source":".","flags":{"context-dir":"a","other":"b"}}"#)
                .expect("as s2i writes it");
        assert_eq!(saved.words(&matches(&["--use-config"])), ["--context-dir=a"]);
    }
}
