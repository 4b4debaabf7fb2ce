//! Owns what a plan says of its source stage: the S2I step in front, by which sources become an artifact or an image.
//!
//! Must not hold the values of secrets or of variables that leave no trace: a plan is printed and compared. Whoever
//! carries it out takes them from the request.

mod error;
mod image;
mod on_build;
mod runtime;
mod scripts;
mod stage;
mod users;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EngineKind, PlannedBuilder};
use crate::builder::ProductKind;
use crate::diagnostic::Warning;
use crate::engine::Capability;
use crate::image::{ImagePath, ImageReference, Platform};
use crate::request::{Limits, VolumeRequest};
use crate::sources::SourceInfo;
pub use crate::sources::scripts::ScriptOrigin;

pub use error::SourcePlanError;
pub use image::{SourceImage, make_of_sources};
pub use on_build::{OnBuildFacts, follows_on_build, on_build_assemble};
pub use stage::{BuilderImage, SourceFacts, describe_source_builder, make_source_stage, variables};
pub use users::UserNotAllowed;

/// Sources becoming an artifact, or the assembled builder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStage {
    pub source: PlannedSources,
    pub builder: PlannedBuilder,
    pub platform: Platform,
    pub engine: EngineKind,
    /// Why there, one clause.
    pub engine_reason: String,
    /// Where `src`, `scripts` and `artifacts` go.
    pub destination: ImagePath,
    /// The user of `assemble`; empty means root.
    pub user: String,
    pub scripts: PlannedScripts,
    /// Variables of `assemble` that stay in the image.
    pub environment: Vec<(String, String)>,
    /// Names of the variables that leave no trace.
    pub build_environment: Vec<String>,
    pub secrets: Vec<String>,
    /// Directories whose files are there while `assemble` runs.
    pub injections: Vec<PlannedInjection>,
    /// Mounts of this machine's directories.
    pub volumes: Vec<VolumeRequest>,
    /// Directories that are kept from build to build.
    pub caches: Vec<PlannedCache>,
    pub limits: Limits,
    /// Lines for the hosts file.
    pub add_hosts: Vec<String>,
    /// Capabilities that the scripts do not get.
    pub drop_capabilities: Vec<Capability>,
    /// ONBUILD instructions of the builder, which are carried out; empty if its scripts take their place.
    pub on_build: Vec<String>,
    /// The image whose `save-artifacts` gives what the build before left.
    pub incremental: Option<ImageReference>,
    /// The key of what is kept from one build to the next; none if it belongs to the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_key: Option<String>,
    /// The image that gets the artifacts, in an extended build.
    pub runtime: Option<PlannedRuntime>,
    pub product: PlannedProduct,
    pub warnings: Vec<Warning>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedSources {
    pub name: String,
    #[serde(flatten)]
    pub info: SourceInfo,
    /// The file that says what builds them, if there is one.
    pub build_file: Option<String>,
    /// How many files, directories and links they are.
    pub entries: usize,
}

/// The scripts of S2I's contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedScripts {
    pub assemble: Option<PlannedScript>,
    pub run: Option<PlannedScript>,
    /// Gives what a later build may use; of the previous image, if it comes from the image.
    pub save_artifacts: Option<PlannedScript>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedScript {
    pub path: ImagePath,
    #[serde(flatten)]
    pub origin: ScriptOrigin,
}

/// A directory whose files are there while `assemble` runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedInjection {
    pub source: PathBuf,
    pub destination: ImagePath,
}

/// A directory that is kept from build to build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedCache {
    /// Its name among those of the template.
    pub name: String,
    pub path: ImagePath,
}

/// The image that gets the artifacts of an extended build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedRuntime {
    pub image: ImageReference,
    /// Paths in the assembled builder, and the directory in the runtime image that each goes to.
    pub artifacts: Vec<(ImagePath, ImagePath)>,
    /// Whether what `save-artifacts` prints in the assembled builder is kept, and what the build before kept is there.
    pub keeps_artifacts: bool,
    /// Where `assemble-runtime` and `run` stand.
    pub destination: ImagePath,
    /// The user of `assemble-runtime`; empty means root.
    pub user: String,
    /// Does what is left to do in the runtime image.
    pub assemble: Option<PlannedScript>,
    pub run: Option<PlannedScript>,
}

/// What comes of a source stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "makes", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum PlannedProduct {
    /// An artifact, which then takes the road of every artifact. Its facts, and so the image's stage, are known only
    /// when it is there; they are compared with what is declared here.
    Artifact {
        /// What the template declares; none if nothing is said.
        kind: Option<ProductKind>,
        /// Where it is: files, or directories in which exactly one artifact is expected.
        places: Vec<ImagePath>,
    },
    /// The assembled builder is the image.
    Image,
}
