//! Owns the messages between b2i and its sandbox child, in the frames of `frames`.
//!
//! The child works on hostile input, so its messages are bounded and parsed as hostile. Must not know how either side
//! works.

mod frames;

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(super) use frames::{FrameKind, PIECE, read_frame, read_message, write_frame, write_message};

/// The child's ids in its user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Identity {
    /// Real root without a user namespace.
    Host,
    /// One mapped id. Extended attributes record the owners of files.
    Single,
    /// Mapped ranges from 0 on, with this many ids. Files have their real owners.
    Ranges { users: u32, groups: u32 },
}

/// The first message to the child.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) identity: Identity,
    pub(super) purpose: Purpose,
    /// `cgroup.procs` files of the command's process.
    pub(super) cgroups: Vec<PathBuf>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// Unpack one layer into an empty directory.
    Unpack { directory: PathBuf },
    /// Run one container. Its directory has at most a layer of its own.
    Container {
        directory: PathBuf,
        /// Unpacked, highest first.
        layers: Vec<PathBuf>,
        root: Option<Permissions>,
    },
    /// Empty a directory.
    Remove { directory: PathBuf },
}

/// Mode and owner of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Permissions {
    /// Permission bits.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// A tar follows `Unpack`; one byte with the directory follows the `Mount` of a [`MountedTree::Handed`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Request {
    Mapped,
    Unpack {
        directory: String,
    },
    Has {
        path: String,
    },
    Download {
        path: String,
        limit: u64,
    },
    Archive {
        path: String,
    },
    Mount(Box<MountRequest>),
    Run(Box<Command>),
    Signal(u8),
    /// At most this number of paths.
    TakeChanges {
        files: u64,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MountRequest {
    pub(super) tree: MountedTree,
    /// Its name in messages.
    pub(super) shown: String,
    /// Created if it is missing.
    pub(super) target: String,
    pub(super) read_only: bool,
    /// The top directory belongs to the user.
    pub(super) is_own: bool,
    /// `user[:group]`.
    pub(super) user: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum MountedTree {
    /// The path on this machine, as the child sees it.
    Path(PathBuf),
    /// b2i passes the open directory.
    OpenFile,
    /// A new directory of this name, which is removed with the container.
    Temporary { name: String },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Command {
    pub(super) arguments: Vec<String>,
    /// The whole environment.
    pub(super) environment: Vec<(String, String)>,
    /// `user[:group]`, numbers or names; empty means root.
    pub(super) user: String,
    pub(super) directory: String,
    pub(super) host_network: bool,
    pub(super) hosts: Vec<String>,
    /// One bit for each capability.
    pub(super) capabilities: u64,
    pub(super) processes: Option<u64>,
    pub(super) milliseconds: Option<u64>,
    pub(super) streams: Streams,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Streams {
    /// A script: no input, and output in frames.
    Framed,
    /// A program: b2i gets the other ends of three pipes, and the root filesystem is made as Docker does.
    Piped,
}

/// The bytes follow `File`. The other ends of the command's streams come with the byte after `Streams`. `Unshared` waits
/// for [`Request::Mapped`]. `NotStarted` has the error number of `execve`. `new_mount_points` are absolute paths, which
/// are not changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    Unshared,
    Ready,
    Unpacked { root: Option<Permissions>, notes: Vec<String> },
    Has(bool),
    Absent,
    NotAFile(String),
    TooLarge(u64),
    File,
    Mounted { can_write: bool },
    Streams,
    Exited(i64),
    TimedOut,
    NotStarted(i32),
    UnknownUser(String),
    Changed(Box<Change>),
    Complete { notes: Vec<String>, new_mount_points: Vec<String> },
    Failed(Fault),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    /// An infinitive with its object.
    pub(super) action: String,
    /// The error number, if a system call failed.
    pub(super) errno: Option<i32>,
    /// The reason without an error number.
    pub(super) reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum FaultKind {
    /// The kernel does not allow a sandbox.
    Namespace,
    /// The kernel does not allow the overlay in the cache.
    Overlay,
    /// An archive is not valid, or an entry is refused.
    Archive,
    /// The image has something else where a directory or file has to be.
    Image,
    /// An owner has no mapped id.
    Owner,
    Mount,
    /// The result cannot be a layer.
    Result,
    /// The result exceeds a limit.
    TooMuch,
    Other,
}

impl Fault {
    /// A failed system call.
    pub(super) fn system(kind: FaultKind, action: impl Into<String>, error: &io::Error) -> Self {
        let reason = if error.raw_os_error().is_some() { String::new() } else { error.to_string() };
        Self { kind, action: action.into(), errno: error.raw_os_error(), reason }
    }

    /// A failed system call below the root of an image. What the image has on the way may be the reason.
    pub(super) fn in_image(action: impl Into<String>, error: &io::Error) -> Self {
        const OF_IMAGE: [i32; 6] =
            [libc::ENOENT, libc::ENOTDIR, libc::ELOOP, libc::EEXIST, libc::EXDEV, libc::EISDIR];
        let is_image = error.raw_os_error().is_some_and(|number| OF_IMAGE.contains(&number));
        Self::system(if is_image { FaultKind::Image } else { FaultKind::Other }, action, error)
    }

    /// A refusal by b2i itself.
    pub(super) fn refused(kind: FaultKind, action: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { kind, action: action.into(), errno: None, reason: reason.into() }
    }

    pub(super) fn because(&self) -> String {
        match self.errno {
            Some(number) => io::Error::from_raw_os_error(number).to_string(),
            None => self.reason.clone(),
        }
    }
}

pub(super) trait OrFault<T> {
    fn or_fault(self, kind: FaultKind, action: impl Display) -> Result<T, Fault>;
}

impl<T, E: Into<io::Error>> OrFault<T> for Result<T, E> {
    fn or_fault(self, kind: FaultKind, action: impl Display) -> Result<T, Fault> {
        self.map_err(|error| Fault::system(kind, action.to_string(), &error.into()))
    }
}

/// One path that differs from the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    /// Absolute.
    pub(super) path: String,
    pub(super) kind: ChangeKind,
    /// Permission bits.
    pub(super) mode: u32,
    /// The path inside the sandbox.
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Names, and values in hexadecimal digits.
    pub(super) attributes: Vec<(String, String)>,
}

/// `opaque`: the image's contents are hidden. `differs`: it is new, or its mode or owner changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ChangeKind {
    Directory { opaque: bool, differs: bool },
    File { size: u64 },
    HardLink { target: String },
    Symlink { target: String },
    Fifo,
    Removed,
}
