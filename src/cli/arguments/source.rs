//! Owns the options of builds from sources.

use clap::Args;

use crate::config::values::BuilderName;

/// How sources become an artifact or an image.
#[derive(Debug, Args)]
#[command(next_help_heading = "Source options")]
pub(in crate::cli) struct SourceArguments {
    /// Build the sources with this builder: a name such as golang, or any image with S2I scripts
    #[arg(long, value_name = "NAME|IMAGE")]
    pub(in crate::cli) source_builder: Option<BuilderName>,
    /// Take the artifact from this place in the builder; several there are listed
    #[arg(id = "artifact_in_builder", long = "artifact", value_name = "PATH")]
    pub(in crate::cli) artifact: Option<String>,
}
