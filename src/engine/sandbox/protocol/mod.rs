//! Owns what b2i and its sandbox child say to each other: frames over one socket.
//!
//! How it is framed is `frames`. The child works on hostile input, so what it says is bounded and parsed like any other
//! input. Must not know how either side does its work.

mod frames;

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(super) use frames::{FrameKind, PIECE, read_frame, read_message, write_frame, write_message};

/// Who the child is inside of its user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Identity {
    /// No user namespace: real root.
    Host,
    /// One id is mapped; whose a file is stands in an extended attribute.
    Single,
    /// Ranges of ids are mapped, so files have their real owners.
    Ranges {
        /// Number of users inside, from 0.
        users: u32,
        /// Number of groups inside, from 0.
        groups: u32,
    },
}

/// What the child is told first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    /// Who it is.
    pub(super) identity: Identity,
    /// What it is for.
    pub(super) purpose: Purpose,
    /// Files named `cgroup.procs` into which the command's process goes.
    pub(super) cgroups: Vec<PathBuf>,
}

/// What a child is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// To unpack one layer into `directory`, which is there and empty.
    Unpack {
        /// Where to.
        directory: PathBuf,
    },
    /// To keep one container in `directory`, which is there and has at most a layer of its own in it.
    Container {
        /// Its directory.
        directory: PathBuf,
        /// The unpacked layers, highest first.
        layers: Vec<PathBuf>,
        /// Mode and owner of the image's root directory, if a layer names them.
        root: Option<RootEntry>,
    },
    /// To empty `directory`.
    Remove {
        /// Which.
        directory: PathBuf,
    },
}

/// Mode and owner of the image's root directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RootEntry {
    /// Permission bits.
    pub(super) mode: u32,
    /// User.
    pub(super) uid: u32,
    /// Group.
    pub(super) gid: u32,
}

/// What the child is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// The ids are mapped; go on.
    Mapped,
    /// Unpack the tar that follows below this directory of the container, or as the layer.
    Unpack {
        /// Absolute path in the container.
        directory: String,
    },
    /// Whether there is such a file.
    Has {
        /// Absolute path in the container.
        path: String,
    },
    /// Send a file.
    Download {
        /// Absolute path in the container.
        path: String,
        /// Most bytes.
        limit: u64,
    },
    /// Send what is at a path as a tar.
    Archive {
        /// Absolute path in the container.
        path: String,
    },
    /// Mount something. What is handed over follows with one byte.
    Mount(Box<MountRequest>),
    /// Run a command.
    Run(Box<Command>),
    /// Send this signal to the command that runs.
    Signal(u8),
    /// Send what changed.
    TakeChanges,
}

/// Something to be mounted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MountRequest {
    /// What.
    pub(super) tree: MountedTree,
    /// Its name in messages.
    pub(super) shown: String,
    /// Absolute path in the container; made if it is not there.
    pub(super) target: String,
    /// Whether it can only be read.
    pub(super) read_only: bool,
    /// Whether its top directory is to belong to the user.
    pub(super) is_own: bool,
    /// Who will use it: `user[:group]`.
    pub(super) user: String,
}

/// What is mounted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum MountedTree {
    /// A directory or file of this machine, as far as the child may see it.
    Path(PathBuf),
    /// One that b2i hands over.
    Handed,
    /// A new directory, which goes with the container.
    Temporary {
        /// Its name among the container's own.
        name: String,
    },
}

/// A command to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Command {
    /// Program and arguments.
    pub(super) arguments: Vec<String>,
    /// Its whole environment.
    pub(super) environment: Vec<(String, String)>,
    /// `user[:group]`, numbers or names; empty for root.
    pub(super) user: String,
    /// Working directory, absolute.
    pub(super) directory: String,
    /// Whether it keeps the host's network.
    pub(super) host_network: bool,
    /// Lines that are added to its hosts file.
    pub(super) hosts: Vec<String>,
    /// The capabilities that it may have, a bit for each.
    pub(super) capabilities: u64,
    /// Most processes, if they are counted.
    pub(super) processes: Option<u64>,
    /// Most milliseconds, if time is limited.
    pub(super) milliseconds: Option<u64>,
    /// Where its streams lead.
    pub(super) streams: Streams,
}

