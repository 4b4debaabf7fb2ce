//! Owns the notes of a stage: decisions that the user may not expect, and that are no mistake. Must not warn.

use crate::input::Artifact;

/// The note of files that do not come along.
pub(crate) fn left_out(artifact: &Artifact) -> Option<String> {
    let files = match artifact.left_out {
        0 => return None,
        1 => "1 other file of the archive is".to_owned(),
        count => format!("{count} other files of the archive are"),
    };
    Some(format!("{files} left out; `--keep-tree` takes everything along"))
}
