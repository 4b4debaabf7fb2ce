//! Owns the request: what somebody asked for, before anything is decided.
//!
//! Every front end — the command line today, others later — makes one of these and nothing else. Must not hold
//! anything that was found out rather than asked.

mod error;
mod source;
mod validate;
mod values;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

pub use error::RequestError;
pub(crate) use source::host_entry;
pub use source::{
    EnvironmentVariable, Injection, PreviousImage, RuntimeArtifactPlace, RuntimeRequest, ScriptsSource,
    SecretFile, SecretVariable, SourceBuildRequest, UidRange, UidRanges, VolumeRequest,
};
pub(crate) use validate::check_variable;
pub(crate) use values::without_blanks;
pub use values::{ContextPath, InvalidRequestValue, StopSignal, User};

pub use crate::config::values::Port;

use crate::config::values::{AssembleChoice, BuilderName, ByteSize, Cpus, InvalidValue};
pub use crate::image::PullPolicy;
use crate::image::compression::Compression;
use crate::image::{ImagePath, ImageReference, Platform};
pub use crate::input::{
    AddRequest, DownloadRequest, HeaderRequest, InputOptions, InputSource, SecretReference, TreatAs,
};
pub use crate::sources::{SourceLocation, SourceOptions};
use crate::text;
pub use crate::transport::Transport;

/// The version of the form that requests have as JSON.
pub const SCHEMA_VERSION: u32 = 1;

/// One build.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Request {
    /// The version of this form: 1, which is also meant if it is missing.
    pub schema_version: Option<u32>,
    /// The finished artifact, or one program built for several platforms. Empty if `sourceBuild` is set.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub artifacts: Vec<InputSource>,
    /// The sources that the artifact, or the image, is built from.
    pub source_build: Option<SourceBuildRequest>,
    /// How artifacts are fetched, and what is added to each.
    pub input: InputOptions,
    /// The main class of a JAR whose manifest has none.
    pub main_class: Option<String>,
    /// The builder: `java:21`, or an image with S2I scripts. Default: the template that fits the artifact.
    #[serde(with = "text::option")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub builder: Option<BuilderRequest>,
    /// How the artifact gets into the image.
    #[serde(deserialize_with = "assemble")]
    pub assemble: AssembleRequest,
    /// Limits of `assemble`.
    pub limits: Limits,
    /// The platforms, each an image. Default: the artifact's own, or the only one there is.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub platforms: Vec<Platform>,
    /// The config of the image.
    pub image: ImageRequest,
    /// Names of the image. Default: `<artifact stem>:latest`.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub tags: Vec<ImageReference>,
    /// Where the image goes: `docker`, `registry`, `oci:DIR`, `oci-archive:FILE`, `docker-archive:FILE`. Default: the
    /// daemon, or an archive if there is none.
    #[serde(with = "text::list")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub outputs: Vec<Transport>,
    /// Whether the image can be started afterwards. The sandbox then checks that the network of the limits can be had.
    pub run: bool,
    /// When images are pulled.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub pull: PullPolicy,
    /// Never use the network.
    pub offline: bool,
    /// How new layers are compressed.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub compression: Compression,
    /// Ignore remembered digests and read every file again.
    pub ignore_memo: bool,
    /// Date of the files and the image, in seconds since 1970 (`SOURCE_DATE_EPOCH`).
    pub date: Option<u64>,
}

impl Request {
    /// Reads a request from JSON.
    ///
    /// # Errors
    /// [`RequestError::Json`] with the path of the field that is wrong or unknown.
    pub fn from_json(text: &str) -> Result<Self, RequestError> {
        let deserializer = &mut serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize(deserializer).map_err(|error| RequestError::Json {
            path: error.path().to_string(),
            reason: error.inner().to_string(),
        })
    }

    /// Leaves out what is named again and means nothing more.
    pub(crate) fn without_repetitions(mut self) -> Self {
        let mut tags: Vec<ImageReference> = Vec::new();
        tags.extend(self.tags.drain(..).fold(Vec::new(), |mut known, tag| {
            if !known.contains(&tag) {
                known.push(tag);
            }
            known
        }));
        self.tags = tags;
        let mut outputs: Vec<Transport> = Vec::new();
        for output in self.outputs.drain(..) {
            if output.path().is_some() || !outputs.contains(&output) {
                outputs.push(output);
            }
        }
        self.outputs = outputs;
        self
    }
}

fn assemble<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AssembleRequest, D::Error> {
    text::deserialize(deserializer).map(|choice: AssembleChoice| choice.0)
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

impl std::str::FromStr for BuilderRequest {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|name: BuilderName| name.0)
    }
}

impl std::fmt::Display for BuilderRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        BuilderName(self.clone()).fmt(formatter)
    }
}

/// How the artifact gets into the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Limits {
    /// User that runs `assemble`.
    pub assemble_user: Option<String>,
    /// Whether an `assemble` user that a label names may be root.
    pub allow_root: bool,
    /// Whether real root may use the sandbox without a user namespace.
    pub allow_root_sandbox: bool,
    /// Memory, in bytes.
    #[serde(deserialize_with = "memory")]
    pub memory: Option<u64>,
    /// Processor time, in billionths of one processor.
    #[serde(deserialize_with = "nano_cpus")]
    pub nano_cpus: Option<u64>,
    /// Number of processes.
    pub pids: Option<u32>,
    /// Network of the container; none means no network.
    pub network: Option<String>,
    /// How long `assemble` may take.
    #[serde(deserialize_with = "text::period")]
    pub timeout: Option<Duration>,
}

fn memory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    text::quantity(deserializer, |size: ByteSize| size.0)
}

fn nano_cpus<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    text::quantity(deserializer, |cpus: Cpus| cpus.0)
}

/// What the user wants of the result's config.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImageRequest {
    /// Default arguments of the program (`-- …`).
    pub args: Option<Vec<String>>,
    /// Environment variables, in order.
    #[serde(with = "text::pairs")]
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, String>"))]
    pub env: Vec<(String, String)>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest, where the output has one.
    pub annotations: BTreeMap<String, String>,
    /// Ports, such as `8080/tcp`.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub ports: Vec<Port>,
    /// Working directory.
    #[serde(with = "text::option")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub working_dir: Option<ImagePath>,
    /// User, `uid[:gid]` or a name.
    pub user: Option<User>,
    /// Entrypoint, replacing the builder's.
    pub entrypoint: Option<Vec<String>>,
    /// Command of the health check; an empty text switches it off.
    pub health_cmd: Option<String>,
    /// Signal that stops the program.
    pub stop_signal: Option<StopSignal>,
    /// Where a web application answers; `/` if nothing is said.
    pub context_path: Option<ContextPath>,
}
