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
    /// ID or name in the store of the engine.
    pub image: String,
    /// The whole command. The image's entrypoint is not used.
    pub command: Vec<String>,
    /// Added to the image's variables.
    pub environment: Vec<(String, String)>,
    /// In the form of the image config; none means the image's user.
    pub user: Option<String>,
    /// None means the image's working directory.
    pub directory: Option<ImagePath>,
    pub limits: ContainerLimits,
    /// None means no network.
    pub network: Option<String>,
    /// Neither contents nor mount points become part of the change. Exception: a mount point that a daemon
    /// creates does, unless `ephemeral` or `places` lists it.
    pub mounts: Vec<Mount>,
    /// Files and directories that exist for the command only and are not part of the change. A directory in
    /// which the command left something stays.
    pub ephemeral: Vec<ImagePath>,
    /// Directories that the change has at mount points.
    pub places: Option<Layer>,
    /// Lines `HOST:ADDRESS` of the hosts file.
    pub add_hosts: Vec<String>,
    pub drop_capabilities: Vec<Capability>,
    /// Gets standard output unchanged; none means that each line becomes an event.
    pub stdout: Option<Arc<File>>,
    /// Config of the image, if the container itself may become an image. The engine then adds nothing of its
    /// own that the image would inherit, where it can.
    pub commit_config: Option<ImageConfig>,
    /// A later run finds what this run left behind by its lease.
    pub lease: String,
}

/// Something mounted in a container.
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

/// What a container may use. A limit that the engine cannot enforce is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerLimits {
    /// In bytes.
    pub memory: Option<u64>,
    /// In billionths of a processor.
    pub nano_cpus: Option<u64>,
    /// Processes.
    pub pids: Option<u32>,
    /// For the command.
    pub timeout: Option<Duration>,
}

/// Where the streams of a program lead that is run for its own sake.
pub struct ProgramStreams {
    pub stdin: Box<dyn AsyncRead + Send + Unpin>,
    /// With a terminal, this is all output.
    pub stdout: Box<dyn AsyncWrite + Send + Unpin>,
    pub stderr: Box<dyn AsyncWrite + Send + Unpin>,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitStatus {
    pub exit_code: i64,
    /// The engine killed it for using too much memory.
    pub out_of_memory: bool,
    /// At most 20, oldest first.
    pub last_lines: Vec<String>,
}

/// What a container changed, as the engine can give it.
#[derive(Clone, Debug)]
pub enum Diff {
    /// An untagged image in the engine, whose top layer is the change.
    Committed {
        image_id: String,
        /// Of the uncompressed layers, lowest first.
        diff_ids: Vec<crate::image::Digest>,
    },
    /// The change itself. Its contents are read from the container when the layer is written, and are removed
    /// with the last clone.
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

    /// Creates a container without starting it.
    ///
    /// # Errors
    /// [`DaemonError::LimitNotEnforced`] and others if a limit or mount is not possible,
    /// [`DaemonError::Request`] if the daemon refuses.
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

    /// Whether the path exists; true for every symbolic link.
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
