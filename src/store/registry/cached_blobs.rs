//! Owns reading the blobs of an image through the cache: a blob that the cache has costs no request, and a blob of a base
//! that is read completely stays in the cache.
//!
//! Must not send a request that the options of the build forbid.

use std::io::{self, Write};
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;

use super::blob::{RegistryBlobs, is_manifest};
use super::error::{Forbidden, RegistryError};
use crate::blocking::blocking;
use crate::image::blobs::file_stream;
use crate::image::{BlobOrigin, BlobSource, BlobStream, Descriptor, OpenBlobError};
use crate::store::cache::ImageCache;
use crate::store::cache::images::PartialBlob;

/// The bytes that are collected before they are written to the cache on another thread.
const PIECE: usize = 256 * 1024;

#[derive(Clone)]
pub(super) struct CachedBlobs {
    pub(super) remote: RegistryBlobs,
    /// The cache, and a directory on its file system.
    pub(super) cache: Option<(ImageCache, PathBuf)>,
    /// Whether blobs that are read stay in the cache.
    pub(super) is_kept: bool,
    /// Why requests to the registry are forbidden.
    pub(super) forbidden: Option<Forbidden>,
    /// The image in errors.
    pub(super) image: String,
}

impl BlobSource for CachedBlobs {
    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream, OpenBlobError>> {
        Box::pin(async move {
            if let Some(stream) = self.cached(blob).await {
                return Ok(stream);
            }
            if let Some(forbidden) = self.forbidden {
                let image = self.image.clone();
                let part = Some(blob.digest);
                return Err(OpenBlobError::new(RegistryError::Offline { image, part, forbidden }));
            }
            let stream = self.remote.open(blob).await?;
            // Manifests are small, and `source` keeps them.
            match &self.cache {
                Some((cache, temporary)) if self.is_kept && !is_manifest(&blob.media_type) => {
                    Ok(keeping(stream, cache.begin(blob, temporary)))
                }
                _ => Ok(stream),
            }
        })
    }

    fn origin(&self) -> Option<BlobOrigin> {
        self.remote.origin()
    }
}

impl CachedBlobs {
    /// The blob in the cache. Its bytes are compared with the digest before the first one is passed on: a consumer cannot
    /// start again in the registry if the last byte of a damaged file shows the damage.
    async fn cached(&self, blob: &Descriptor) -> Option<BlobStream> {
        let (cache, _) = self.cache.clone()?;
        if blob.size > self.remote.maximum {
            return None;
        }
        let wanted = blob.clone();
        let file = blocking(move || cache.open_verified(&wanted)).await?;
        tracing::debug!(blob = %blob.digest, "read a blob from the cache");
        Some(file_stream(file.into(), 0, blob.size, blob))
    }
}

/// A stream whose bytes are also written to the cache.
struct Keeping {
    stream: BlobStream,
    /// None once writing has failed: the build does not need the copy.
    partial: Option<PartialBlob>,
    unwritten: Vec<u8>,
}

/// Passes the stream on. The copy gets its name in the cache when the stream has ended without an error.
fn keeping(stream: BlobStream, partial: Option<PartialBlob>) -> BlobStream {
    let state = Keeping { stream, partial, unwritten: Vec::new() };
    futures_util::stream::try_unfold(state, Keeping::next).boxed()
}

impl Keeping {
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        match self.stream.next().await {
            Some(Ok(piece)) => {
                if self.partial.is_some() {
                    self.unwritten.extend_from_slice(&piece);
                }
                if self.unwritten.len() >= PIECE {
                    self.write(false).await;
                }
                Ok(Some((piece, self)))
            }
            Some(Err(error)) => Err(error),
            None => {
                self.write(true).await;
                Ok(None)
            }
        }
    }

    async fn write(&mut self, is_last: bool) {
        let Some(mut partial) = self.partial.take() else { return };
        let bytes = std::mem::take(&mut self.unwritten);
        let written = blocking(move || {
            partial.file().write_all(&bytes)?;
            if is_last { partial.commit().map(|()| None) } else { Ok(Some(partial)) }
        });
        match written.await {
            Ok(rest) => self.partial = rest,
            // Usually the disk is full. The next build reads the blob again.
            Err(error) => tracing::debug!(%error, "cannot store a blob in the cache"),
        }
    }
}
