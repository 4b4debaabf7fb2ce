//! Owns what is uploaded: bytes that can be opened again, from any place on, whatever they come from.
//!
//! Memory is bounded: a new layer is written while it is sent, a base's layer is passed on as it comes. Must not know
//! how uploads work.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::task::JoinHandle;

use super::host::Taken;
use crate::blocking::blocking;
use crate::events::RunningStep;
use crate::image::compression::WrittenBlob;
use crate::image::layer::WrittenLayer;
use crate::image::{BlobSource, BlobStream, Descriptor, OpenBlobError};
use crate::store::LayerBlob;
use crate::stream::writer_to_stream;

/// What a blob turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Uploaded {
    pub(super) descriptor: Descriptor,
    /// If it is a new layer.
    pub(super) layer: Option<WrittenLayer>,
}

impl From<WrittenBlob> for Uploaded {
    fn from(written: WrittenBlob) -> Self {
        Self { descriptor: written.descriptor, layer: Some(written.layer) }
    }
}

/// Bytes to upload.
#[derive(Clone)]
pub(super) enum Content {
    /// These.
    Bytes(Bytes, Descriptor),
    /// A new layer, and what is known of its blob before it is written.
    Layer(Arc<dyn LayerBlob>, Option<Uploaded>),
    /// A blob that is elsewhere.
    Blob(Arc<dyn BlobSource>, Descriptor),
}

/// Bytes that could not be had.
#[derive(Debug)]
pub(super) enum ContentError {
    Read(io::Error),
    Open(OpenBlobError),
}

impl Content {
    /// What is known before it is read.
    pub(super) fn known(&self) -> Option<Uploaded> {
        match self {
            Self::Bytes(_, descriptor) | Self::Blob(_, descriptor) => {
                Some(Uploaded { descriptor: descriptor.clone(), layer: None })
            }
            Self::Layer(_, known) => known.clone(),
        }
    }

    /// Its size in bytes, if that is known.
    pub(super) fn size(&self) -> Option<u64> {
        let known = self.known().map(|known| known.descriptor.size);
        known.or_else(|| match self {
            Self::Layer(blob, _) => blob.size(),
            _ => None,
        })
    }

    /// Reads it once without sending it.
    pub(super) async fn measure(&self) -> Result<Uploaded, ContentError> {
        match self {
            Self::Layer(blob, None) => {
                let blob = blob.clone();
                let written = blocking(move || blob.write(&mut io::sink())).await;
                written.map(Uploaded::from).map_err(ContentError::Read)
            }
            Self::Layer(_, Some(known)) => Ok(known.clone()),
            Self::Bytes(_, descriptor) | Self::Blob(_, descriptor) => {
                Ok(Uploaded { descriptor: descriptor.clone(), layer: None })
            }
        }
    }

