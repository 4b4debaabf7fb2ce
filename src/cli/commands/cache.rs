//! Owns `b2i cache`: its arguments, and the output of its results.
//!
//! Must not read the cache.

use clap::{Args, Subcommand};

use crate::cli::arguments::Format;
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::printable::printable;
use crate::cli::progress::wording::size;
use crate::cli::runtime::Runtime;
use crate::config::ConfigFile;
use crate::config::values::ByteSize;
use crate::ops::{self, CacheInfo, CachePruned};

/// Show or prune the cache
#[derive(Debug, Args)]
pub(in crate::cli) struct CacheArguments {
    #[command(subcommand)]
    pub(in crate::cli) command: CacheCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CacheCommand {
    /// Show the location of the cache and the size of its parts
    Info {
        /// Print the result as text or json [default: text]
        #[arg(long, value_enum, default_value_t, hide_default_value = true, hide_possible_values = true)]
        format: Format,
    },
    /// Remove entries that no build is using, oldest first
    Prune {
        /// Keep recently used entries up to this size, such as 2g [default: 0]
        #[arg(long, value_name = "SIZE", default_value = "0", hide_default_value = true)]
        keep: ByteSize,
        /// Also clean up after interrupted runs, including in the daemon
        #[arg(long)]
        containers: bool,
        /// Print the result as text or json [default: text]
        #[arg(long, value_enum, default_value_t, hide_default_value = true, hide_possible_values = true)]
        format: Format,
    },
}

pub(in crate::cli) fn run(arguments: &CacheArguments, context: &Context) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    let session = context.session(&settings)?;
    let mut runtime = Runtime::start()?;
    match &arguments.command {
        CacheCommand::Info { format } => {
            let info = runtime.run(&session, ops::cache_info(&session))?;
            context.progress.finish();
            context.printer.result(*format, &info, || describe(&info))
        }
        CacheCommand::Prune { keep, containers, format } => {
            let pruned = runtime.run(&session, ops::prune_cache(keep.0, *containers, &session))?;
            context.progress.finish();
            context.printer.result(*format, &pruned, || describe_pruned(&pruned))
        }
    }
}

fn describe(info: &CacheInfo) -> String {
    let mut text = format!("{}\n", printable(&info.directory.to_string_lossy()));
    let width = info.parts.iter().map(|part| part.name.len()).max().unwrap_or_default().max("total".len());
    let counted: Vec<String> = info.parts.iter().map(|part| count(part.entries)).collect();
    let column = counted.iter().map(String::len).max().unwrap_or_default();
    for (part, counted) in info.parts.iter().zip(counted) {
        text.push_str(&format!("{:<width$}  {counted:>column$}  {:>8}\n", part.name, size(part.bytes)));
    }
    let total = info.parts.iter().map(|part| part.bytes).sum();
    text.push_str(&format!("{:<width$}  {:>column$}  {:>8}\n", "total", "", size(total)));
    text
}

fn describe_pruned(pruned: &CachePruned) -> String {
    let mut text = format!("removed {}, {}\n", count(pruned.cache.entries), size(pruned.cache.bytes));
    if pruned.cache.in_use > 0 {
        text.push_str(&format!("kept {} in use\n", count(pruned.cache.in_use)));
    }
    if pruned.interrupted_runs > 0 {
        let plural = if pruned.interrupted_runs == 1 { "" } else { "s" };
        text.push_str(&format!("cleaned up after {} interrupted run{plural}\n", pruned.interrupted_runs));
    }
    text
}

fn count(entries: u64) -> String {
    if entries == 1 { "1 entry".into() } else { format!("{entries} entries") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::cache::{PartUsage, Pruned};

    #[test]
    fn sizes_stand_below_each_other() {
        let part = |name: &str, entries, bytes| PartUsage { name: name.into(), entries, bytes };
        let info = CacheInfo {
            directory: "/home/u/.cache/b2i".into(),
            parts: vec![part("downloads", 1, 52_000_000), part("memo", 112, 458_752)],
        };
        insta::assert_snapshot!(describe(&info), @r"
        /home/u/.cache/b2i
        downloads      1 entry   52.0 MB
        memo       112 entries  458.8 kB
        total                    52.5 MB
        ");
        let cache = Pruned { entries: 2, bytes: 1_000, in_use: 1 };
        insta::assert_snapshot!(describe_pruned(&CachePruned { cache, interrupted_runs: 1 }), @r"
        removed 2 entries, 1.0 kB
        kept 1 entry in use
        cleaned up after 1 interrupted run
        ");
    }
}
