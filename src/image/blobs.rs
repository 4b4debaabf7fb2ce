//! Owns what every source of blobs looks like from outside: opened by descriptor, read as one stream.
//!
//! The stores implement it; sinks, the sandbox and copying read through it. Must not know any one store.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
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

/// The bytes of a blob. Before it ends well, digest and size were compared with the descriptor's: bytes that are not
/// the described ones end it with [`std::io::ErrorKind::InvalidData`].
pub type BlobStream = BoxStream<'static, std::io::Result<Bytes>>;

/// Where blobs are kept.
pub trait BlobSource: Send + Sync {
    /// Opens a blob from its first byte; any number of times, any number at once.
    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream, OpenBlobError>>;

    /// The registry and repository the blobs are in, if they are in one: from there another repository of the same
    /// registry mounts them.
    fn origin(&self) -> Option<BlobOrigin> {
        None
    }
}

/// A repository that holds blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobOrigin {
    /// Host, with its port if it has one.
    pub registry: String,
    /// Path of the repository.
    pub repository: String,
}

/// Reads blobs on a thread that may wait, through the runtime that it was made in.
#[derive(Clone)]
pub(crate) struct BlockingBlobs(Option<Handle>);

impl BlockingBlobs {
    /// Remembers the runtime of this thread; threads that the caller starts belong to none.
    pub(crate) fn new() -> Self {
        Self(Handle::try_current().ok())
    }

    /// Opens a blob; must not be called on a thread that drives the runtime.
    ///
    /// # Errors
    /// As [`BlobSource::open`].
    pub(crate) fn open(
        &self,
        blobs: &Arc<dyn BlobSource>,
        blob: &Descriptor,
    ) -> Result<impl Read + Send + use<>, OpenBlobError> {
        let runtime = self.0.as_ref().expect("blobs are read beside a runtime");
        let stream = runtime.block_on(blobs.open(blob))?;
        let (sender, reader) = stream_to_reader();
        runtime.spawn(pump(stream, sender));
        Ok(reader)
    }
}

/// Streams `length` bytes of `file` from `start` on, and ends with an error unless they are what `blob` describes.
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
    /// Bytes that are read at once: large enough that changing threads costs nothing beside it.
    const PIECE: u64 = 256 * 1024;

    fn read(mut self) -> io::Result<(Bytes, Self)> {
        let want = Self::PIECE.min(self.length - self.position);
        let mut piece = vec![0; usize::try_from(want).expect("a piece is small")];
        read_exactly_at(&self.file, &mut piece, self.start + self.position)?;
        self.digest.update(&piece);
        self.position += want;
        Ok((piece.into(), self))
    }

    fn check(self, blob: &Descriptor) -> io::Result<()> {
        let found = self.digest.finish();
        if found == blob.digest && self.length == blob.size {
            return Ok(());
        }
        let text = format!(
            "the blob {} of {} bytes was announced, but {found} of {} bytes is in its place",
            blob.digest, blob.size, self.length
        );
        Err(io::Error::new(io::ErrorKind::InvalidData, text))
    }
}

/// Reads a part of a file, from its first byte to its last.
pub(crate) struct FileSection {
    file: Arc<File>,
    position: u64,
    end: u64,
}

impl FileSection {
    /// Takes `length` bytes from `start` on; the caller knows that they are there.
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

/// Reads at an offset without moving any position, so that several may read the same file.
pub(crate) fn read_exactly_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset);
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < buffer.len() {
            match std::os::windows::fs::FileExt::seek_read(file, &mut buffer[done..], offset + done as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => done += count,
            }
        }
        Ok(())
    }
}

/// A blob that could not be opened: the error of the store it is in.
#[derive(Clone)]
pub struct OpenBlobError(Arc<dyn Diagnostic>);

impl OpenBlobError {
    /// Wraps a store's own error.
    pub fn new(error: impl Diagnostic) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Debug for OpenBlobError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl fmt::Display for OpenBlobError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl std::error::Error for OpenBlobError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
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
