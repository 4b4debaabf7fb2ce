//! Owns the memo entry of a placed layer: digests that are known before the layer is written.
//!
//! Must not decide anything; sinks check whether their side has these digests.

use std::time::SystemTime;

use super::prepare::StageInputs;
use crate::assemble;
use crate::fs::Lease;
use crate::image::Digest;
use crate::image::layer::WrittenLayer;
use crate::input::FileContent;
use crate::plan::PlannedEntry;
use crate::store::cache::Memo;

/// A placed layer with its memo entry.
pub(crate) struct CachedLayer<'a> {
    memo: &'a Memo,
    image: &'a StageInputs,
    entries: &'a [PlannedEntry],
    date: u64,
    lease: &'a Lease,
    /// A time before the artifact was read.
    began: SystemTime,
    /// The memo's digests.
    pub(crate) layer: Option<WrittenLayer>,
}

impl<'a> CachedLayer<'a> {
    /// Looks up the layer. Reads added files with unknown digests, never the artifact.
    pub(crate) fn find(
        memo: &'a Memo,
        image: &'a StageInputs,
        entries: &'a [PlannedEntry],
        date: u64,
        lease: &'a Lease,
    ) -> Self {
        let mut cached = Self { memo, image, entries, date, lease, began: SystemTime::now(), layer: None };
        let artifact = image.artifact();
        let digest = artifact.sha256.or_else(|| memo.file(&artifact.content.stamp()?));
        let recipe = digest.and_then(|digest| cached.recipe(digest));
        cached.layer = recipe.and_then(|recipe| memo.get(&recipe));
        tracing::debug!(known = cached.layer.is_some(), "looked for the layer in the memo");
        cached
    }

    /// Stores a written layer in the memo.
    pub(crate) fn remember(&self, layer: WrittenLayer) {
        if self.layer == Some(layer) {
            return;
        }
        let artifact = self.image.artifact();
        let Some(digest) = layer.watched.or(artifact.sha256) else { return };
        let temporary = self.lease.temporary_directory();
        if let Some(stamp) = artifact.content.stamp() {
            self.memo.put_file(&stamp, digest, self.began, temporary);
        }
        if let Some(recipe) = self.recipe(digest) {
            // The artifact's digest may have another origin than this layer.
            self.memo.put(&recipe, &WrittenLayer { watched: Some(digest), ..layer }, temporary);
        }
    }

    fn recipe(&self, artifact: Digest) -> Option<String> {
        let digest_of = |content: &FileContent| self.digest_of(content);
        assemble::recipe(self.entries, self.image.inputs(), self.date, artifact, digest_of).ok()
    }

    fn digest_of(&self, content: &FileContent) -> std::io::Result<Digest> {
        let stamp = content.stamp();
        if let Some(digest) = stamp.and_then(|stamp| self.memo.file(&stamp)) {
            return Ok(digest);
        }
        let began = SystemTime::now();
        let digest = assemble::read_digest(&mut content.reader())?;
        if let Some(stamp) = stamp {
            self.memo.put_file(&stamp, digest, began, self.lease.temporary_directory());
        }
        Ok(digest)
    }
}
