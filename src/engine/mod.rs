//! The room of engines: starting a container from a builder image and working with it.
//!
//! [`Engine`] and [`Container`] are what `assemble/` works with; `docker` and `sandbox` implement them. Knows no plan and
//! no artifact.

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
use crate::image::{ImageConfig, ImagePath};
pub use crate::stream::TarStream;

/// What a container has to be given as a command although nothing is to run in it.
pub const NO_COMMAND: &str = "/none";

/// What a container is started with.
#[derive(Clone, Debug, Default)]
pub struct ContainerSpec {
    /// The image: an ID or a name that the engine's own store knows.
    pub image: String,
    /// The command, in full; the image's entrypoint does not run around it.
    pub command: Vec<String>,
    /// Environment variables that are added to the image's.
    pub environment: Vec<(String, String)>,
    /// User, as the image config writes it; none keeps the image's.
    pub user: Option<String>,
    /// Where the command is started; none means the image's working directory.
    pub directory: Option<ImagePath>,
    /// What it may use.
    pub limits: ContainerLimits,
    /// Network of the container; none means no network.
    pub network: Option<String>,
    /// What is mounted in it. None of it, nor a place made to mount it at, is part of the change; a daemon's places are,
    /// unless `ephemeral` or `places` names them.
    pub mounts: Vec<Mount>,
    /// Files that are put in before the command runs, and directories made for them: none of it is part of the change.
    /// A directory in which the command left something stays.
    pub ephemeral: Vec<ImagePath>,
    /// Directories that the change has where something is mounted; none means nothing there.
    pub places: Option<Layer>,
    /// Lines `HOST:ADDRESS` of its hosts file.
    pub add_hosts: Vec<String>,
    /// Capabilities that the command does not get, whatever engine and user would give it.
    pub drop_capabilities: Vec<Capability>,
    /// The file that gets the command's standard output as it is; none means that it is told line by line.
    pub stdout: Option<Arc<File>>,
    /// The config of the image, if the container itself may become an image: then it has nothing of the engine's own
    /// that an image would inherit, where the engine can do without.
    pub commit_config: Option<ImageConfig>,
    /// The lease of this run; a later run recognises by it what was left behind.
    pub lease: String,
}

/// Something mounted in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What.
    pub source: MountSource,
    /// Where; made if it is not there.
    pub target: ImagePath,
    /// Whether it can only be read.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSource {
    /// A directory or file of the engine's machine.
    Path(PathBuf),
    /// A volume of the daemon's.
    Volume(String),
    /// A directory of b2i's own cache that is kept from one container to the next, with the ids of the engine's containers.
    /// Its top directory is the user's of the command.
    BuildCache(PathBuf),
    /// An empty directory that is there as long as the container, and can be uploaded to before the command runs.
    Temporary,
}

/// What a container may use. A limit that the engine cannot enforce is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerLimits {
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Processor time, in billionths of one processor.
    pub nano_cpus: Option<u64>,
    /// Number of processes.
    pub pids: Option<u32>,
    /// How long the command may take.
    pub timeout: Option<Duration>,
}

/// Where the streams of a program lead that is run for its own sake.
pub struct ProgramStreams {
    /// Read as the program's standard input, if that is open.
    pub stdin: Box<dyn AsyncRead + Send + Unpin>,
    /// Gets its standard output; with a terminal, everything.
    pub stdout: Box<dyn AsyncWrite + Send + Unpin>,
    /// Gets its standard error.
    pub stderr: Box<dyn AsyncWrite + Send + Unpin>,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitStatus {
    /// Its exit code.
    pub exit_code: i64,
    /// Whether the engine killed it for using too much memory.
    pub out_of_memory: bool,
    /// The last lines it printed, oldest first, at most 20.
    pub last_lines: Vec<String>,
}

/// What a container changed, as the engine can give it.
#[derive(Clone, Debug)]
pub enum Diff {
    /// The engine committed an untagged image, whose top layer is the change.
    Committed {
        /// Its ID in the engine's store.
        image_id: String,
        /// The digests of its uncompressed layers, lowest first.
        diff_ids: Vec<crate::image::Digest>,
    },
    /// The change itself. Its contents are read when it is written, from what the container left; they go with the last
    /// copy of the layer.
    #[cfg_attr(
        not(any(all(feature = "sandbox", target_os = "linux"), feature = "internals")),
        expect(dead_code, reason = "the sandbox alone makes one")
    )]
    Layer(Layer),
}

/// Starts containers. Futures are boxed, so that a step works with any engine without knowing its type.
pub trait Engine: Send + Sync {
    /// Refuses limits and a network of which is known beforehand that a container cannot have them.
    fn check<'a>(
        &'a self,
        limits: &'a ContainerLimits,
        network: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), EngineError>>;

    /// Creates a container; nothing runs in it yet.
    fn create(&self, spec: ContainerSpec) -> BoxFuture<'_, Result<Box<dyn Container>, EngineError>>;

    /// Names the owners that files of this engine's containers have: a build cache is of no use to an engine that
    /// names them otherwise.
    ///
    /// # Errors
    /// [`EngineError`] if the engine does not work here.
    fn file_owners(&self) -> Result<String, EngineError>;
}

/// A container of an engine. Dropping it without [`Container::remove`] leaves it to the lease's clean-up.
pub trait Container: fmt::Debug + Send + Sync {
    /// Unpacks a tar below `directory`, with the owners and modes that the tar names.
    fn upload<'a>(
        &'a self,
        directory: &'a ImagePath,
        tar: TarStream,
    ) -> BoxFuture<'a, Result<(), EngineError>>;

    /// Says whether there is a file of this name; a link counts whatever it leads to.
    fn has<'a>(&'a self, path: &'a ImagePath) -> BoxFuture<'a, Result<bool, EngineError>>;

    /// Runs the command to its end and sends what it prints as events, line by line.
    fn run<'a>(&'a self, events: &'a Events) -> BoxFuture<'a, Result<ExitStatus, EngineError>>;

    /// Reads one file; nothing if it is not there. Larger than `limit` bytes is an error.
    fn download<'a>(
        &'a self,
        path: &'a ImagePath,
        limit: u64,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, EngineError>>;

    /// Gives what is at `path` as a tar whose entries begin with the last part of the path; nothing if it is not there.
    ///
    /// Links are entries, never followed; neither names nor sizes are to be trusted.
    fn archive<'a>(&'a self, path: &'a ImagePath) -> BoxFuture<'a, Result<Option<TarStream>, EngineError>>;

    /// Takes what changed since the image it was created from.
    fn take_changes<'a>(&'a self, events: &'a Events) -> BoxFuture<'a, Result<Diff, EngineError>>;

    /// The commit that makes this container an image with exactly `config`, if the engine can do that in one call.
    fn planned_commit(&self, _config: &ImageConfig) -> Option<PlannedCommit> {
        None
    }

    /// Gives a container that begins as this one ended, for one more command.
    ///
    /// Limits, network, mounts and hosts of `spec` have to be those of this container, its image is not looked at.
    fn restart<'a>(
        self: Box<Self>,
        spec: ContainerSpec,
        events: &'a Events,
    ) -> BoxFuture<'a, Result<Box<dyn Container>, EngineError>>;

    /// Stops and removes it with its volumes.
    fn remove(self: Box<Self>) -> BoxFuture<'static, Result<(), EngineError>>;
}
