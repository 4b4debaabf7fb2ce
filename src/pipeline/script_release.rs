//! Owns the release of Node.js that the `package.json` beside a script states. Must not choose a builder.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::detect::facts::{Facts, Kind};
use crate::input::{AddedContent, AddedDestination, Artifact, Origin};

const FILE: &str = "package.json";
/// Larger files are not read.
const LONGEST: u64 = 1 << 20;

/// Adds the release to the facts of a script for Node.js. A file that b2i does not understand states nothing.
pub(crate) fn add_release(facts: &mut Facts, artifact: &Artifact) {
    let Kind::Script(script) = &mut facts.kind else { return };
    if !matches!(script.program.as_str(), "node" | "nodejs") || script.release.is_some() {
        return;
    }
    script.release = in_tree(artifact).or_else(|| on_disk(artifact)).and_then(|bytes| engines(&bytes));
}

fn engines(package: &[u8]) -> Option<String> {
    let package: serde_json::Value = serde_json::from_slice(package).ok()?;
    let range = package.get("engines")?.get("node")?.as_str()?;
    Some(range.chars().filter(|character| !character.is_control()).take(200).collect())
}

/// The file in the directory of the artifact in its tree.
fn in_tree(artifact: &Artifact) -> Option<Vec<u8>> {
    let path = artifact.tree_path.as_deref().unwrap_or_default();
    let beside = match path.rsplit_once('/') {
        Some((directory, _)) => format!("{directory}/{FILE}"),
        None => FILE.to_owned(),
    };
    let file = artifact.added.iter().find(|file| match &file.destination {
        AddedDestination::Beside(path) => *path == beside,
        AddedDestination::Absolute(_) => false,
    })?;
    match &file.content {
        AddedContent::File { content, size, .. } if *size <= LONGEST => read(content.reader()),
        _ => None,
    }
}

/// The file beside the script that the user names. Beside an archive, it is not the script's.
fn on_disk(artifact: &Artifact) -> Option<Vec<u8>> {
    let Origin::File { path } = &artifact.origin else { return None };
    if path.file_name()?.to_str() != Some(&*artifact.name) {
        return None;
    }
    let beside = path.parent().unwrap_or(Path::new("")).join(FILE);
    // A pipe would block until something writes to it.
    if !beside.metadata().is_ok_and(|file| file.is_file()) {
        return None;
    }
    read(File::open(beside).ok()?)
}

fn read(file: impl Read) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_engines_and_guesses_nothing() {
        assert_eq!(engines(br#"{"engines": {"node": ">=20 <23"}}"#).as_deref(), Some(">=20 <23"));
        for other in [&b"{}"[..], b"", b"{\"engines\": {\"node\": 20}}", b"[", b"{\"engines\": \"x\"}"] {
            assert_eq!(engines(other), None);
        }
        let hostile = format!("{{\"engines\": {{\"node\": \"\\u001b{}\"}}}}", "9".repeat(1000));
        assert_eq!(engines(hostile.as_bytes()), Some("9".repeat(200)));
    }
}
