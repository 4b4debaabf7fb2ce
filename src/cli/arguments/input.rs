//! Owns the options that say where an artifact comes from; `build` and `inspect` share them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::values::ByteSize;
use crate::image::Digest;
use crate::input::TreatAs;

/// Where the artifact comes from and how it is fetched.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input options")]
pub(in crate::cli) struct InputArguments {
    /// Add a file or directory beside the artifact, or at DEST [repeatable]
    ///
    /// DEST is relative to the artifact's directory, or absolute. The last colon separates; a SRC with a colon in
    /// its name needs one at its end.
    #[arg(long, value_name = "SRC[:DEST]")]
    pub(in crate::cli) add: Vec<PathBuf>,
    /// Take this member of an archive
    #[arg(long, value_name = "MEMBER")]
    pub(in crate::cli) path: Option<String>,
    /// Take the rest of the archive along
    #[arg(long)]
    pub(in crate::cli) keep_tree: bool,
    /// Treat an archive or directory as a finished artifact or a source tree
    #[arg(long = "as", value_enum, value_name = "KIND")]
    pub(in crate::cli) treat_as: Option<TreatAsChoice>,
    /// Require this digest of the fetched bytes
    #[arg(long, value_name = "DIGEST")]
    pub(in crate::cli) sha256: Option<Digest>,
    /// Stop when something fetched or unpacked is larger [default: 4GiB] [env: B2I_MAX_SIZE]
    #[arg(long, value_name = "SIZE")]
    pub(in crate::cli) max_size: Option<ByteSize>,
    /// Send the value of a variable as a header to the artifact's host [repeatable]
    #[arg(long, value_name = "HEADER=VAR")]
    pub(in crate::cli) header_env: Vec<String>,
    /// Send the headers in this file, one `Name: value` a line, to the artifact's host
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) header_file: Option<PathBuf>,
    /// Send the value of a variable as bearer token to the artifact's host
    #[arg(long, value_name = "VAR")]
    pub(in crate::cli) bearer_env: Option<String>,
    /// Take passwords from this file [default: $NETRC or ~/.netrc]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) netrc_file: Option<PathBuf>,
    /// Believe the CA certificates (PEM) in this file, too [repeatable]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) ca_file: Vec<PathBuf>,
    /// Name the main class of a JAR whose manifest names none
    #[arg(long, value_name = "CLASS")]
    pub(in crate::cli) main_class: Option<String>,
}

/// What an archive or directory is to be treated as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum TreatAsChoice {
    /// Something finished
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
