//! Owns compressing on several cores: it cuts the stream into pieces, which threads compress, and writes the members in
//! order. Must not hold more pieces than its threads and [`WAITING_PIECES`]. `gzp` was weighed: it has no zstd.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};

use super::member::MemberCompressor;
use super::{MEMBER_SIZE, Method};

/// One thread reads and hashes. At the default level it feeds about six workers; slow levels need more. With this number
/// memory stays below 16 MiB.
const MOST_WORKERS: usize = 16;

/// The number of pieces that may wait for a worker or for the output. Without them, each end would soon wait for the
/// other.
const WAITING_PIECES: usize = 4;

/// A piece, and the channel on which its buffers come back.
struct Job {
    buffers: Buffers,
    done: SyncSender<io::Result<Buffers>>,
}

#[derive(Default)]
struct Buffers {
    piece: Vec<u8>,
    member: Vec<u8>,
}

/// Compresses its input and writes the members to `out`, in order.
pub(super) struct ParallelWriter<W> {
    out: W,
    filling: Buffers,
    spare: Vec<Buffers>,
    pending: VecDeque<Receiver<io::Result<Buffers>>>,
    most_pending: usize,
    workers: Workers,
    pieces: u64,
}

enum Workers {
    /// This thread compresses.
    None(MemberCompressor),
    /// The threads end when this sender is dropped.
    Threads(Sender<Job>),
}

impl<W: Write> ParallelWriter<W> {
    /// Starts at most `threads` threads, fewer if an input of `size` bytes has fewer pieces.
    pub(super) fn new(method: Method, threads: NonZeroUsize, size: u64, out: W) -> io::Result<Self> {
        let pieces = usize::try_from(size.div_ceil(MEMBER_SIZE as u64)).unwrap_or(usize::MAX);
        let count = threads.get().min(MOST_WORKERS).min(pieces);
        let workers = match count {
            0 | 1 => Workers::None(MemberCompressor::new(method)),
            count => Workers::Threads(start(count, method)?),
        };
        Ok(Self {
            out,
            filling: Buffers::default(),
            spare: Vec::new(),
            pending: VecDeque::new(),
            most_pending: count + WAITING_PIECES,
            workers,
            pieces: 0,
        })
    }

    /// Compresses and writes the rest.
    pub(super) fn finish(mut self) -> io::Result<W> {
        // An empty input is one empty member, because an empty file is not a gzip file.
        if !self.filling.piece.is_empty() || self.pieces == 0 {
            self.send_piece()?;
        }
        while let Some(oldest) = self.pending.pop_front() {
            self.write_member(oldest.recv().unwrap_or_else(|_| Err(worker_is_gone())))?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    /// Sends the filled piece to a worker and writes the members that are ready.
    fn send_piece(&mut self) -> io::Result<()> {
        self.pieces += 1;
        let next = self.spare.pop().unwrap_or_default();
        let mut buffers = std::mem::replace(&mut self.filling, next);
        match &mut self.workers {
            Workers::None(compressor) => {
                compressor.compress(&buffers.piece, &mut buffers.member)?;
                self.write_member(Ok(buffers))
            }
            Workers::Threads(jobs) => {
                let (done, result) = mpsc::sync_channel(1);
                jobs.send(Job { buffers, done }).map_err(|_| worker_is_gone())?;
                self.pending.push_back(result);
                self.write_ready()
            }
        }
    }

    fn write_ready(&mut self) -> io::Result<()> {
        while let Some(oldest) = self.pending.front() {
            let result = if self.pending.len() >= self.most_pending {
                oldest.recv().unwrap_or_else(|_| Err(worker_is_gone()))
            } else {
                match oldest.try_recv() {
                    Ok(result) => result,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => Err(worker_is_gone()),
                }
            };
            self.pending.pop_front();
            self.write_member(result)?;
        }
        Ok(())
    }

    fn write_member(&mut self, result: io::Result<Buffers>) -> io::Result<()> {
        let mut buffers = result?;
        self.out.write_all(&buffers.member)?;
        buffers.piece.clear();
        self.spare.push(buffers);
        Ok(())
    }
}

impl<W: Write> Write for ParallelWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &mut self.filling.piece;
        piece.reserve_exact(MEMBER_SIZE - piece.len());
        let count = bytes.len().min(MEMBER_SIZE - piece.len());
        piece.extend_from_slice(&bytes[..count]);
        if piece.len() == MEMBER_SIZE {
            self.send_piece()?;
        }
        Ok(count)
    }

    /// Does nothing, so that the end of a piece does not depend on a flush. [`ParallelWriter::finish`] writes the rest.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start(workers: usize, method: Method) -> io::Result<Sender<Job>> {
    let (sender, receiver) = mpsc::channel::<Job>();
    let receiver = Arc::new(Mutex::new(receiver));
    for number in 0..workers {
        let receiver = receiver.clone();
        let started =
            std::thread::Builder::new().name("compress".into()).spawn(move || work(&receiver, method));
        match started {
            Ok(_) => {}
            Err(error) if number == 0 => return Err(error),
            // If the system allows no more threads, the first ones do the work. The bytes are the same.
            Err(_) => break,
        }
    }
    Ok(sender)
}

fn work(jobs: &Mutex<Receiver<Job>>, method: Method) {
    let mut compressor = MemberCompressor::new(method);
    loop {
        // One thread waits for the channel, the others for the lock.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { mut buffers, done }) = job else { return };
        let result = compressor.compress(&buffers.piece, &mut buffers.member).map(|()| buffers);
        // The receiver is gone if the writer has failed.
        drop(done.send(result));
    }
}

fn worker_is_gone() -> io::Error {
    io::Error::other("a thread that compressed a part of the layer ended early")
}
