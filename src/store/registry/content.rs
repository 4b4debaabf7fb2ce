//! Owns the bytes of an upload, which can be opened again at any position. Must not know how uploads work.
//!
//! Memory is bounded: a new layer is written while it is sent, and a base's layer is streamed.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::task::JoinHandle;

use super::error::RequestError;
use super::host::StreamPosition;
use crate::blocking::blocking;
use crate::events::RunningStep;
use crate::image::{BlobSource, BlobStream, Descriptor, OpenBlobError};
use crate::store::{LayerBlob, StoredBlob};
use crate::stream::writer_to_stream;

#[derive(Clone)]
pub(super) enum Content {
    Bytes(Bytes, Descriptor),
    /// A new layer, and its blob, if that is known.
    Layer(Arc<dyn LayerBlob>, Option<StoredBlob>),
    /// A blob of another store.
    Blob(Arc<dyn BlobSource>, Descriptor),
}

#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error(transparent)]
    Open(#[from] OpenBlobError),
}

impl Content {
    /// The blob, if it is known before it is read.
    pub(super) fn known(&self) -> Option<StoredBlob> {
        match self {
            Self::Bytes(_, descriptor) | Self::Blob(_, descriptor) => Some(descriptor.clone().into()),
            Self::Layer(_, known) => known.clone(),
        }
    }

    pub(super) fn size(&self) -> Option<u64> {
        let known = self.known().map(|known| known.descriptor.size);
        known.or_else(|| match self {
            Self::Layer(blob, _) => blob.size(),
            _ => None,
        })
    }

    pub(super) async fn measure(&self) -> Result<StoredBlob, UploadError> {
        match self {
            Self::Layer(blob, None) => {
                let blob = blob.clone();
                Ok(blocking(move || blob.write(&mut io::sink())).await?.into())
            }
            Self::Layer(_, Some(known)) => Ok(known.clone()),
            Self::Bytes(_, descriptor) | Self::Blob(_, descriptor) => Ok(descriptor.clone().into()),
        }
    }

    /// Opens the content after its first `skip` bytes.
    pub(super) async fn open(&self, skip: u64, progress: &Progress) -> Result<OpenContent, UploadError> {
        let mut writer = None;
        let stream = match self {
            Self::Bytes(bytes, _) => futures_util::stream::iter([Ok(bytes.clone())]).boxed(),
            Self::Blob(source, descriptor) => source.open(descriptor).await?,
            Self::Layer(blob, _) => {
                let (mut out, stream) = writer_to_stream();
                let blob = blob.clone();
                writer = Some(tokio::task::spawn_blocking(move || {
                    let written = blob.write(&mut out)?;
                    out.finish()?;
                    Ok(written.into())
                }));
                stream
            }
        };
        progress.add(skip);
        // Fused: a request of unknown length reads to the end, and so does the check afterwards.
        let stream = stream.fuse().boxed();
        let pieces = Pieces { stream, rest: Bytes::new(), skip, failure: None };
        Ok(OpenContent {
            pieces: Arc::new(tokio::sync::Mutex::new(pieces)),
            taken: Arc::new(AtomicU64::new(0)),
            writer,
            skipped: skip,
            progress: progress.clone(),
            expected: self.known(),
        })
    }
}

