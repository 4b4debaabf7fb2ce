//! Owns the interface of a source of blobs: opened by descriptor, read as one stream.
//! Must not know a store.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt};
use tokio::runtime::Handle;

use super::descriptor::Descriptor;
use super::digest::DigestBuilder;
use crate::blocking::blocking;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::stream::{pump, stream_to_reader};

/// The bytes of a blob. The stream compares them with the descriptor. If digest or size differ, its last item is
/// [`std::io::ErrorKind::InvalidData`].
pub type BlobStream = BoxStream<'static, io::Result<Bytes>>;

/// A place from which blobs are read.
pub trait BlobSource: Send + Sync {
    /// Opens a blob at its first byte. Several streams of one blob may be open.
    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream, OpenBlobError>>;

    /// The repository of the blobs, if they are in a registry. Another repository of that registry can mount them.
    fn origin(&self) -> Option<BlobOrigin> {
        None
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobOrigin {
    /// `host[:port]`.
    pub registry: String,
    pub repository: String,
}

/// Opens blobs on a thread that may block, through the runtime of the thread that made it.
#[derive(Clone)]
pub(crate) struct BlockingBlobs(Option<Handle>);

impl BlockingBlobs {
    /// Remembers the runtime of this thread. Threads that the caller starts have none.
    pub(crate) fn new() -> Self {
        Self(Handle::try_current().ok())
    }

    /// Opens a blob. A thread that drives the runtime must not call it.
    pub(crate) fn open(
        &self,
        blobs: &Arc<dyn BlobSource>,
        blob: &Descriptor,
    ) -> Result<impl Read + Send + use<>, OpenBlobError> {
        let runtime = self.0.as_ref().expect("blobs are read in a program with a runtime");
        let stream = runtime.block_on(blobs.open(blob))?;
        let (sender, reader) = stream_to_reader();
        runtime.spawn(pump(stream, sender));
        Ok(reader)
    }
}

/// Streams `length` bytes of `file` from `start`. The last item is an error if `blob` describes other bytes.
pub(crate) fn file_stream(file: Arc<File>, start: u64, length: u64, blob: &Descriptor) -> BlobStream {
    let state = FileState { file, start, length, position: 0, digest: DigestBuilder::new() };
    let blob = blob.clone();
    futures_util::stream::unfold(Some(state), move |state| {
        let blob = blob.clone();
        async move {
            let state = state?;
            if state.position == state.length {
                let end = state.check(&blob);
                return end.err().map(|error| (Err(error), None));
            }
            match blocking(|| state.read()).await {
                Ok((piece, state)) => Some((Ok(piece), Some(state))),
                Err(error) => Some((Err(error), None)),
            }
        }
    })
    .boxed()
}

struct FileState {
    file: Arc<File>,
    start: u64,
    length: u64,
    position: u64,
    digest: DigestBuilder,
}

impl FileState {
    /// Bytes of one read. With this size, the change of the thread costs little in comparison.
    const PIECE: u64 = 256 * 1024;

    fn read(mut self) -> io::Result<(Bytes, Self)> {
        let count = Self::PIECE.min(self.length - self.position);
        let mut piece = vec![0; usize::try_from(count).expect("a piece is small")];
        read_exactly_at(&self.file, &mut piece, self.start + self.position)?;
        self.digest.update(&piece);
        self.position += count;
        Ok((piece.into(), self))
    }

    fn check(self, blob: &Descriptor) -> io::Result<()> {
        let actual = self.digest.finish();
        if actual == blob.digest && self.length == blob.size {
            return Ok(());
        }
        let text = format!(
            "expected the blob {} of {} bytes, but found {actual} of {} bytes",
            blob.digest, blob.size, self.length
        );
        Err(io::Error::new(io::ErrorKind::InvalidData, text))
    }
}

pub(crate) struct FileSection {
    file: Arc<File>,
    position: u64,
    end: u64,
}

impl FileSection {
    /// The part of `length` bytes from `start`, which the caller has compared with the size of the file.
    pub(crate) fn new(file: Arc<File>, start: u64, length: u64) -> Self {
        Self { file, position: start, end: start + length }
    }
}

impl Read for FileSection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let count = buffer.len().min(left);
        read_exactly_at(&self.file, &mut buffer[..count], self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

/// Reads at an offset and moves no position, so that several threads may read one file.
pub(crate) fn read_exactly_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset)
}

/// A blob that could not be opened: the error of its store.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct OpenBlobError(Arc<dyn Diagnostic>);

impl OpenBlobError {
    pub fn new(error: impl Diagnostic) -> Self {
        Self(Arc::new(error))
    }
}

impl Diagnostic for OpenBlobError {
    fn kind(&self) -> FailureKind {
        self.0.kind()
    }

    fn hints(&self) -> Vec<String> {
        self.0.hints()
    }
}
