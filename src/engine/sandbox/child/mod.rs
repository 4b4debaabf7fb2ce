//! Owns the sandbox child: the re-executed, single-threaded process with the namespaces of one container.
//!
//! b2i starts it as `b2i __sandbox` with a socket as standard input, which has its requests. When the socket closes,
//! the child kills the command, removes the container's directory and ends. Must not start threads or read the
//! environment.

mod archive;
mod attributes;
mod changes;
mod files;
#[cfg(fuzzing)]
pub mod fuzzing;
mod init;
mod lookup;
mod member;
mod mounts;
mod namespace;
mod rights;
mod rootfs;
mod run;
mod seccomp;
mod tree;
mod unpack;
mod user;
mod whiteout;

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use super::descriptors;
use super::protocol::{
    Answer, Fault, FaultKind, FrameKind, Identity, MountedTree, OrFault, Purpose, Request, Setup,
    read_message, write_frame, write_message,
};
use namespace::Place;
pub(super) use rootfs::HOST_NAME;

pub const CHILD_ARGUMENT: &str = "__sandbox";

/// Most address space of a child that unpacks, in bytes, in case the archive reader has no bound.
const ADDRESS_SPACE: u64 = 1 << 30;

/// Runs the child if the program was started as one. Call it before starting threads.
pub fn run_if_child(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    let is_child =
        arguments.next().is_some_and(|first| first == CHILD_ARGUMENT) && arguments.next().is_none();
    is_child.then(|| {
        let channel = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3);
        match channel {
            Ok(channel) => Child { channel: UnixStream::from(channel) }.serve(),
            Err(_) => ExitCode::from(2),
        }
    })
}

/// Takes everything away from the process that unpacks a layer but its directory and its socket. The archive is hostile,
/// and outside is every file of the user.
fn confine(root: &OwnedFd, identity: Identity) -> Result<(), Fault> {
    // A namespace of one id may exist where the capability does not.
    let entered = rustix::process::fchdir(root).and_then(|()| rustix::process::chroot("."));
    match entered {
        Err(rustix::io::Errno::PERM) if identity == Identity::Host => {}
        entered => entered.or_fault(FaultKind::Namespace, "enter the directory of a layer")?,
    }
    let filter = seccomp::filter_for_unpacking();
    let filter = filter.or_fault(FaultKind::Other, "make the filter of system calls")?;
    seccomp::apply(&filter).or_fault(FaultKind::Other, "filter system calls")
}

struct Child {
    channel: UnixStream,
}

