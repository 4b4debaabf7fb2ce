//! Owns what is known of a layer before it is written: from the memo, and back into it.
//!
//! Must not decide anything by it: sinks ask their side whether it has what the digests name.

use std::path::Path;
use std::time::SystemTime;

use super::prepare::PreparedImage;
use crate::assemble;
use crate::fs::Lease;
use crate::image::compression::{Compression, WrittenBlob};
use crate::image::layer::WrittenLayer;
use crate::image::{Descriptor, Digest, ManifestFormat};
use crate::input::FileContent;
use crate::plan::PlannedEntry;
use crate::store::cache::Memo;
use crate::store::{BaseImage, BaseLayers};

/// What is known of one layer.
pub(crate) struct CachedLayer<'a> {
    /// None for a layer of which nothing can be known before it is there.
    placed: Option<Placed<'a>>,
    /// What was remembered or written.
    pub(crate) layer: Option<WrittenLayer>,
}

/// A layer that follows from what is placed.
struct Placed<'a> {
    memo: &'a Memo,
    image: &'a PreparedImage,
    entries: &'a [PlannedEntry],
    date: u64,
    lease: &'a Lease,
    /// When the artifact was not read yet.
    began: SystemTime,
}

impl<'a> CachedLayer<'a> {
    /// Nothing: a script makes the layer.
    pub(crate) fn nothing() -> Self {
        Self { placed: None, layer: None }
    }

    /// Looks up what is known. Reads added files whose digest is not known; never the artifact.
    pub(crate) fn find(
        memo: &'a Memo,
        image: &'a PreparedImage,
        entries: &'a [PlannedEntry],
        date: u64,
        lease: &'a Lease,
    ) -> Self {
        let placed = Placed { memo, image, entries, date, lease, began: SystemTime::now() };
        let artifact = image.artifact();
        let digest = artifact.sha256.or_else(|| memo.file(&artifact.content.stamp()?));
        let recipe = digest.and_then(|digest| placed.recipe(digest));
        let layer = recipe.and_then(|recipe| memo.get(&recipe));
        tracing::debug!(known = layer.is_some(), "looked for the layer in the memo");
        Self { placed: Some(placed), layer }
    }

    /// What is known of the layer as a blob.
    pub(crate) fn blob(&self, compression: Compression, format: ManifestFormat) -> Option<WrittenBlob> {
        let layer = self.layer?;
        let descriptor = self.placed.as_ref()?.memo.get(&blob_key(&layer.diff_id, compression, format))?;
        Some(WrittenBlob { layer, descriptor })
    }

    /// Remembers what was written.
    pub(crate) fn remember(&mut self, layer: WrittenLayer) {
        if self.layer == Some(layer) {
            return;
        }
        self.layer = Some(layer);
        if let Some(placed) = &self.placed {
            placed.remember(layer);
        }
    }

    /// Remembers the blob that was written.
    pub(crate) fn remember_blob(
        &mut self,
        blob: &WrittenBlob,
        compression: Compression,
        format: ManifestFormat,
    ) {
        self.remember(blob.layer);
        if let Some(placed) = &self.placed {
            let key = blob_key(&blob.layer.diff_id, compression, format);
            placed.memo.put(&key, &blob.descriptor, placed.lease.temporary_directory());
        }
    }
}

impl Placed<'_> {
    fn remember(&self, layer: WrittenLayer) {
        let artifact = self.image.artifact();
        let Some(digest) = layer.watched.or(artifact.sha256) else { return };
        let temporary = self.lease.temporary_directory();
        if let Some(stamp) = artifact.content.stamp() {
            self.memo.put_file(&stamp, digest, self.began, temporary);
        }
        if let Some(recipe) = self.recipe(digest) {
            // Also where the artifact's digest did not come from writing the layer.
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

/// A blob depends on the tar and on how it is compressed; the format is in its media type.
fn blob_key(diff_id: &Digest, compression: Compression, format: ManifestFormat) -> String {
    format!("blob\n{diff_id}\n{}\n{format:?}", compression.memo_key())
}

/// What the layer of the built-in base is known to become, and what it became.
pub(crate) struct CachedBase {
    memo: Memo,
    /// None for any other base: its layers are blobs already.
    key: Option<String>,
    pub(crate) blob: Option<Descriptor>,
}

impl CachedBase {
    pub(crate) fn find(
        memo: Memo,
        base: &BaseImage,
        compression: Compression,
        format: ManifestFormat,
    ) -> Self {
        let is_built_in = matches!(base.layers, BaseLayers::BuiltIn(_));
        let diff_id = base.config.diff_ids().ok().filter(|_| is_built_in);
        let key = diff_id.and_then(|ids| Some(blob_key(ids.first()?, compression, format)));
        let blob = key.as_ref().and_then(|key| memo.get(key));
        Self { memo, key, blob }
    }

    pub(crate) fn remember(&self, blob: Option<&Descriptor>, temporary: &Path) {
        if let (Some(key), Some(blob)) = (&self.key, blob.filter(|blob| self.blob.as_ref() != Some(*blob))) {
            self.memo.put(key, blob, temporary);
        }
    }
}
