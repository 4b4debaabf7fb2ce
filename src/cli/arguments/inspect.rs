//! Owns the grammar of `b2i inspect`.

use std::path::PathBuf;

use clap::Args;

use super::Format;
use super::input::InputArguments;

/// Say what an artifact is and what it needs
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct InspectArguments {
    /// JAR, WAR, executable, or an archive that holds one: a file, an http(s) URL, or - for standard input
    #[arg(value_name = "ARTIFACT")]
    pub(in crate::cli) artifact: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) input: InputArguments,
    /// Print as text or JSON
    #[arg(long, value_enum, default_value_t, hide_default_value = true, help_heading = "Output options")]
    pub(in crate::cli) format: Format,
}

const EXAMPLES: &str = "\
Examples:
  b2i inspect target/app.jar
  b2i inspect https://host.example/tool-1.2.tar.gz --format json";
