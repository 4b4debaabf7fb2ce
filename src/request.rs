//! Owns the request: the input of a build, before any decision.
//!
//! Every front end makes a request and nothing else. Must not hold facts or decisions.

mod created;
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

pub use created::CreatedDate;
pub(crate) use created::LAST_SECOND;
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
use crate::image::reference::as_written;
use crate::image::{ImagePath, ImageReference, Platform};
pub use crate::input::{
    AddRequest, DownloadRequest, HeaderRequest, InputOptions, InputSource, SecretReference, TreatAs,
};
pub use crate::sources::{SourceLocation, SourceOptions};
use crate::text::{self, as_text};
pub use crate::transport::{Location, Transport};

/// The version of a request's JSON.
pub const SCHEMA_VERSION: u32 = 1;

/// One build.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Request {
    /// The version of this JSON: 1. Default: 1.
    pub schema_version: Option<u32>,
    /// The artifact, or one program built for several platforms. Empty if `sourceBuild` is set.
    pub artifacts: Vec<InputSource>,
    /// The sources of the artifact or of the image.
    pub source_build: Option<SourceBuildRequest>,
    /// Options of fetching, and files to add.
    pub input: InputOptions,
    /// The main class of a JAR. Default: the one in its manifest.
    pub main_class: Option<String>,
    /// The builder: `java:21`, or an image with S2I scripts. Default: the template that fits the artifact.
    pub builder: Option<BuilderRequest>,
    /// Go on if the base is known to lack a library that the artifact needs.
    pub allow_missing: bool,
    /// The base image that replaces the template's: a name in a registry, `oci:DIR`, `oci-archive:FILE`,
    /// `docker-archive:FILE` or `docker-daemon:NAME`. Default: the template's base.
    pub base: Option<Location>,
    /// How the artifact gets into the image.
    pub assemble: AssembleRequest,
    /// Limits of `assemble`.
    pub limits: Limits,
    /// Platforms, one image for each. Default: the platform of the artifact.
    pub platforms: Vec<Platform>,
    /// The config of the image.
    pub image: ImageRequest,
    /// Names of the image. Default: `<artifact stem>:latest`.
    #[serde(serialize_with = "as_written::list")]
    pub tags: Vec<ImageReference>,
    /// Outputs: `docker`, `registry`, `oci:DIR`, `oci-archive:FILE`, `docker-archive:FILE`. Default: the daemon, or an
    /// archive without a daemon.
    #[serde(with = "text::list")]
    #[schemars(with = "Vec<String>")]
    pub outputs: Vec<Transport>,
    /// Whether the image will be started. b2i then keeps what the start needs, and checks the network in `limits`.
    pub run: bool,
    /// When images are pulled.
    pub pull: PullPolicy,
    /// Never use the network.
    pub offline: bool,
    /// Compression of new layers: `auto`, `none`, `gzip[:LEVEL]`, `zstd[:LEVEL]`.
    pub compression: Compression,
    /// Ignore remembered digests and read every file again.
    pub ignore_memo: bool,
    /// Date of the files and the image, in seconds since 1970 (`SOURCE_DATE_EPOCH`).
    pub date: Option<u64>,
    /// Date of the image alone: `git` for the commit of the work tree around the input, `now`, `epoch` for 1970-01-01, a
    /// date of RFC 3339, or seconds since 1970. Default: `date`.
    pub created: Option<CreatedDate>,
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

    /// The date in the config of the image, in seconds since 1970; `None` for the default. The session has resolved `git` and
    /// `now`.
    pub(crate) fn created_date(&self) -> Option<u64> {
        match self.created {
            Some(CreatedDate::At(seconds)) => Some(seconds),
            Some(CreatedDate::Epoch) => Some(0),
            Some(CreatedDate::Git | CreatedDate::Now) | None => self.date,
        }
    }

    /// Removes repeated tags and outputs.
    pub(crate) fn without_repetitions(mut self) -> Self {
        let mut tags: Vec<ImageReference> = Vec::new();
        for tag in self.tags.drain(..) {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
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

/// A builder: a template or an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuilderRequest {
    /// A template of the catalog: `java`, `java:21`.
    Template {
        /// The template.
        name: String,
        /// The version. Default: the template's own.
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
            Self::Image(reference) => match reference.as_written() {
                text if text.contains(['/', '@']) || reference.as_image_id().is_some() => {
                    formatter.write_str(&text)
                }
                // Without a slash it would be a template.
                text => write!(formatter, "library/{text}"),
            },
            Self::Template { name, version: Some(version) } => write!(formatter, "{name}:{version}"),
            Self::Template { name, version: None } => formatter.write_str(name),
        }
    }
}

