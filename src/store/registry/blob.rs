//! Owns reading blobs: streamed, verified, resumed after a broken connection.
//!
//! Must not read from the `urls` of a descriptor.

use std::io;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::{HeaderValue, Method, StatusCode};
use reqwest::Response;

use super::error::{RegistryError, RequestError};
use super::repository::Repository;
use super::request::{Answer, send};
use super::response::silent;
use crate::image::digest::DigestBuilder;
use crate::image::{BlobOrigin, BlobSource, BlobStream, Descriptor, ManifestFormat, OpenBlobError};
use crate::network::{Pace, Retries, describe, shown_url};

/// The bytes after which the retries are counted from zero again.
const PROGRESS: u64 = 1 << 20;

#[derive(Clone)]
pub(super) struct RegistryBlobs {
    /// The source, which may be a mirror.
    pub(super) repository: Repository,
    /// The registry and repository for messages.
    pub(super) origin: BlobOrigin,
    pub(super) maximum: u64,
}

impl BlobSource for RegistryBlobs {
    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream, OpenBlobError>> {
        Box::pin(async move {
            self.open_stream(blob).await.map_err(|source| {
                let image = format!("{}/{}@{}", self.origin.registry, self.origin.repository, blob.digest);
                let registry = self.repository.host.name.clone();
                OpenBlobError::new(RegistryError::Pull { image, registry, source })
            })
        })
    }

    fn origin(&self) -> Option<BlobOrigin> {
        Some(self.origin.clone())
    }
}

impl RegistryBlobs {
    async fn open_stream(&self, blob: &Descriptor) -> Result<BlobStream, RequestError> {
        let url = format!("{}/{}@{}", self.origin.registry, self.origin.repository, blob.digest);
        if blob.size > self.maximum {
            let reason = format!("it has {} bytes; the limit is {}", blob.size, self.maximum);
            return Err(RequestError::Answer { url, reason });
        }
        if is_manifest(&blob.media_type) {
            let manifest = self.repository.manifest(&blob.digest.to_string()).await?;
            if manifest.digest != blob.digest {
                let reason = format!("its bytes have the digest {}", manifest.digest);
                return Err(RequestError::Answer { url, reason });
            }
            let bytes = Bytes::from(manifest.bytes);
            return Ok(futures_util::stream::iter([Ok(bytes)]).boxed());
        }
        let mut reading = Reading {
            repository: self.repository.clone(),
            blob: blob.clone(),
            digest: DigestBuilder::new(),
            retries: self.repository.host.retries(),
            counted: 0,
            response: None,
            given_up: String::new(),
            pace: self.repository.host.pace(),
            skip: 0,
        };
        reading.request().await?;
        Ok(futures_util::stream::try_unfold(reading, Reading::next).boxed())
    }
}

/// Whether a registry stores this media type among its manifests.
pub(super) fn is_manifest(media_type: &str) -> bool {
    [ManifestFormat::Oci, ManifestFormat::Docker]
        .iter()
        .any(|format| media_type == format.manifest() || media_type == format.index())
}

struct Reading {
    repository: Repository,
    blob: Descriptor,
    digest: DigestBuilder,
    retries: Retries,
    /// The bytes received when the retries were last counted from zero.
    counted: u64,
    response: Option<Response>,
    /// Why there is no response.
    given_up: String,
    pace: Pace,
    /// The number of bytes to skip, because they come a second time.
    skip: u64,
}

impl Reading {
    async fn request(&mut self) -> Result<(), RequestError> {
        let received = self.digest.length();
        let mut call = self.repository.call(Method::GET, &format!("blobs/{}", self.blob.digest));
        if received > 0 {
            let range = HeaderValue::from_str(&format!("bytes={received}-"));
            call = call.header(RANGE, range.expect("digits are ASCII"));
        }
        let answer = send(&self.repository.host, &call).await?;
        self.skip = match answer.status() {
            StatusCode::PARTIAL_CONTENT if received > 0 => {
                let start = format!("bytes {received}-");
                if !answer.header(CONTENT_RANGE).is_some_and(|range| range.starts_with(&start)) {
                    return Err(unusable(&answer, "it is not the requested range".into()));
                }
                0
            }
            // The server sends the whole blob again.
            StatusCode::OK => received,
            _ => return Err(answer.into_error().await),
        };
        let encoding = answer.header(CONTENT_ENCODING).unwrap_or_default();
        if !matches!(encoding, "" | "identity") {
            return Err(unusable(&answer, "it is compressed without a request for that".into()));
        }
        let expected = self.blob.size - received + self.skip;
        let length = answer.header(CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
        if let Some(length) = length.filter(|length| *length != expected) {
            let reason = format!("it announces {length} bytes, expected {expected}");
            return Err(unusable(&answer, reason));
        }
        self.response = Some(answer.response);
        Ok(())
    }

    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        loop {
            let (silence, from) = (self.repository.host.silence(), Instant::now());
            let reason = match self.response.as_mut() {
                None => std::mem::take(&mut self.given_up),
                Some(response) => match tokio::time::timeout(silence, response.chunk()).await {
                    Ok(Ok(Some(piece))) => {
                        if let Err(reason) = self.pace.received(from.elapsed(), piece.len()) {
                            (self.response, self.given_up) = (None, reason);
                        }
                        match self.take(piece)? {
                            piece if piece.is_empty() => continue,
                            piece => return Ok(Some((piece, self))),
                        }
                    }
                    Ok(Ok(None)) if self.digest.length() == self.blob.size => {
                        return self.finish().map(|()| None);
                    }
                    Ok(Ok(None)) => "the connection ended early".to_owned(),
                    Ok(Err(error)) => describe(&error.without_url()),
                    Err(_) => silent(silence),
                },
            };
            self.resume(reason).await?;
        }
    }

    /// Removes repeated bytes from `piece` and digests the rest.
    fn take(&mut self, mut piece: Bytes) -> io::Result<Bytes> {
        let again = self.skip.min(piece.len() as u64);
        self.skip -= again;
        let piece = piece.split_off(usize::try_from(again).unwrap_or(piece.len()));
        self.digest.update(&piece);
        if self.digest.length() > self.blob.size {
            let Descriptor { digest, size, .. } = &self.blob;
            return Err(invalid(format!("the blob {digest} has more than {size} bytes")));
        }
        Ok(piece)
    }

    fn finish(self) -> io::Result<()> {
        let found = self.digest.finish();
        if found == self.blob.digest {
            return Ok(());
        }
        Err(invalid(format!("the blob {} has the digest {found}", self.blob.digest)))
    }

    async fn resume(&mut self, reason: String) -> io::Result<()> {
        self.response = None;
        let received = self.digest.length();
        if received >= self.counted + PROGRESS {
            self.counted = received;
            self.retries.made_progress();
        }
        let name = format!("{}/{}", self.repository.host.name, self.repository.name);
        let reason = format!("the blob {} stopped after {received} bytes: {reason}", self.blob.digest);
        self.repository.host.pause(&mut self.retries, &name, reason, None).await.map_err(io::Error::other)?;
        self.request().await.map_err(io::Error::other)
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn unusable(answer: &Answer, reason: String) -> RequestError {
    RequestError::Answer { url: shown_url(&answer.url), reason }
}
