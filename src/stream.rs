//! Owns the two bridges between blocking readers and writers and asynchronous byte streams.
//!
//! Each buffers a bounded number of bytes. Must not know what the bytes mean.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use tokio::sync::{mpsc, oneshot};

/// The bytes of a tar.
pub type TarStream = BoxStream<'static, io::Result<Bytes>>;

/// Size of one piece, in bytes. At most [`PIECES`] of them are buffered.
const PIECE: usize = 64 * 1024;
const PIECES: usize = 4;

/// Makes a writer for a blocking thread and the stream of the written bytes.
///
/// Dropping the writer before [`StreamWriter::finish`] ends the stream with an error: a partial archive must not look
/// complete.
pub(crate) fn writer_to_stream() -> (StreamWriter, TarStream) {
    let (sender, receiver) = mpsc::channel(PIECES);
    let finished = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let writer =
        StreamWriter { sender, buffer: BytesMut::with_capacity(PIECE), finished: finished.clone(), written };
    let stream = futures_util::stream::unfold(Some(receiver), move |receiver| {
        let finished = finished.clone();
        async move {
            let mut receiver: mpsc::Receiver<Bytes> = receiver?;
            match receiver.recv().await {
                Some(piece) => Some((Ok(piece), Some(receiver))),
                None if finished.load(Ordering::Acquire) => None,
                None => Some((Err(io::Error::other("the archive is incomplete")), None)),
            }
        }
    });
    (writer, stream.boxed())
}

/// The stream, ended with an error when the sender of `gone` is dropped.
pub(crate) fn until_gone(stream: TarStream, gone: oneshot::Receiver<()>) -> TarStream {
    let pieces = futures_util::stream::unfold(Some((stream, gone)), |state| async move {
        let (mut stream, mut gone) = state?;
        tokio::select! {
            biased;
            _ = &mut gone => Some((Err(io::Error::other("the reader of the archive is gone")), None)),
            piece = stream.next() => piece.map(|piece| (piece, Some((stream, gone)))),
        }
    });
    pieces.boxed()
}

/// The blocking end of [`writer_to_stream`].
pub(crate) struct StreamWriter {
    sender: mpsc::Sender<Bytes>,
    buffer: BytesMut,
    finished: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
}

impl StreamWriter {
    /// The number of bytes sent so far.
    pub(crate) fn counter(&self) -> Arc<AtomicU64> {
        self.written.clone()
    }

    /// Sends the rest and ends the stream without an error.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.send()?;
        self.finished.store(true, Ordering::Release);
        Ok(())
    }

    fn send(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(PIECE)).freeze();
        self.written.fetch_add(piece.len() as u64, Ordering::Relaxed);
        self.sender
            .blocking_send(piece)
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the daemon stopped reading the archive"))
    }
}

impl Write for StreamWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        if self.buffer.len() == PIECE {
            self.send()?;
        }
        Ok(count)
    }

    /// Does nothing: a piece is sent when it is full, and [`Self::finish`] sends the last one.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes a sender for an asynchronous task and a reader for a blocking thread.
pub(crate) fn stream_to_reader() -> (mpsc::Sender<io::Result<Bytes>>, StreamReader) {
    let (sender, receiver) = mpsc::channel(PIECES);
    (sender, StreamReader { receiver, piece: Bytes::new() })
}

/// The blocking end of [`stream_to_reader`].
pub(crate) struct StreamReader {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for StreamReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// Sends everything from `stream` until it ends or the reader is dropped.
pub(crate) async fn pump<E: std::error::Error + Send + Sync + 'static>(
    mut stream: impl Stream<Item = Result<Bytes, E>> + Unpin,
    sender: mpsc::Sender<io::Result<Bytes>>,
) {
    while let Some(piece) = stream.next().await {
        if sender.send(piece.map_err(io::Error::other)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_finished_writer_gives_all_bytes_in_order() {
        let (mut writer, stream) = writer_to_stream();
        let bytes: Vec<u8> = (0..3 * PIECE + 17).map(|index| (index % 251) as u8).collect();
        let expected = bytes.clone();
        let thread = tokio::task::spawn_blocking(move || {
            writer.write_all(&bytes)?;
            writer.finish()
        });
        let pieces: Vec<_> = stream.collect().await;
        let read: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.expect("no error").to_vec()).collect();
        thread.await.expect("no panic").expect("written");
        assert_eq!(read, expected);
    }

    #[tokio::test]
    async fn a_dropped_writer_ends_the_stream_with_an_error() {
        let (mut writer, stream) = writer_to_stream();
        tokio::task::spawn_blocking(move || writer.write_all(&[7; PIECE + 1]))
            .await
            .expect("joined")
            .expect("ok");
        let pieces: Vec<_> = stream.collect().await;
        assert_eq!(pieces.len(), 2);
        assert!(pieces[1].is_err(), "the second piece was never handed on");
    }

    #[tokio::test]
    async fn a_dropped_stream_stops_the_writer() {
        let (mut writer, stream) = writer_to_stream();
        drop(stream);
        let result =
            tokio::task::spawn_blocking(move || writer.write_all(&[0; PIECE])).await.expect("joined");
        assert_eq!(result.expect_err("nobody reads").kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_reader_sees_the_stream() {
        let (sender, mut reader) = stream_to_reader();
        let stream =
            futures_util::stream::iter(["ab", "", "c"].map(|piece| Ok::<_, io::Error>(Bytes::from(piece))));
        let thread = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        pump(stream, sender).await;
        assert_eq!(thread.await.expect("joined").expect("read"), "abc");
    }
}
