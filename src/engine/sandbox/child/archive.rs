//! Owns sending a file or a tree of the container as a tar. Must not read outside of the container's root, and must
//! not follow links.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::Errno;

use super::Stop;
use super::namespace::failed;
use super::tree::{names, open_in_root};
use crate::engine::sandbox::protocol::{
    Answer, Fault, FaultKind, FrameKind, OrFault, PIECE, write_frame, write_message,
};

const MAXIMUM_ENTRIES: usize = 1_000_000;

/// Sends `path` as a tar. The names of its entries begin with the last part of `path`.
pub(super) fn send(channel: &mut UnixStream, root: BorrowedFd<'_>, path: &str) -> Result<(), Stop> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW;
    match open_in_root(root, path.as_bytes(), flags) {
        Ok(_) => write_message(channel, &Answer::File)?,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
            return Ok(write_message(channel, &Answer::Absent)?);
        }
        Err(error) => return Err(failed(FaultKind::Other, format!("look for `{path}`"), error).into()),
    }
    let mut tar = tar::Builder::new(Frames { channel, piece: Vec::with_capacity(PIECE) });
    let name = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(".").to_owned();
    let mut waiting = vec![(path.trim_end_matches('/').to_owned(), name)];
    let mut count = 0;
    while let Some((path, name)) = waiting.pop() {
        count += 1;
        if count > MAXIMUM_ENTRIES {
            let reason = format!("it has more than {MAXIMUM_ENTRIES} entries");
            return Err(Fault::refused(FaultKind::Result, "send the files", reason).into());
        }
        let below = add(&mut tar, root, &path, &name)
            .map_err(|error| Stop::from(Fault::system(FaultKind::Other, format!("read `{path}`"), &error)))?;
        waiting.extend(below);
    }
    let mut frames = tar.into_inner().or_fault(FaultKind::Other, "send the files")?;
    frames.flush()?;
    Ok(write_frame(frames.channel, FrameKind::End, b"")?)
}

/// Adds one entry and returns the entries below it.
fn add(
    tar: &mut tar::Builder<Frames<'_>>,
    root: BorrowedFd<'_>,
    path: &str,
    name: &str,
) -> io::Result<Vec<(String, String)>> {
    let handle = open_in_root(root, path.as_bytes(), OFlags::PATH | OFlags::NOFOLLOW)?;
    let stat = rustix::fs::fstat(&handle)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            let mut header = header(tar::EntryType::Directory, &stat, 0);
            tar.append_data(&mut header, format!("{name}/"), io::empty())?;
            let handle = open_in_root(root, path.as_bytes(), OFlags::RDONLY | OFlags::DIRECTORY)?;
            let mut below: Vec<(String, String)> = Vec::new();
            for entry in names(&handle)? {
                let entry = entry.to_str().map_err(|_| io::Error::other("a name in it is not UTF-8"))?;
                below.push((format!("{path}/{entry}"), format!("{name}/{entry}")));
            }
            // The list is a stack: its last entry is next.
            below.sort_unstable_by(|one, two| two.cmp(one));
            Ok(below)
        }
        FileType::RegularFile => {
            // The open does not block: the file may be a pipe by now.
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
            let file = std::fs::File::from(open_in_root(root, path.as_bytes(), flags)?);
            let size = file.metadata()?.len();
            let mut header = header(tar::EntryType::Regular, &stat, size);
            let mut content = file.take(size);
            tar.append_data(&mut header, name, &mut content)?;
            if content.limit() > 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(Vec::new())
        }
        FileType::Symlink => {
            link(tar, &handle, &stat, name)?;
            Ok(Vec::new())
        }
        // Sockets, pipes and devices are skipped.
        _ => Ok(Vec::new()),
    }
}

fn link(tar: &mut tar::Builder<Frames<'_>>, handle: &OwnedFd, stat: &Stat, name: &str) -> io::Result<()> {
    let target = rustix::fs::readlinkat(handle.as_fd(), c"", Vec::new())?;
    let target = target.to_str().map_err(|_| io::Error::other("the target of a link is not UTF-8"))?;
    let mut header = header(tar::EntryType::Symlink, stat, 0);
    tar.append_link(&mut header, name, target)
}

fn header(kind: tar::EntryType, stat: &Stat, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(stat.st_mode & 0o7777);
    header.set_size(size);
    header.set_mtime(0);
    header
}

struct Frames<'a> {
    channel: &'a mut UnixStream,
    piece: Vec<u8>,
}

impl Write for Frames<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.piece.is_empty() {
            write_frame(self.channel, FrameKind::Data, &self.piece)?;
            self.piece.clear();
        }
        Ok(())
    }
}
