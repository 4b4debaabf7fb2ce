//! Owns copying an image or an index to a repository, byte for byte. Must not know where it comes from.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};

use super::Registries;
use super::content::{Content, Progress};
use super::error::RegistryError;
use super::push::{Target, by_repository};
use crate::events::Step;
use crate::image::manifest::MAXIMUM_MANIFEST;
use crate::image::{BlobSource, Descriptor, Digest, ImageReference, Manifest, ManifestTree};

const MAXIMUM_DEPTH: usize = 2;

impl Registries {
    /// Copies an image, or an index with all its images, under all `tags`.
    ///
    /// # Errors
    /// [`RegistryError`] of reading or publishing; tags are written last.
    pub async fn copy(&self, tree: &ManifestTree, tags: &[ImageReference]) -> Result<(), RegistryError> {
        let ManifestTree { root, blobs, .. } = tree;
        for group in by_repository(tags)? {
            let step = self.shared.events.start(Step::Write, group.first.familiar(), None);
            let target = self.target(group, Progress::new(step.clone()))?;
            let outdated = target.outdated(&root.digest).await?;
            // A tag that has the manifest proves that everything is there.
            let is_there = outdated.len() < target.tags.len();
            let (descriptor, bytes) = target.copy_below(root, blobs, is_there, 0).await?;
            target.publish_manifest(&outdated, &descriptor, &bytes).await?;
            target.progress.finish(step, outdated.is_empty());
        }
        Ok(())
    }
}

impl Target<'_> {
    /// Places everything that a manifest names, and returns the manifest.
    fn copy_below<'a>(
        &'a self,
        root: &'a Descriptor,
        blobs: &'a Arc<dyn BlobSource>,
        is_there: bool,
        depth: usize,
    ) -> BoxFuture<'a, Result<(Descriptor, Bytes), RegistryError>> {
        async move {
            let image = || self.image.clone();
            let bytes = self.read_manifest(root, blobs).await?;
            let parsed = Manifest::parse(&bytes, Some(&root.media_type));
            let parsed = parsed.map_err(|source| RegistryError::Manifest { image: image(), source })?;
            let media_type = match &parsed {
                Manifest::Image(manifest) => manifest.media_type.clone(),
                Manifest::Index(index) => index.media_type.clone(),
            };
            let descriptor = Descriptor::of(&media_type, &bytes);
            match parsed {
                _ if is_there => {}
                Manifest::Image(manifest) => {
                    let all = [std::slice::from_ref(&manifest.config), &manifest.layers].concat();
                    let content = |blob: &Descriptor| Content::Blob(blobs.clone(), blob.clone());
                    self.place_all(all.iter().map(content).collect()).await?;
                }
                Manifest::Index(_) if depth >= MAXIMUM_DEPTH => {
                    let reason = format!("indexes are nested more than {MAXIMUM_DEPTH} deep");
                    return Err(RegistryError::Invalid { image: image(), reason });
                }
                Manifest::Index(index) => {
                    for entry in &index.manifests {
                        self.copy_entry(entry, blobs, depth + 1).await?;
                    }
                }
            }
            Ok((descriptor, bytes))
        }
        .boxed()
    }

    async fn copy_entry(
        &self,
        entry: &Descriptor,
        blobs: &Arc<dyn BlobSource>,
        depth: usize,
    ) -> Result<(), RegistryError> {
        let reference = entry.digest.to_string();
        let found = self.repository.manifest_digest(&reference).await.map_err(|error| self.push(error))?;
        if found == Some(entry.digest) {
            return Ok(());
        }
        let (descriptor, bytes) = self.copy_below(entry, blobs, false, depth).await?;
        self.publish_manifest(&[&reference], &descriptor, &bytes).await
    }

    async fn read_manifest(
        &self,
        root: &Descriptor,
        blobs: &Arc<dyn BlobSource>,
    ) -> Result<Bytes, RegistryError> {
        let image = self.image.clone();
        if root.size > MAXIMUM_MANIFEST {
            let reason = format!("a manifest has {} bytes; the limit is {MAXIMUM_MANIFEST}", root.size);
            return Err(RegistryError::Invalid { image, reason });
        }
        let opened = blobs.open(root).await;
        let mut stream = opened.map_err(|source| RegistryError::BaseLayer {
            image: image.clone(),
            digest: root.digest,
            source,
        })?;
        let mut bytes = Vec::new();
        while let Some(piece) = stream.next().await {
            let failed =
                |source| RegistryError::BaseBytes { image: image.clone(), digest: root.digest, source };
            let piece = piece.map_err(failed)?;
            if (bytes.len() + piece.len()) as u64 > root.size {
                let reason = format!("a manifest has more than {} bytes", root.size);
                return Err(RegistryError::Invalid { image, reason });
            }
            bytes.extend_from_slice(&piece);
        }
        let found = Digest::of(&bytes);
        if found != root.digest {
            return Err(RegistryError::Digest { image, what: "the manifest", expected: root.digest, found });
        }
        Ok(bytes.into())
    }
}
