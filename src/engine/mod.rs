//! Owns [`Engine`] and [`Container`], which `docker` and `sandbox` implement. Must not know plans or artifacts.

mod capability;
pub mod docker;
mod ephemeral;
mod error;
mod output;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
pub mod sandbox;
#[cfg(not(all(feature = "sandbox", target_os = "linux")))]
#[path = "without_sandbox.rs"]
pub mod sandbox;
mod sandbox_settings;

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

pub use self::capability::{Capability, UnknownCapability};
use self::docker::PlannedCommit;
pub use self::error::EngineError;
use crate::events::Events;
use crate::image::layer::Layer;
use crate::image::{Digest, ImageConfig, ImagePath};
pub use crate::stream::TarStream;

/// The command of a container in which nothing runs: daemons require one.
pub const NO_COMMAND: &str = "/none";

#[derive(Clone, Debug, Default)]
pub struct ContainerSpec {
    /// ID or name in the store of the engine.
    pub image: String,
    /// The whole command. The image's entrypoint is not used.
    pub command: Vec<String>,
    /// Variables that are added to those of the image.
    pub environment: Vec<(String, String)>,
    /// The user in the form of the image config; none means the image's user.
    pub user: Option<String>,
    /// The working directory; none means the image's.
    pub directory: Option<ImagePath>,
    pub limits: ContainerLimits,
    /// None means no network.
    pub network: Option<String>,
    /// Mounts. Their contents and mount points are not part of the change, with one exception: a mount point that a
    /// daemon creates is, unless `ephemeral` or `places` lists it.
    pub mounts: Vec<Mount>,
    /// Files and directories that exist for the command only and are not part of the change. A directory in
    /// which the command left something stays.
    pub ephemeral: Vec<ImagePath>,
    /// Directories that the change has at mount points.
    pub places: Option<Layer>,
    /// Lines `HOST:ADDRESS` of the hosts file.
    pub add_hosts: Vec<String>,
    pub drop_capabilities: Vec<Capability>,
    /// The file that gets the standard output unchanged; none means that each line becomes an event.
    pub stdout: Option<Arc<File>>,
    /// Config of the image, if the container itself may become an image. The engine then adds nothing of its
    /// own that the image would inherit, where it can.
    pub commit_config: Option<ImageConfig>,
    /// The id of the lease. By this id, a later run finds what this run left behind.
    pub lease: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub source: MountSource,
    /// Created if it is missing.
    pub target: ImagePath,
    pub read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSource {
    /// On the engine's machine.
    Path(PathBuf),
    Volume(String),
    /// A directory of b2i's cache that several containers share, with the engine's ids. Its top directory
    /// belongs to the user of the command.
    BuildCache(PathBuf),
    /// An empty directory that lives as long as the container. Files can be uploaded to it before the command
    /// runs.
    Temporary,
}

/// The limits of a container. A limit that the engine cannot enforce is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerLimits {
    /// In bytes.
    pub memory: Option<u64>,
    /// Processor time, in billionths of one processor.
    pub nano_cpus: Option<u64>,
    pub pids: Option<u32>,
    /// Time limit of the command, and then of reading what it changed.
    pub timeout: Option<Duration>,
    pub change: ChangeLimits,
}

/// The largest change that a command may leave. The sandbox has defaults. A daemon has none: the check is one more call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeLimits {
    /// Size of all files together, in bytes. Holes count: a layer has them as zeros.
    pub bytes: Option<u64>,
    /// Paths, also of directories and removed files. Daemons list them nowhere, so only the sandbox counts them.
    pub files: Option<u64>,
}

/// Streams of a program that `--run` starts.
pub struct ProgramStreams {
    pub stdin: Box<dyn AsyncRead + Send + Unpin>,
    /// The standard output; with a terminal, all output.
    pub stdout: Box<dyn AsyncWrite + Send + Unpin>,
    pub stderr: Box<dyn AsyncWrite + Send + Unpin>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitStatus {
    pub exit_code: i64,
    /// Whether the engine killed the command for using too much memory.
    pub out_of_memory: bool,
    /// At most 20, oldest first.
    pub last_lines: Vec<String>,
}

#[derive(Clone, Debug)]
pub enum Diff {
    /// An untagged image in the engine, whose top layer is the change.
    Committed {
        image_id: String,
        /// Digests of the uncompressed layers, lowest first.
        diff_ids: Vec<Digest>,
    },
    /// The change itself. Its contents are read from the container when the layer is written, and are removed
    /// with the last clone.
    #[cfg_attr(
        not(any(all(feature = "sandbox", target_os = "linux"), feature = "internals")),
        expect(dead_code, reason = "the sandbox alone makes one")
    )]
    Layer(Layer),
}

/// The answer of an engine. It is boxed, so that callers work with every engine.
pub type Reply<'a, T> = BoxFuture<'a, Result<T, EngineError>>;

pub trait Engine: Send + Sync {
    /// Fails if the engine is known not to support the limits or the network.
    fn check<'a>(&'a self, limits: &'a ContainerLimits, network: Option<&'a str>) -> Reply<'a, ()>;

    /// Creates a container without starting it.
    fn create(&self, spec: ContainerSpec) -> Reply<'_, Box<dyn Container>>;

    /// A key of the owners that this engine's containers give to files. Engines with other keys cannot use the same
    /// build caches.
    fn file_owners(&self) -> Result<String, EngineError>;
}

/// A container of an engine. If it is dropped without [`Container::remove`], the lease's clean-up removes it.
pub trait Container: fmt::Debug + Send + Sync {
    /// Unpacks a tar below `directory`, with the owners and modes of the tar.
    fn upload<'a>(&'a self, directory: &'a ImagePath, tar: TarStream) -> Reply<'a, ()>;

    /// Whether the file exists; true for every symbolic link.
    fn has<'a>(&'a self, path: &'a ImagePath) -> Reply<'a, bool>;

    /// Runs the command to its end and sends each line of its output as an event.
    fn run<'a>(&'a self, events: &'a Events) -> Reply<'a, ExitStatus>;

    /// Reads one file of at most `limit` bytes; none if it is missing.
    fn download<'a>(&'a self, path: &'a ImagePath, limit: u64) -> Reply<'a, Option<Vec<u8>>>;

    /// Reads `path` as a tar, whose entries begin with the last part of the path; none if it is missing.
    ///
    /// Links are entries and are not followed. Names and sizes are hostile input.
    fn archive<'a>(&'a self, path: &'a ImagePath) -> Reply<'a, Option<TarStream>>;

    /// Takes the files that changed since the container was created.
    fn take_changes<'a>(&'a self, events: &'a Events) -> Reply<'a, Diff>;

    /// The commit that makes this container an image with exactly `config`, if one call of the engine can do that.
    fn planned_commit(&self, _config: &ImageConfig) -> Option<PlannedCommit> {
        None
    }

    /// Makes a container for one more command, which begins with the files of this one.
    ///
    /// `spec` must have the limits, network, mounts and hosts of this container. Its image is ignored.
    fn restart(self: Box<Self>, spec: ContainerSpec, events: &Events) -> Reply<'_, Box<dyn Container>>;

    /// Stops and removes the container with its volumes.
    fn remove(self: Box<Self>) -> Reply<'static, ()>;
}
