//! Owns the request: what somebody asked for, before anything is decided.
//!
//! Every front end — the command line today, others later — makes one of these and nothing else. Must not hold
//! anything that was found out rather than asked.

mod error;
mod source;
mod validate;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

pub use error::RequestError;
pub(crate) use source::host_entry;
pub use source::{
    EnvironmentVariable, Injection, PreviousImage, RuntimeArtifactPlace, RuntimeRequest, ScriptsSource,
    SecretFile, SecretVariable, SourceBuildRequest, UidRange, UidRanges, VolumeRequest,
};
pub(crate) use validate::check_variable;
pub(crate) use values::without_blanks;
pub use values::{ContextPath, StopSignal, User};

pub use crate::config::values::Port;

pub use crate::config::values::InvalidValue;
use crate::config::values::{ByteSize, Cpus};
pub use crate::image::PullPolicy;
use crate::image::compression::Compression;
use crate::image::{ImagePath, ImageReference, Platform};
pub use crate::input::{
    AddRequest, DownloadRequest, HeaderRequest, InputOptions, InputSource, SecretReference, TreatAs,
};
pub use crate::sources::{SourceLocation, SourceOptions};
use crate::text::{self, as_text};
pub use crate::transport::Transport;

/// The version of the form that requests have as JSON.
pub const SCHEMA_VERSION: u32 = 1;

/// One build.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Request {
    /// The version of this form: 1, which is also meant if it is missing.
    pub schema_version: Option<u32>,
    /// The finished artifact, or one program built for several platforms. Empty if `sourceBuild` is set.
    pub artifacts: Vec<InputSource>,
    /// The sources that the artifact, or the image, is built from.
    pub source_build: Option<SourceBuildRequest>,
    /// How artifacts are fetched, and what is added to each.
    pub input: InputOptions,
    /// The main class of a JAR whose manifest has none.
    pub main_class: Option<String>,
    /// The builder: `java:21`, or an image with S2I scripts. Default: the template that fits the artifact.
    pub builder: Option<BuilderRequest>,
    /// How the artifact gets into the image.
    pub assemble: AssembleRequest,
    /// Limits of `assemble`.
    pub limits: Limits,
    /// The platforms, each an image. Default: the artifact's own, or the only one there is.
    pub platforms: Vec<Platform>,
    /// The config of the image.
    pub image: ImageRequest,
    /// Names of the image. Default: `<artifact stem>:latest`.
    pub tags: Vec<ImageReference>,
    /// Where the image goes: `docker`, `registry`, `oci:DIR`, `oci-archive:FILE`, `docker-archive:FILE`. Default: the
    /// daemon, or an archive if there is none.
    #[serde(with = "text::list")]
    #[schemars(with = "Vec<String>")]
    pub outputs: Vec<Transport>,
    /// Whether the image can be started afterwards. The sandbox then checks that the network of the limits can be had.
    pub run: bool,
    /// When images are pulled.
    pub pull: PullPolicy,
    /// Never use the network.
    pub offline: bool,
    /// How new layers are compressed.
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

impl FromStr for BuilderRequest {
    type Err = InvalidValue;

    /// Parses `java`, `java:21`, or an image reference, which contains `/` or `@`. The text alone decides between the
    /// two: a new template never changes the meaning of a command line.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_id = || text.parse::<ImageReference>().is_ok_and(|image| image.as_image_id().is_some());
        if text.contains(['/', '@']) || is_id() {
            return text.parse().map(Self::Image).map_err(InvalidValue::new);
        }
        let is_name = |text: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) && text.bytes().all(allowed)
        };
        let (name, version) = match text.split_once(':') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        if !is_name(name) || !version.is_none_or(is_name) {
            return Err(InvalidValue::new(format!(
                "`{text}` is not a builder (write `java`, `java:21` or an image such as `localhost/builder:1`)"
            )));
        }
        Ok(Self::Template { name: name.to_owned(), version: version.map(str::to_owned) })
    }
}

impl fmt::Display for BuilderRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(reference) => formatter.write_str(&reference.familiar()),
            Self::Template { name, version: Some(version) } => write!(formatter, "{name}:{version}"),
            Self::Template { name, version: None } => formatter.write_str(name),
        }
    }
}

/// How the artifact gets into the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

impl AssembleRequest {
    /// The text of each variant.
    pub(crate) const TEXTS: [(&'static str, Self); 4] =
        [("auto", Self::Auto), ("place", Self::Place), ("docker", Self::Docker), ("sandbox", Self::Sandbox)];
}

text::as_choice!(AssembleRequest);
as_text!(AssembleRequest, BuilderRequest);

/// The engine's default network: a daemon creates one; the sandbox uses this machine's.
pub const DEFAULT_NETWORK: &str = "default";

/// What `assemble` may use when it runs; nothing set means the engine's own default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// User that runs `assemble`.
    pub assemble_user: Option<String>,
    /// Whether an `assemble` user that a label names may be root.
    pub allow_root: bool,
    /// Whether real root may use the sandbox without a user namespace.
    pub allow_root_sandbox: bool,
    /// Memory, in bytes.
    #[serde(deserialize_with = "memory")]
    #[schemars(with = "Option<text::NumberOrText>")]
    pub memory: Option<u64>,
    /// Processor time, in billionths of one processor.
    #[serde(deserialize_with = "nano_cpus")]
    #[schemars(with = "Option<text::NumberOrText>")]
    pub nano_cpus: Option<u64>,
    /// Number of processes.
    pub pids: Option<u32>,
    /// Network of the container; none means no network.
    pub network: Option<String>,
    /// How long `assemble` may take.
    #[serde(deserialize_with = "text::period")]
    #[schemars(with = "Option<text::PeriodForm>")]
    pub timeout: Option<Duration>,
}

fn memory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    text::quantity(deserializer, |size: ByteSize| size.0)
}

fn nano_cpus<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    text::quantity(deserializer, |cpus: Cpus| cpus.0)
}

/// What the user wants of the result's config.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ImageRequest {
    /// Default arguments of the program (`-- …`).
    pub args: Option<Vec<String>>,
    /// Environment variables, in order.
    #[serde(with = "text::pairs")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub env: Vec<(String, String)>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest, where the output has one.
    pub annotations: BTreeMap<String, String>,
    /// Ports, such as `8080/tcp`.
    pub ports: Vec<Port>,
    /// Working directory.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_templates_from_images() {
        let template = |name: &str, version: Option<&str>| BuilderRequest::Template {
            name: name.into(),
            version: version.map(Into::into),
        };
        assert_eq!("java".parse(), Ok(template("java", None)));
        assert_eq!("java:21".parse(), Ok(template("java", Some("21"))));
        assert_eq!("tomcat:10.1".parse(), Ok(template("tomcat", Some("10.1"))));
        let digest = format!("sha256:{}", "a".repeat(64));
        for id in ["647ee435af48", &digest, "docker.io/library/java:17"] {
            let image = id.parse::<BuilderRequest>().expect("valid");
            assert!(matches!(image, BuilderRequest::Image(_)), "{id}");
        }
        let image = "any/s2i-builder:3".parse::<BuilderRequest>().expect("valid");
        assert!(
            matches!(&image, BuilderRequest::Image(reference) if reference.repository() == "any/s2i-builder")
        );
        for text in [
            "",
            ":",
            ":21",
            "java:",
            "-x",
            "a b",
            "Any/Builder",
            "java:1:2",
            "https://host/x",
            "/",
            "Team/App",
        ] {
            assert!(text.parse::<BuilderRequest>().is_err(), "{text}");
        }
    }
}
