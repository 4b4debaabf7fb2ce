//! Owns the two streams: data goes to the standard output, everything else to the standard error.
//!
//! Must be the only writer to them, except for the live display.

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use schemars::JsonSchema;
use serde::Serialize;

use super::arguments::{ColorWhen, Format};
use super::environment::Environment;
use super::failure::CliError;
use super::printable::printable_json;
use crate::pipeline;

/// Writes to the two streams.
#[derive(Clone, Debug)]
pub(super) struct Printer {
    is_quiet: bool,
    error_color: ColorChoice,
}

impl Printer {
    /// Decides whether the standard error has colors.
    pub(super) fn new(is_quiet: bool, color: ColorWhen, environment: &Environment) -> Self {
        let color = match color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            // The rules of no-color.org and bixense.com/clicolors.
            ColorWhen::Auto if environment.is_set("NO_COLOR") => false,
            ColorWhen::Auto if environment.text("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
            ColorWhen::Auto => io::stderr().is_terminal() && !environment.is_dumb_terminal(),
        };
        Self { is_quiet, error_color: if color { ColorChoice::Always } else { ColorChoice::Never } }
    }

    /// Whether only results and errors are printed.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// Whether the standard error has colors.
    pub(super) fn has_color(&self) -> bool {
        self.error_color == ColorChoice::Always
    }

    /// The standard error, without styles if there are no colors. Ignore write errors: a closed reader must not stop a
    /// build.
    pub(super) fn error_stream(&self) -> AutoStream<io::Stderr> {
        AutoStream::new(io::stderr(), self.error_color)
    }

    /// Writes a text to the standard output and ends its last line.
    pub(super) fn data(&self, text: &str) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| match text.ends_with('\n') {
            true => Ok(()),
            false => stdout.write_all(b"\n"),
        });
        written.and_then(|()| stdout.flush()).map_err(CliError::of_output)
    }

    /// Writes a JSON document to the standard output.
    pub(super) fn json(&self, document: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(document).expect("a value can be written");
        self.data(&printable_json(&text))
    }

    /// Writes a result to the standard output in the format of `--format`.
    pub(super) fn result(
        &self,
        format: Format,
        document: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), CliError> {
        match format {
            Format::Json => self.json(&versioned(pipeline::SCHEMA_VERSION, document)),
            Format::Text => self.data(&text()),
        }
    }

    /// Writes lines to the standard error, unless `--quiet` is set.
    pub(super) fn note(&self, text: &str) {
        if !self.is_quiet {
            self.error(text);
        }
    }

    /// Writes a prompt to the standard error, without a line end.
    pub(super) fn prompt(&self, text: &str) {
        let mut stream = self.error_stream();
        let _ = write!(stream, "{text}");
        let _ = stream.flush();
    }

    /// Writes lines to the standard error.
    pub(super) fn error(&self, text: &str) {
        let mut stream = self.error_stream();
        let _ = writeln!(stream, "{}", text.trim_end_matches('\n'));
    }
}

/// A document, as the program prints it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "{D}")]
pub(crate) struct Versioned<'a, D> {
    /// The version of this form.
    schema_version: u32,
    #[serde(flatten)]
    document: &'a D,
}

/// Adds `schemaVersion` before the fields of a document.
pub(super) fn versioned(schema_version: u32, document: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(Versioned { schema_version, document })
        .expect("results are plain data with text keys")
}