    /// Opens it behind its first `skip` bytes.
    pub(super) async fn open(&self, skip: u64, progress: &Progress) -> Result<OpenContent, ContentError> {
        let mut writer = None;
        let (stream, behind) = match self {
            Self::Bytes(bytes, _) => (futures_util::stream::iter([Ok(bytes.clone())]).boxed(), skip),
            Self::Blob(source, descriptor) => {
                (source.open(descriptor).await.map_err(ContentError::Open)?, skip)
            }
            Self::Layer(blob, _) => {
                let (out, stream) = writer_to_stream();
                let blob = blob.clone();
                writer = Some(tokio::task::spawn_blocking(move || {
                    let mut out = Skipping { skip, inner: out };
                    let written = blob.write(&mut out)?;
                    out.inner.finish()?;
                    Ok(written.into())
                }));
                (stream, 0)
            }
        };
        progress.add(skip);
        // A request of unknown length reads it to its end, and so does whoever verifies it afterwards.
        let stream = stream.fuse().boxed();
        let pieces = Pieces { stream, rest: Bytes::new(), behind, failure: None };
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
        // Writing does not panic by design and is never aborted; if it does, the panic goes on here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Content on its way.
pub(super) struct OpenContent {
    pieces: Arc<tokio::sync::Mutex<Pieces>>,
    /// How many bytes went out.
    taken: Arc<AtomicU64>,
    writer: Option<JoinHandle<io::Result<Uploaded>>>,
    skipped: u64,
    progress: Progress,
    expected: Option<Uploaded>,
}

struct Pieces {
    stream: BlobStream,
    rest: Bytes,
    /// How many bytes are left out before the first.
    behind: u64,
    failure: Option<io::Error>,
}

impl OpenContent {
    /// The next `most` bytes, as a stream of its own, and how far that is.
    pub(super) fn next(&self, most: u64) -> (BlobStream, Arc<Taken>) {
        let taken = Arc::new(Taken::default());
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

    /// Ends it after it was sent whole, and says what it was.
    pub(super) async fn finish(mut self) -> Result<Uploaded, ContentError> {
        // What is opened elsewhere is verified when its end is seen.
        let behind_end = self.pieces.lock().await.next(u64::MAX).await;
        if let Some(behind_end) = behind_end {
            let too_many =
                || io::Error::new(io::ErrorKind::InvalidData, "more bytes came than were announced");
            let error = behind_end.err().unwrap_or_else(too_many);
            return Err(self.abandon().await.unwrap_or(ContentError::Read(error)));
        }
        let written = match self.writer.take() {
            Some(writer) => Some(joined(writer.await).map_err(ContentError::Read)?),
            None => None,
        };
        if let Some(changed) = written.as_ref().and_then(|written| self.difference(written)) {
            return Err(changed);
        }
        match (written, self.expected.take()) {
            (Some(written), _) => Ok(written),
            (None, Some(expected)) => Ok(expected),
            (None, None) => Err(ContentError::Read(io::Error::other("nothing was written"))),
        }
    }

    /// Ends it early. Gives the reason if the content itself is it.
    pub(super) async fn abandon(mut self) -> Option<ContentError> {
        self.progress.forget(self.skipped + self.taken.load(Ordering::Relaxed));
        let failure = {
            let mut pieces = self.pieces.lock().await;
            // The writer notices that nobody reads any more.
            pieces.stream = futures_util::stream::empty().boxed();
            pieces.failure.take()
        };
        let Some(writer) = self.writer.take() else { return failure.map(ContentError::Read) };
        match joined(writer.await) {
            Ok(written) => self.difference(&written),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Err(error) => Some(ContentError::Read(error)),
        }
    }

    /// What is wrong if something else was written than was known before.
    fn difference(&self, written: &Uploaded) -> Option<ContentError> {
        let (expected, found) = (self.expected.as_ref()?.descriptor.digest, written.descriptor.digest);
        let message = format!("the layer should have the digest {expected}, but was written with {found}");
        let error = io::Error::new(io::ErrorKind::InvalidData, message);
        (expected != found).then_some(ContentError::Read(error))
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
            let behind = self.behind.min(piece.len() as u64);
            self.behind -= behind;
            self.rest = piece.split_off(usize::try_from(behind).unwrap_or(piece.len()));
        }
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(self.rest.len());
        Some(Ok(self.rest.split_to(count)))
    }
}

/// Leaves out the first bytes.
struct Skipping<W> {
    skip: u64,
    inner: W,
}

impl<W: Write> Write for Skipping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        if skip > 0 {
            self.skip -= skip as u64;
            return Ok(skip);
        }
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// How far all transfers of one image are.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<Counted>>);

struct Counted {
    step: RunningStep,
    bytes: u64,
    reported: u64,
    total: Option<u64>,
}

/// So many bytes have to move before they are reported.
const REPORTED: u64 = 512 << 10;

impl Progress {
    pub(super) fn new(step: RunningStep) -> Self {
        Self(Arc::new(Mutex::new(Counted { step, bytes: 0, reported: 0, total: None })))
    }

    /// Announces bytes that will move.
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

    /// Takes back what has to be sent again.
    fn forget(&self, bytes: u64) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.bytes = counted.bytes.saturating_sub(bytes);
        counted.reported = counted.bytes;
    }

    /// Ends the step with what moved.
    pub(super) fn finish(&self, step: RunningStep, was_there: bool) {
        match self.bytes() {
            0 if was_there => step.finish("was already there"),
            bytes => step.sized(bytes).finish(""),
        }
    }

    /// How many bytes moved.
    pub(super) fn bytes(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}