fn joined<T>(result: Result<io::Result<T>, tokio::task::JoinError>) -> io::Result<T> {
    match result {
        Ok(result) => result,
        // The task is never aborted, so this is a panic.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

pub(super) struct OpenContent {
    pieces: Arc<tokio::sync::Mutex<Pieces>>,
    taken: Arc<AtomicU64>,
    writer: Option<JoinHandle<io::Result<StoredBlob>>>,
    skipped: u64,
    progress: Progress,
    expected: Option<StoredBlob>,
}

struct Pieces {
    stream: BlobStream,
    rest: Bytes,
    /// The bytes to skip before the first.
    skip: u64,
    failure: Option<io::Error>,
}

impl OpenContent {
    /// The next `most` bytes as a stream, and its position.
    pub(super) fn next(&self, most: u64) -> (BlobStream, Arc<StreamPosition>) {
        let taken = Arc::new(StreamPosition::default());
        let (here, all, progress) = (taken.clone(), self.taken.clone(), self.progress.clone());
        let stream = futures_util::stream::unfold((self.pieces.clone(), most), move |(pieces, most)| {
            let (here, all, progress) = (here.clone(), all.clone(), progress.clone());
            async move {
                let piece = pieces.lock().await.next(most).await;
                let count = piece.iter().flatten().map(|piece| piece.len() as u64).sum();
                here.bytes.fetch_add(count, Ordering::Relaxed);
                all.fetch_add(count, Ordering::Relaxed);
                progress.add(count);
                if piece.is_none() || count == most {
                    here.ended.store(true, Ordering::Relaxed);
                }
                Some((piece?, (pieces, most - count)))
            }
        });
        (stream.boxed(), taken)
    }

    /// Ends the reading after the last byte, and returns the blob.
    pub(super) async fn finish(mut self) -> Result<StoredBlob, UploadError> {
        // A blob of another store is verified at its end.
        let behind_end = self.pieces.lock().await.next(u64::MAX).await;
        if let Some(behind_end) = behind_end {
            let too_many = || io::Error::new(io::ErrorKind::InvalidData, "it has more bytes than announced");
            let error = behind_end.err().unwrap_or_else(too_many);
            return Err(self.abandon().await.unwrap_or(UploadError::Read(error)));
        }
        let written = match self.writer.take() {
            Some(writer) => Some(joined(writer.await)?),
            None => None,
        };
        if let Some(changed) = written.as_ref().and_then(|written| self.difference(written)) {
            return Err(changed);
        }
        match (written, self.expected.take()) {
            (Some(written), _) => Ok(written),
            (None, Some(expected)) => Ok(expected),
            (None, None) => Err(UploadError::Read(io::Error::other("nothing was written"))),
        }
    }

    /// Ends the reading early. Returns the content's own error, if that is the reason.
    pub(super) async fn abandon(mut self) -> Option<UploadError> {
        self.progress.forget(self.skipped + self.taken.load(Ordering::Relaxed));
        let failure = {
            let mut pieces = self.pieces.lock().await;
            // The writer fails, since nothing reads it.
            pieces.stream = futures_util::stream::empty().boxed();
            pieces.failure.take()
        };
        let Some(writer) = self.writer.take() else { return failure.map(UploadError::Read) };
        match joined(writer.await) {
            Ok(written) => self.difference(&written),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Err(error) => Some(UploadError::Read(error)),
        }
    }

    /// The error if the written blob is not the one that was known before.
    fn difference(&self, written: &StoredBlob) -> Option<UploadError> {
        let (expected, found) = (self.expected.as_ref()?.descriptor.digest, written.descriptor.digest);
        let message =
            format!("the layer should have the digest {expected}, but the written layer has {found}");
        let error = io::Error::new(io::ErrorKind::InvalidData, message);
        (expected != found).then_some(UploadError::Read(error))
    }
}

impl Pieces {
    async fn next(&mut self, most: u64) -> Option<io::Result<Bytes>> {
        if most == 0 {
            return None;
        }
        while self.rest.is_empty() {
            let mut piece = match self.stream.next().await? {
                Ok(piece) => piece,
                Err(error) => {
                    let shown = io::Error::new(error.kind(), error.to_string());
                    self.failure = Some(error);
                    return Some(Err(shown));
                }
            };
            let skip = self.skip.min(piece.len() as u64);
            self.skip -= skip;
            self.rest = piece.split_off(usize::try_from(skip).unwrap_or(piece.len()));
        }
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(self.rest.len());
        Some(Ok(self.rest.split_to(count)))
    }
}

#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<Counted>>);

struct Counted {
    step: RunningStep,
    bytes: u64,
    reported: u64,
    total: Option<u64>,
}

const REPORTED: u64 = 512 << 10;

impl Progress {
    pub(super) fn new(step: RunningStep) -> Self {
        Self(Arc::new(Mutex::new(Counted { step, bytes: 0, reported: 0, total: None })))
    }

    pub(super) fn expect(&self, bytes: u64) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.total = Some(counted.total.unwrap_or_default() + bytes);
    }

    fn add(&self, bytes: u64) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.bytes += bytes;
        if counted.bytes >= counted.reported + REPORTED {
            counted.reported = counted.bytes;
            counted.step.progress(counted.bytes, counted.total);
        }
    }

    /// Takes back bytes that are sent again.
    fn forget(&self, bytes: u64) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.bytes = counted.bytes.saturating_sub(bytes);
        counted.reported = counted.bytes;
    }

    pub(super) fn finish(&self, step: RunningStep, was_there: bool) {
        match self.bytes() {
            0 if was_there => step.finish("was already there"),
            bytes => step.sized(bytes).finish(""),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}
