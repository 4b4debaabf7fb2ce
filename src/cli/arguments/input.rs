//! Owns the input options, which `build` and `inspect` share.
//!
//! Must not act on them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::values::ByteSize;
use crate::image::Digest;
use crate::input::TreatAs;

/// The options of the input.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input options")]
pub(in crate::cli) struct InputArguments {
    /// Add a file or directory beside the artifact, or at DEST [repeatable]
    ///
    /// DEST is relative to the artifact's directory, or absolute. The last colon separates; a SRC with a colon in its name
    /// needs a colon at its end.
    #[arg(long, value_name = "SRC[:DEST]")]
    pub(in crate::cli) add: Vec<PathBuf>,
    /// Use this member of an archive
    #[arg(long, value_name = "MEMBER")]
    pub(in crate::cli) path: Option<String>,
    /// Keep all files of the archive, with their paths
    #[arg(long)]
    pub(in crate::cli) keep_tree: bool,
    /// Treat an archive or directory as artifact or as source [default: detect]
    #[arg(long = "as", value_enum, value_name = "KIND", hide_possible_values = true)]
    pub(in crate::cli) treat_as: Option<TreatAsChoice>,
    /// Require this SHA-256 digest of the artifact
    #[arg(long, value_name = "DIGEST")]
    pub(in crate::cli) sha256: Option<Digest>,
    /// Require the digest that this checksum file has for the artifact
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) sha256_file: Option<PathBuf>,
    /// Fail if a download or an unpacked archive is larger [default: 4GiB] [env: B2I_MAX_SIZE]
    #[arg(long, value_name = "SIZE")]
    pub(in crate::cli) max_size: Option<ByteSize>,
    /// Send the variable VAR as a header to the artifact's host [repeatable]
    #[arg(long, value_name = "HEADER=VAR")]
    pub(in crate::cli) header_env: Vec<String>,
    /// Send the headers in FILE, one `Name: value` per line, to that host
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) header_file: Option<PathBuf>,
    /// Send the variable VAR as bearer token to the artifact's host
    #[arg(long, value_name = "VAR")]
    pub(in crate::cli) bearer_env: Option<String>,
    /// Read passwords from this file [default: $NETRC, then ~/.netrc]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) netrc_file: Option<PathBuf>,
    /// Also trust the CA certificates (PEM) in this file [repeatable]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) ca_file: Vec<PathBuf>,
    /// Set the main class of a JAR whose manifest has none
    #[arg(long, value_name = "CLASS")]
    pub(in crate::cli) main_class: Option<String>,
}

/// Values of `--as`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum TreatAsChoice {
    /// A finished artifact
    Artifact,
    /// A source tree
    Source,
}

impl From<TreatAsChoice> for TreatAs {
    fn from(choice: TreatAsChoice) -> Self {
        match choice {
            TreatAsChoice::Artifact => Self::Artifact,
            TreatAsChoice::Source => Self::Source,
        }
    }
}
