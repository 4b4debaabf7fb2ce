//! Owns the request: what somebody asked for, before anything is decided.
//!
//! Every front end — the command line today, others later — makes one of these and nothing else. Must not hold
//! anything that was found out rather than asked.

mod source;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

pub use source::{
    EnvironmentVariable, Injection, PreviousImage, RuntimeArtifactPlace, RuntimeRequest, ScriptsSource,
    SecretFile, SourceBuildRequest, UidRange, VolumeRequest,
};

pub use crate::image::PullPolicy;
use crate::image::compression::Compression;
use crate::image::{ImagePath, ImageReference, Platform};
use crate::input::{InputOptions, InputSource};
use crate::transport::Transport;

/// One build.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The finished artifact, or one program built for several platforms. Empty if `source_build` is set.
    pub artifacts: Vec<InputSource>,
    /// How to fetch them and what goes with each.
    pub input: InputOptions,
    /// The main class of a JAR that names none (`--main-class`).
    pub main_class: Option<String>,
    /// The builder, if the user names one.
    pub builder: Option<BuilderRequest>,
    /// How the artifact gets into the image.
    pub assemble: AssembleRequest,
    /// What `assemble` may use when it runs.
    pub limits: Limits,
    /// The platforms that the user names, each an image; none means the artifact's own, or the one that there is.
    pub platforms: Vec<Platform>,
    /// What the user wants of the result's config.
    pub image: ImageRequest,
    /// Names for the result; none means `<artifact stem>:latest`.
    pub tags: Vec<ImageReference>,
    /// Where the result goes; none means the daemon, or an archive where there is none.
    pub outputs: Vec<Transport>,
    /// Whether the result is started afterwards. The network of the limits is then the program's too, in the sandbox.
    pub run: bool,
    /// When images are pulled.
    pub pull: PullPolicy,
    /// Use no network at all.
    pub offline: bool,
    /// How layers are compressed, where they are.
    pub compression: Compression,
    /// Whether remembered digests are ignored and every file is read again.
    pub ignore_memo: bool,
    /// Date of the files and the image, in seconds since 1970 (`SOURCE_DATE_EPOCH`).
    pub date: Option<u64>,
    /// The sources that the artifact, or the image, is built from.
    pub source_build: Option<SourceBuildRequest>,
}

/// The builder that the user names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuilderRequest {
    /// A template of the catalog, in one of its versions: `java`, `java:21`.
    Template {
        /// The template's name.
        name: String,
        /// The version, if it is named.
        version: Option<String>,
    },
    /// Any image with S2I scripts.
    Image(ImageReference),
}

/// How the artifact gets into the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AssembleRequest {
    /// `place` where allowed, else an engine.
    #[default]
    Auto,
    /// b2i performs the placement.
    Place,
    /// The script runs in a container of the daemon.
    Docker,
    /// The script runs in b2i's own sandbox.
    Sandbox,
}

/// The network that an engine gives a container of which nothing is said: a daemon one of its own, the sandbox, which has
/// none, this machine's.
pub const DEFAULT_NETWORK: &str = "default";

/// What `assemble` may use when it runs; nothing set means the engine's own default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// User that runs `assemble`.
    pub assemble_user: Option<String>,
    /// Whether an `assemble` user that a label names may be root.
    pub allow_root: bool,
    /// Whether real root may use the sandbox without a user namespace.
    pub allow_root_sandbox: bool,
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Processor time, in billionths of one processor.
    pub nano_cpus: Option<u64>,
    /// Number of processes.
    pub pids: Option<u32>,
    /// Network of the container; none means no network.
    pub network: Option<String>,
    /// How long `assemble` may take.
    pub timeout: Option<Duration>,
}

/// What the user wants of the result's config.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageRequest {
    /// Default arguments of the program (`-- …`).
    pub args: Option<Vec<String>>,
    /// Environment variables, in order.
    pub env: Vec<(String, String)>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest, where the output has one.
    pub annotations: BTreeMap<String, String>,
    /// Ports, such as `8080/tcp`.
    pub ports: Vec<String>,
    /// Working directory.
    pub working_dir: Option<ImagePath>,
    /// User, `uid[:gid]` or a name.
    pub user: Option<String>,
    /// Entrypoint, replacing the builder's.
    pub entrypoint: Option<Vec<String>>,
    /// Command of the health check; an empty text switches it off.
    pub health_cmd: Option<String>,
    /// Signal that stops the program.
    pub stop_signal: Option<String>,
    /// Where a web application answers; `/` if nothing is said.
    pub context_path: Option<String>,
}
