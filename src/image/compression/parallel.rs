//! Owns compressing on several cores: cuts what is written into pieces, hands them to threads and puts the results
//! out in order. At most [`IN_FLIGHT_BESIDE_WORKERS`] pieces more than threads are held at any time.
//!
//! Must not know that the bytes are a layer's.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};

use super::member::MemberCompressor;
use super::{MEMBER_SIZE, Method};

/// One thread fills and hashes for all: it feeds no more than about six at the default level. More help with slow
/// levels; at this number memory stays below 16 MiB.
const MOST_WORKERS: usize = 16;

/// Pieces that wait for a worker or for being written, so that neither end has to wait for the other at once.
const IN_FLIGHT_BESIDE_WORKERS: usize = 4;

/// A piece, and where its member goes. Both buffers come back to be filled again.
struct Job {
    buffers: Buffers,
    done: SyncSender<io::Result<Buffers>>,
}

#[derive(Default)]
struct Buffers {
    piece: Vec<u8>,
    member: Vec<u8>,
}

/// Compresses what is written to it and writes the members to `out`, in order.
pub(super) struct ParallelWriter<W> {
    out: W,
    filling: Buffers,
    spare: Vec<Buffers>,
    pending: VecDeque<Receiver<io::Result<Buffers>>>,
    most_pending: usize,
    crew: Crew,
    pieces: u64,
}

/// Who compresses.
enum Crew {
    /// This thread.
    Own(MemberCompressor),
    /// Others; they end when this sender is gone.
    Threads(Sender<Job>),
}

impl<W: Write> ParallelWriter<W> {
    /// Starts compressing on `threads` threads; `size` bytes are to be expected.
    pub(super) fn new(method: Method, threads: NonZeroUsize, size: u64, out: W) -> io::Result<Self> {
        let pieces = usize::try_from(size.div_ceil(MEMBER_SIZE as u64)).unwrap_or(usize::MAX);
        let workers = threads.get().min(MOST_WORKERS).min(pieces);
        let crew = if workers <= 1 {
            Crew::Own(MemberCompressor::new(method))
        } else {
            Crew::Threads(start(workers, method)?)
        };
        Ok(Self {
            out,
            filling: Buffers::default(),
            spare: Vec::new(),
            pending: VecDeque::new(),
            most_pending: workers + IN_FLIGHT_BESIDE_WORKERS,
            crew,
            pieces: 0,
        })
    }

    /// Compresses the rest, writes all of it and gives `out` back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        // Nothing at all is one empty member: an empty file is no gzip file.
        if !self.filling.piece.is_empty() || self.pieces == 0 {
            self.hand_over()?;
        }
        while let Some(oldest) = self.pending.pop_front() {
            self.put_out(oldest.recv().unwrap_or_else(|_| Err(worker_is_gone())))?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    /// Gives the filled piece away and takes what is ready.
    fn hand_over(&mut self) -> io::Result<()> {
        self.pieces += 1;
        let next = self.spare.pop().unwrap_or_default();
        let mut buffers = std::mem::replace(&mut self.filling, next);
        match &mut self.crew {
            Crew::Own(compressor) => {
                compressor.compress(&buffers.piece, &mut buffers.member)?;
                self.put_out(Ok(buffers))
            }
            Crew::Threads(jobs) => {
                let (done, result) = mpsc::sync_channel(1);
                jobs.send(Job { buffers, done }).map_err(|_| worker_is_gone())?;
                self.pending.push_back(result);
                self.take_ready()
            }
        }
    }

    fn take_ready(&mut self) -> io::Result<()> {
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
            self.put_out(result)?;
        }
        Ok(())
    }

    fn put_out(&mut self, result: io::Result<Buffers>) -> io::Result<()> {
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
            self.hand_over()?;
        }
        Ok(count)
    }

    /// Does nothing: where a piece ends must not depend on who flushes. [`ParallelWriter::finish`] writes the last.
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
            // The system gives no more: those that there are do it, and the bytes are the same.
            Err(_) => break,
        }
    }
    Ok(sender)
}

fn work(jobs: &Mutex<Receiver<Job>>, method: Method) {
    let mut compressor = MemberCompressor::new(method);
    loop {
        // Held while waiting: the others wait for the lock instead of for the channel.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { mut buffers, done }) = job else { return };
        let result = compressor.compress(&buffers.piece, &mut buffers.member).map(|()| buffers);
        // Whoever waited may have failed meanwhile.
        drop(done.send(result));
    }
}

fn worker_is_gone() -> io::Error {
    io::Error::other("a thread that compressed a part of the layer has ended early")
}
