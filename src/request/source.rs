//! Owns the part of a request that is about sources: where they are, what builds them, and what `assemble` sees.
//!
//! Must not hold anything that was found out rather than asked.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use url::Url;

use super::{BuilderRequest, PullPolicy};
use crate::engine::Capability;
use crate::image::{ImagePath, ImageReference};
use crate::sources::{SourceLocation, SourceOptions};

/// The pre-step: sources that a builder turns into an artifact or an image.
#[derive(Clone, Debug, Default)]
pub struct SourceBuildRequest {
    /// Where the sources are.
    pub location: SourceLocation,
    /// What the result's label says of sources that nobody else can fetch; none means their name.
    pub recorded_location: Option<String>,
    /// How they are fetched.
    pub source: SourceOptions,
    /// The source builder (`--source-builder`); none means the template that fits what lies in the source root.
    pub builder: Option<BuilderRequest>,
    /// The artifact's path in the assembled container (`--artifact`), where the template's own is not meant.
    pub artifact: Option<String>,
    /// Whether the assembled builder is the image, whatever the template declares: `b2i s2i build`.
    pub keep_builder: bool,
    /// First-choice place of scripts (`--scripts-url`).
    pub scripts: Option<ScriptsSource>,
    /// Where the builder expects `src`, `scripts` and `artifacts`; none means its label, or `/tmp`.
    pub destination: Option<ImagePath>,
    /// Variables of `assemble` that stay in the image (`-e`, `-E`), in order; a later one wins.
    pub environment: Vec<EnvironmentVariable>,
    /// Variables of `assemble` that leave no trace in the image (`--build-env`).
    pub build_environment: Vec<EnvironmentVariable>,
    /// Files that `assemble` can read and that leave no trace (`--secret`).
    pub secrets: Vec<SecretFile>,
    /// Directories that are there while `assemble` runs and empty afterwards (`--inject`).
    pub injections: Vec<Injection>,
    /// Mounts of this machine's directories (`--volume`).
    pub volumes: Vec<VolumeRequest>,
    /// The image whose `save-artifacts` gives what the build before left, if the build is incremental.
    pub incremental: Option<PreviousImage>,
    /// The second image of an extended build.
    pub runtime: Option<RuntimeRequest>,
    /// Users that the builder and the runtime image may have; empty means any.
    pub allowed_uids: Vec<UidRange>,
    /// Whether builders with ONBUILD instructions are refused.
    pub block_on_build: bool,
    /// `HOST:ADDRESS` lines for the container's hosts file.
    pub add_hosts: Vec<String>,
    /// Capabilities that the container does not get.
    pub drop_capabilities: Vec<Capability>,
    /// Label `io.k8s.display-name`; none means the tag.
    pub display_name: Option<String>,
    /// Label `io.k8s.description`.
    pub description: Option<String>,
    /// Where the end of the build is reported to.
    pub callback: Option<Url>,
    /// Whether the build caches that the template names are left out (`--no-build-cache`).
    pub skip_caches: bool,
    /// The name under which builds share their caches on purpose (`--cache-key`); none means each project has its own.
    pub cache_key: Option<String>,
    /// How long the download of one script may take; none means a minute.
    pub download_timeout: Option<Duration>,
}

/// One variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentVariable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Where scripts come from, in the first place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptsSource {
    /// `http(s)://…/`: each script is a file below it.
    Url(Url),
    /// A directory of this machine.
    Directory(PathBuf),
    /// A directory of the builder image.
    Image(ImagePath),
}

impl ScriptsSource {
    /// What an image says in the place of a directory of the machine that built it.
    pub const UNTOLD: &str = "file:";

    /// How an image may name it.
    pub fn label(&self) -> String {
        match self {
            Self::Url(url) => {
                let mut shown = url.clone();
                // What cannot have a user name has none.
                let _ = shown.set_username("").and_then(|()| shown.set_password(None));
                shown.set_query(None);
                shown.set_fragment(None);
                shown.to_string()
            }
            Self::Image(path) => format!("image://{path}"),
            Self::Directory(_) => Self::UNTOLD.to_owned(),
        }
    }
}

/// A file that `assemble` finds at `/run/secrets/<id>` and nothing else ever does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// Its name.
    pub id: String,
    /// The file of this machine.
    pub file: PathBuf,
}

/// A directory whose files are there while `assemble` runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// The directory of this machine.
    pub source: PathBuf,
    /// Where it goes; relative to the image's working directory. None means the working directory itself.
    pub destination: Option<String>,
}

/// A mount of a directory or volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeRequest {
    /// An absolute path of this machine, or the name of a volume.
    pub source: String,
    /// Where it is in the container.
    pub target: ImagePath,
    /// Whether it can only be read.
    pub read_only: bool,
}

/// What the build before left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousImage {
    /// The image; none means the first tag.
    pub image: Option<ImageReference>,
    /// When it is pulled.
    pub pull: PullPolicy,
    /// Whether it is removed after the build.
    pub remove: bool,
}

/// The second image of an extended build: artifacts go from the assembled builder into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeRequest {
    /// The image.
    pub image: ImageReference,
    /// When it is pulled.
    pub pull: PullPolicy,
    /// What is taken; empty means what the image's label says.
    pub artifacts: Vec<RuntimeArtifactPlace>,
    /// User of `assemble-runtime`; none means the label, or the image's own.
    pub assemble_user: Option<String>,
}

/// Something that is taken out of the builder, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeArtifactPlace {
    /// A file or directory of the builder.
    pub source: ImagePath,
    /// The directory that it goes to, below the runtime image's working directory; none means that one itself.
    pub directory: Option<String>,
}

impl std::fmt::Display for RuntimeArtifactPlace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.directory {
            Some(directory) => write!(formatter, "{}:{directory}", self.source),
            None => write!(formatter, "{}", self.source),
        }
    }
}

impl std::str::FromStr for RuntimeArtifactPlace {
    type Err = String;

    /// Reads `SRC[:DIR]`, as S2I's flag and label write it.
    fn from_str(text: &str) -> Result<Self, String> {
        let (source, directory) = match text.split_once(':') {
            Some((source, directory)) => (source, Some(directory).filter(|text| !matches!(*text, "" | "."))),
            None => (text, None),
        };
        let source = ImagePath::new(source).map_err(|error| error.to_string())?;
        if source.as_str() == "/" {
            return Err("`/` is the whole builder, not something that can be taken out of it".into());
        }
        let is_outside = |text: &str| text.starts_with('/') || text.split('/').any(|part| part == "..");
        match directory {
            Some(directory) if is_outside(directory) => {
                Err(format!("`{directory}` is no directory below the runtime image's working directory"))
            }
            directory => Ok(Self { source, directory: directory.map(str::to_owned) }),
        }
    }
}

/// A range of user numbers, both ends included; an open end is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UidRange {
    /// Lowest.
    pub from: Option<u32>,
    /// Highest.
    pub to: Option<u32>,
}
