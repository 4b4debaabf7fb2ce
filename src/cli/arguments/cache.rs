//! Owns the grammar of `b2i cache`.

use clap::{Args, Subcommand};

use super::Format;
use crate::config::values::ByteSize;

/// Show and prune the cache
#[derive(Debug, Args)]
pub(in crate::cli) struct CacheArguments {
    #[command(subcommand)]
    pub(in crate::cli) command: CacheCommand,
}

/// What can be done with the cache.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CacheCommand {
    /// Say where the cache is and what its parts take
    Info {
        /// Print as text or JSON
        #[arg(long, value_enum, default_value_t, hide_default_value = true)]
        format: Format,
    },
    /// Remove what no build is using, what was used longest ago first
    Prune {
        /// Keep the most recently used entries up to this size, such as 2g
        #[arg(long, value_name = "SIZE", default_value = "0", hide_default_value = true)]
        keep: ByteSize,
        /// Clean up after interrupted runs, in the daemon too
        #[arg(long)]
        containers: bool,
        /// Print as text or JSON
        #[arg(long, value_enum, default_value_t, hide_default_value = true)]
        format: Format,
    },
}