/// How the artifact gets into the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AssembleRequest {
    /// Place, if the template allows it; otherwise run the script.
    #[default]
    Auto,
    /// b2i places the artifact; no script runs.
    Place,
    /// The script runs in a container of the daemon.
    Docker,
    /// The script runs in b2i's sandbox.
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

/// Limits of a script. Default: the engine's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// User of `assemble`. Default: the user in the label or the config of the builder image.
    pub assemble_user: Option<String>,
    /// Allow root as the user of `assemble` if a label of the builder image requests it.
    pub allow_root: bool,
    /// Allow the sandbox without a user namespace if this process is root.
    pub allow_root_sandbox: bool,
    /// Memory, in bytes.
    #[serde(deserialize_with = "memory")]
    #[schemars(with = "Option<text::NumberOrText>")]
    pub memory: Option<u64>,
    /// Processor time, in billionths of one processor.
    #[serde(deserialize_with = "nano_cpus")]
    #[schemars(with = "Option<text::NumberOrText>")]
    pub nano_cpus: Option<u64>,
    /// The largest number of processes.
    pub pids: Option<u32>,
    /// Network of the container: a name, `default`, `host` or `none`. Default: no network.
    pub network: Option<String>,
    /// The longest time of `assemble`.
    #[serde(deserialize_with = "text::period")]
    #[schemars(with = "Option<text::PeriodForm>")]
    pub timeout: Option<Duration>,
    /// The largest size of the files that a script leaves, in bytes, with holes. Default: 32 GiB in the sandbox.
    #[serde(deserialize_with = "memory")]
    #[schemars(with = "Option<text::NumberOrText>")]
    pub change_size: Option<u64>,
    /// The largest number of paths that a script changes in the sandbox. Default: 1,000,000.
    pub change_files: Option<u64>,
}

fn memory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    text::quantity(deserializer, |size: ByteSize| size.0)
}

fn nano_cpus<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    text::quantity(deserializer, |cpus: Cpus| cpus.0)
}

/// Changes to the config of the image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ImageRequest {
    /// Default arguments of the program (`-- …`).
    pub args: Option<Vec<String>>,
    /// Environment variables. The order is kept.
    #[serde(with = "text::pairs")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub env: Vec<(String, String)>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest. A daemon and a docker-archive have none.
    pub annotations: BTreeMap<String, String>,
    /// Ports, such as `8080/tcp`.
    pub ports: Vec<Port>,
    /// Working directory.
    pub working_dir: Option<ImagePath>,
    /// User, `uid[:gid]` or a name.
    pub user: Option<User>,
    /// Entrypoint. Default: the builder's.
    pub entrypoint: Option<Vec<String>>,
    /// Command of the health check. An empty text disables it.
    pub health_cmd: Option<String>,
    /// Signal that stops the program.
    pub stop_signal: Option<StopSignal>,
    /// The path of a web application. Default: `/`.
    pub context_path: Option<ContextPath>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_a_registry_survive_json() {
        for (name, short) in [
            ("app:1.0", true),
            ("library/app", true),
            ("team/app", true),
            ("docker.io/library/app:1", false),
            ("docker.io/team/app", false),
            ("localhost:5000/app", false),
        ] {
            let reference: ImageReference = name.parse().expect(name);
            let text = format!(
                r#"{{"tags": ["{name}"], "builder": "team/x", "sourceBuild": {{"location": ".",
                    "incremental": {{"image": "{name}"}}, "runtime": {{"image": "{name}"}}}}}}"#
            );
            let mut request = Request::from_json(&text).expect(name);
            request.builder = Some(BuilderRequest::Image(reference.clone()));
            let written = serde_json::to_string(&request).expect("a request can be written");
            let again = Request::from_json(&written).expect(&written);
            let build = again.source_build.expect("it was written");
            let previous = build.incremental.and_then(|previous| previous.image);
            let runtime = build.runtime.map(|runtime| runtime.image);
            let Some(BuilderRequest::Image(builder)) = again.builder else { panic!("{written}") };
            for read in [Some(again.tags[0].clone()), previous, runtime, Some(builder)] {
                let read = read.expect("it was written");
                assert_eq!((&read, read.is_short()), (&reference, short), "{written}");
            }
        }
    }

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
