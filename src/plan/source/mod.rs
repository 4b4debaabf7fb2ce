//! Owns the source stage of a plan: the S2I step that turns sources into an artifact or an image.
//!
//! Must not hold values of secrets or build variables, because a plan is printed. The request has them.

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

/// The stage that turns sources into an artifact or an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStage {
    pub source: PlannedSources,
    pub builder: PlannedBuilder,
    pub platform: Platform,
    pub engine: EngineKind,
    /// One clause.
    pub engine_reason: String,
    /// The directory of `src`, `scripts` and `artifacts`.
    pub destination: ImagePath,
    /// The user of `assemble`; empty means root.
    pub user: String,
    pub scripts: PlannedScripts,
    /// Variables of `assemble` that stay in the image.
    pub environment: Vec<(String, String)>,
    /// Names of the variables that are not in the image.
    pub build_environment: Vec<String>,
    pub secrets: Vec<String>,
    /// Directories that `assemble` sees and the image does not.
    pub injections: Vec<PlannedInjection>,
    /// Mounts of this machine's directories.
    pub volumes: Vec<VolumeRequest>,
    /// Directories that builds share.
    pub caches: Vec<PlannedCache>,
    pub limits: Limits,
    /// Lines of the hosts file.
    pub add_hosts: Vec<String>,
    /// Capabilities that the scripts lack.
    pub drop_capabilities: Vec<Capability>,
    /// ONBUILD instructions to execute; empty if the builder's scripts replace them.
    pub on_build: Vec<String>,
    /// The previous image, whose `save-artifacts` restores artifacts.
    pub incremental: Option<ImageReference>,
    /// The key of shared caches; none if the project owns them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_key: Option<String>,
    /// The image that receives the artifacts of an extended build.
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
    /// The file of the build tool, such as `pom.xml`.
    pub build_file: Option<String>,
    /// The number of files, directories and links.
    pub entries: usize,
}

/// The scripts of S2I's contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedScripts {
    pub assemble: Option<PlannedScript>,
    pub run: Option<PlannedScript>,
    /// Saves artifacts for a later build. An image's script runs in the previous image.
    pub save_artifacts: Option<PlannedScript>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedScript {
    pub path: ImagePath,
    #[serde(flatten)]
    pub origin: ScriptOrigin,
    /// Whether `sh` starts it, because it has no `#!` line. For a script of an image, its first start shows that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub through_shell: bool,
}

impl PlannedScript {
    /// The command that starts it.
    pub fn command(&self) -> Vec<String> {
        start_command(&self.path, self.through_shell)
    }
}

/// The shell for scripts without a `#!` line.
pub(in crate::plan) const SHELL: &str = "/bin/sh";

/// The command that starts a script.
pub fn start_command(script: &ImagePath, through_shell: bool) -> Vec<String> {
    let shell = through_shell.then(|| SHELL.to_owned());
    shell.into_iter().chain([script.to_string()]).collect()
}

/// A directory that `assemble` sees and the image does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedInjection {
    pub source: PathBuf,
    pub destination: ImagePath,
}

/// A directory that builds share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedCache {
    /// Unique in the template.
    pub name: String,
    pub path: ImagePath,
}

/// The image that receives the artifacts of an extended build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedRuntime {
    pub image: ImageReference,
    /// Each path in the assembled builder, with its directory in the runtime image.
    pub artifacts: Vec<(ImagePath, ImagePath)>,
    /// Whether the assembled builder saves artifacts into the cache, and restores the previous ones from it.
    pub keeps_artifacts: bool,
    /// The directory of `assemble-runtime` and `run`.
    pub destination: ImagePath,
    /// The user of `assemble-runtime`; empty means root.
    pub user: String,
    /// Finishes the runtime image.
    pub assemble: Option<PlannedScript>,
    pub run: Option<PlannedScript>,
}

/// The result of a source stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "makes", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum PlannedProduct {
    /// An artifact for the usual pipeline. Its facts are known after the build, and compared with this declaration.
    Artifact {
        /// The template's declaration, if it has one.
        kind: Option<ProductKind>,
        /// Files, or directories with exactly one artifact.
        places: Vec<ImagePath>,
    },
    /// The assembled builder is the image.
    Image,
}