enum Stop {
    /// b2i has closed the connection.
    Gone,
    /// One request failed; the child continues.
    Fault(Fault),
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Child {
    fn serve(mut self) -> ExitCode {
        if rights::prepare_child().is_err() {
            return ExitCode::from(2);
        }
        // A user may have started this process, so the first frame has to be a setup.
        let Ok(Some(setup)) = read_message::<Setup>(&mut self.channel) else { return ExitCode::from(2) };
        match self.work(&setup) {
            Ok(()) | Err(Stop::Gone) => ExitCode::SUCCESS,
            Err(Stop::Fault(fault)) => {
                // b2i may be gone.
                let _ = write_message(&mut self.channel, &Answer::Failed(fault));
                ExitCode::from(1)
            }
        }
    }

    fn work(&mut self, setup: &Setup) -> Result<(), Stop> {
        let cgroups = open_cgroups(setup)?;
        if namespace::enter(setup)? {
            self.answer(&Answer::Unshared)?;
            match read_message::<Request>(&mut self.channel)? {
                Some(Request::Mapped) => {}
                Some(_) | None => return Err(Stop::Gone),
            }
        }
        namespace::separate_mounts(setup)?;
        match &setup.purpose {
            Purpose::Remove { directory } => {
                tree::empty(directory)?;
                Ok(self.answer(&Answer::Complete { notes: Vec::new(), new_mount_points: Vec::new() })?)
            }
            Purpose::Unpack { directory } => {
                rights::limit_address_space(ADDRESS_SPACE);
                self.answer(&Answer::Ready)?;
                let Some(Request::Unpack { .. }) = read_message(&mut self.channel)? else {
                    return Err(Stop::Gone);
                };
                let root = tree::open_directory(directory)?;
                confine(&root, setup.identity)?;
                let unpacked = self.unpack(|input| {
                    unpack::unpack(root, "/", input, unpack::Target::Layer, setup.identity)
                })?;
                Ok(self.answer(&Answer::Unpacked { root: unpacked.root, notes: unpacked.notes })?)
            }
            Purpose::Container { directory, layers, root } => {
                let result = Place::mount(directory, layers, *root, setup.identity)
                    .map_err(Stop::Fault)
                    .and_then(|place| self.keep(place, cgroups));
                namespace::unmount(directory);
                let emptied = tree::empty(directory);
                result?;
                Ok(emptied?)
            }
        }
    }

    /// Serves one container until the socket closes.
    fn keep(&mut self, mut place: Place, cgroups: Vec<OwnedFd>) -> Result<(), Stop> {
        self.answer(&Answer::Ready)?;
        while let Some(request) = read_message::<Request>(&mut self.channel)? {
            match self.serve_request(request, &mut place, &cgroups) {
                Ok(()) => {}
                Err(Stop::Fault(fault)) => self.answer(&Answer::Failed(fault))?,
                Err(Stop::Gone) => return Err(Stop::Gone),
            }
        }
        Ok(())
    }

    fn serve_request(
        &mut self,
        request: Request,
        place: &mut Place,
        cgroups: &[OwnedFd],
    ) -> Result<(), Stop> {
        match request {
            // A signal may come after the end of its program.
            Request::Mapped | Request::Signal(_) => Ok(()),
            Request::Unpack { directory } => {
                let root = place.root_handle();
                let identity = place.identity;
                let unpacked = self.unpack(|input| {
                    unpack::unpack(root?, &directory, input, unpack::Target::Container, identity)
                })?;
                place.link_owners.extend(unpacked.link_owners);
                Ok(self.answer(&Answer::Unpacked { root: None, notes: unpacked.notes })?)
            }
            Request::Has { path } => {
                let has = lookup::has(place.root()?, &path)?;
                Ok(self.answer(&Answer::Has(has))?)
            }
            Request::Download { path, limit } => self.download(place, &path, limit),
            Request::Archive { path } => archive::send(&mut self.channel, place.root()?, &path),
            Request::Mount(request) => {
                let open_file = match request.tree {
                    MountedTree::OpenFile => {
                        let [tree] = descriptors::receive(&self.channel)?;
                        Some(tree)
                    }
                    MountedTree::Path(_) | MountedTree::Temporary { .. } => None,
                };
                let can_write = mounts::mount(place, &request, open_file)?;
                Ok(self.answer(&Answer::Mounted { can_write })?)
            }
            Request::Run(command) => {
                let cgroups: io::Result<Vec<OwnedFd>> = cgroups.iter().map(OwnedFd::try_clone).collect();
                let cgroups = cgroups.or_fault(FaultKind::Other, "copy the control group")?;
                run::run(&mut self.channel, place, &command, cgroups)
            }
            Request::TakeChanges { files } => {
                let notes = changes::send(place, files, |change| {
                    write_message(&mut self.channel, &Answer::Changed(Box::new(change)))
                })?;
                let new_mount_points = place.new_mount_points.iter().cloned().collect();
                Ok(self.answer(&Answer::Complete { notes, new_mount_points })?)
            }
        }
    }

    fn download(&mut self, place: &Place, path: &str, limit: u64) -> Result<(), Stop> {
        match lookup::read(place.root()?, path, limit)? {
            lookup::Lookup::Absent => self.answer(&Answer::Absent)?,
            lookup::Lookup::NotAFile(what) => self.answer(&Answer::NotAFile(what.to_owned()))?,
            lookup::Lookup::TooLarge(size) => self.answer(&Answer::TooLarge(size))?,
            lookup::Lookup::File(bytes) => {
                self.answer(&Answer::File)?;
                for piece in bytes.chunks(super::protocol::PIECE) {
                    write_frame(&mut self.channel, FrameKind::Data, piece)?;
                }
                write_frame(&mut self.channel, FrameKind::End, b"")?;
            }
        }
        Ok(())
    }

    /// Unpacks the archive in the next data frames. The rest of it is skipped, because the answer follows.
    fn unpack(
        &mut self,
        unpack: impl FnOnce(&mut DataReader<'_>) -> Result<unpack::Unpacked, Fault>,
    ) -> Result<unpack::Unpacked, Stop> {
        let mut reader =
            DataReader { channel: &mut self.channel, piece: Vec::new(), at: 0, state: State::Open };
        let result = unpack(&mut reader);
        let drained = io::copy(&mut reader, &mut io::sink());
        match reader.state {
            State::Complete => Ok(result?),
            State::Cut => {
                Err(Fault::refused(FaultKind::Archive, "unpack the archive", "it is incomplete").into())
            }
            State::Open => {
                drained?;
                Err(Stop::Gone)
            }
        }
    }

    fn answer(&mut self, answer: &Answer) -> io::Result<()> {
        write_message(&mut self.channel, answer)
    }
}

/// Opens the cgroups with b2i's own rights, which the user namespace does not have.
fn open_cgroups(setup: &Setup) -> Result<Vec<OwnedFd>, Fault> {
    let open = |path: &std::path::PathBuf| {
        let file = std::fs::OpenOptions::new().write(true).open(path);
        file.map(OwnedFd::from).or_fault(FaultKind::Other, format_args!("open `{}`", path.display()))
    };
    setup.cgroups.iter().map(open).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Complete,
    Cut,
}

struct DataReader<'a> {
    channel: &'a mut UnixStream,
    piece: Vec<u8>,
    at: usize,
    state: State,
}

impl io::Read for DataReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            if self.state == State::Complete {
                return Ok(0);
            }
            if self.state == State::Cut {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match super::protocol::read_frame(self.channel)? {
                Some((FrameKind::Data, piece)) => (self.piece, self.at) = (piece, 0),
                Some((FrameKind::End, _)) => self.state = State::Complete,
                Some((FrameKind::Cut, _)) => self.state = State::Cut,
                Some(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "data was expected")),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let count = buffer.len().min(self.piece.len() - self.at);
        buffer[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