/// Where a command's streams lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Streams {
    /// It reads nothing, and what it prints comes in frames: a script.
    Captured,
    /// b2i gets the other ends of three pipes: a program that is run for its own sake, with its room as Docker makes it.
    HandedOut,
}

/// What the child answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// It has a user namespace and waits for [`Request::Mapped`].
    Unshared,
    /// It waits for requests.
    Ready,
    /// Done, and this is worth a note.
    Unpacked {
        /// Mode and owner of the root, if the archive has an entry for it.
        root: Option<RootEntry>,
        /// What was left out.
        notes: Vec<String>,
    },
    /// Whether the file is there.
    Has(bool),
    /// There is no such file.
    Absent,
    /// It is something else than a regular file.
    NotAFile(String),
    /// It is larger than the limit.
    TooLarge(u64),
    /// The bytes follow.
    File,
    /// It is mounted.
    Mounted {
        /// Whether the user can write to it, if that was asked for.
        can_write: bool,
    },
    /// The command starts; the other ends of its standard input, output and error come with the next byte.
    Streams,
    /// The command ended with this code.
    Exited(i64),
    /// It took too long and was killed.
    TimedOut,
    /// The program could not be started, with this error number.
    NotStarted(i32),
    /// No such user in the image.
    UnknownUser(String),
    /// A changed file.
    Changed(Box<Change>),
    /// All changes were sent.
    Complete {
        /// What was left out.
        notes: Vec<String>,
        /// Absolute paths of what was made to mount something at, and is no change.
        made_to_mount: Vec<String>,
    },
    /// A step failed.
    Failed(Fault),
}

/// What failed in the child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fault {
    /// What kind of failure.
    pub(super) kind: FaultKind,
    /// What was tried, an infinitive with its object.
    pub(super) action: String,
    /// The system's error number, if the system said no.
    pub(super) errno: Option<i32>,
    /// Why, if it was not the system.
    pub(super) reason: String,
}

/// Kinds of failure in the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum FaultKind {
    /// The kernel does not allow a sandbox.
    Namespace,
    /// The kernel does not allow the overlay where the cache is.
    Overlay,
    /// An archive is not valid, or has something that is refused.
    Archive,
    /// An owner has no id here.
    Owner,
    /// Something cannot be mounted.
    Mount,
    /// The result cannot be a layer.
    Result,
    /// Something else.
    Other,
}

impl Fault {
    /// The system said no to `action`.
    pub(super) fn system(kind: FaultKind, action: impl Into<String>, error: &io::Error) -> Self {
        let reason = if error.raw_os_error().is_some() { String::new() } else { error.to_string() };
        Self { kind, action: action.into(), errno: error.raw_os_error(), reason }
    }

    /// b2i itself refuses.
    pub(super) fn refused(kind: FaultKind, action: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { kind, action: action.into(), errno: None, reason: reason.into() }
    }

    /// Why it failed, in words.
    pub(super) fn because(&self) -> String {
        match self.errno {
            Some(number) => io::Error::from_raw_os_error(number).to_string(),
            None => self.reason.clone(),
        }
    }
}

/// One path that the container has and its image has not, or has otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    /// Absolute path.
    pub(super) path: String,
    /// What it is.
    pub(super) kind: ChangeKind,
    /// Permission bits.
    pub(super) mode: u32,
    /// User, as seen inside.
    pub(super) uid: u32,
    /// Group, as seen inside.
    pub(super) gid: u32,
    /// Extended attributes that mean something in an image: names, and values in hexadecimal digits.
    pub(super) attributes: Vec<(String, String)>,
}

/// What a changed path is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ChangeKind {
    /// A directory; opaque hides what the image has below it.
    Directory {
        /// Whether it hides.
        opaque: bool,
        /// Whether it is new or has another mode or owner than in the image.
        differs: bool,
    },
    /// A regular file.
    File {
        /// Bytes.
        size: u64,
    },
    /// A second name.
    HardLink {
        /// The first name.
        target: String,
    },
    /// A symbolic link.
    Symlink {
        /// Its text.
        target: String,
    },
    /// A named pipe.
    Fifo,
    /// The path is gone.
    Removed,
}
