//! Owns `b2i cache`.

use crate::cli::arguments::Format;
use crate::cli::arguments::cache::{CacheArguments, CacheCommand};
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::printable::printable;
use crate::cli::progress::wording::size;
use crate::cli::runtime::Runtime;
use crate::config::ConfigFile;
use crate::ops::{self, CacheInfo, CachePruned};

/// Shows or prunes.
pub(in crate::cli) fn run(arguments: &CacheArguments, context: &Context) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    let session = context.session(&settings)?;
    let mut runtime = Runtime::start()?;
    let (format, json, text) = match &arguments.command {
        CacheCommand::Info { format } => {
            let info = runtime.run(&session, ops::cache_info(&session))?;
            (*format, serde_json::to_value(&info), describe(&info))
        }
        CacheCommand::Prune { keep, containers, format } => {
            let pruned = runtime.run(&session, ops::prune_cache(keep.0, *containers, &session))?;
            (*format, serde_json::to_value(&pruned), describe_pruned(&pruned))
        }
    };
    context.progress.finish();
    match format {
        Format::Json => context.printer.json(&json.expect("plain data with text keys")),
        Format::Text => context.printer.data(&text),
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
        let runs =
            if pruned.interrupted_runs == 1 { "1 run" } else { &format!("{} runs", pruned.interrupted_runs) };
        text.push_str(&format!("cleaned up after {runs} that did not end well\n"));
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
        cleaned up after 1 run that did not end well
        ");
    }
}
