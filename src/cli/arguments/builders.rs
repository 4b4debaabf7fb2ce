//! Owns the grammar of `b2i builders`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::Format;
use crate::config::values::PULL_CHOICES;
use crate::image::ImageReference;

/// List, show, check, export and create builders
#[derive(Debug, Args)]
pub(in crate::cli) struct BuildersArguments {
    /// What to do; lists if nothing is said.
    #[command(subcommand)]
    pub(in crate::cli) command: Option<BuildersCommand>,
}

/// What can be done with builders.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum BuildersCommand {
    /// List the builders that there are
    List {
        /// Print as text or JSON
        #[arg(long, value_enum, default_value_t, hide_default_value = true)]
        format: Format,
    },
    /// Show what a builder is for, its versions and base images
    Show {
        /// Builder, with or without version
        #[arg(value_name = "NAME[:VERSION]")]
        name: String,
        /// Print as text or JSON
        #[arg(long, value_enum, default_value_t, hide_default_value = true)]
        format: Format,
    },
    /// Compare what b2i assumes of a builder's base images with the images
    Check {
        /// Builder, with or without version
        #[arg(value_name = "NAME[:VERSION]")]
        name: String,
        /// Pull images always, if missing, or never [default: missing] [env: B2I_PULL]
        #[arg(long, value_name = "WHEN", value_parser = PossibleValuesParser::new(PULL_CHOICES), hide_possible_values = true)]
        pull: Option<String>,
        /// Print as text or JSON
        #[arg(long, value_enum, default_value_t, hide_default_value = true)]
        format: Format,
    },
    /// Make the files of a new builder image: Dockerfile, scripts, a test
    Create {
        /// Name of the builder image
        #[arg(value_name = "NAME")]
        name: String,
        /// Directory, made if it is not there; nothing in it is written over
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Base image of the builder [default: debian:12-slim]
        #[arg(long, value_name = "IMAGE")]
        base: Option<ImageReference>,
    },
    /// Write a builder's Dockerfile and scripts to a directory
    Export {
        /// Builder, with or without version
        #[arg(value_name = "NAME[:VERSION]")]
        name: String,
        /// Directory, made if it is not there
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}
