//! Owns every decision: request, facts and builder become one immutable [`Plan`], with its text, JSON and Dockerfile.
//!
//! Must not open a file, call a daemon or read a clock.

mod assembly;
mod base_directories;
pub mod dockerfile;
mod engine;
mod error;
mod image;
mod labels;
mod make;
mod names;
mod notes;
mod outputs;
mod placement;
mod render;
mod render_source;
mod source;
mod targets;
#[cfg(test)]
mod tests;
mod value;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use engine::{
    EngineChoice, choose_engine, commits_container, depends_on_machine, engine_source, looks_for_daemon,
    native_platform, needs_some_engine, save_sees_secrets, would_use_daemon,
};
pub use error::PlanError;
pub use labels::{
    ASSEMBLE_USER_LABEL, DESTINATION_LABEL, ENVIRONMENT_LABEL, EXCLUDE_LABEL, FETCHED_LABEL,
    RUNTIME_ARTIFACTS_LABEL, RUNTIME_IMAGE_LABEL, RUNTIME_USER_LABEL, SCRIPTS_LABEL, TEMPLATE_LABEL,
};
pub(crate) use make::FIXED_DATE;
pub use make::{ImageFacts, Machine, make, make_unplanned};
pub(crate) use notes::left_out;
pub use outputs::{PlannedOutput, Takes};
pub use render::render_text;
pub use source::{
    BuilderImage, OnBuildFacts, PlannedCache, PlannedInjection, PlannedProduct, PlannedRuntime,
    PlannedScript, PlannedScripts, PlannedSources, ScriptOrigin, SourceFacts, SourceImage, SourcePlanError,
    SourceStage, UserNotAllowed, describe_source_builder, follows_on_build, make_of_sources,
    make_source_stage, on_build_assemble, start_command, variables,
};
pub use targets::{Input, Target, Targets, targets};
pub use value::{KnownValues, Placeholder, PlannedText};

use crate::builder::metadata::Mode;
use crate::detect::Facts;
use crate::detect::facts::Kind;
use crate::diagnostic::Warning;
use crate::image::layer::Owner;
use crate::image::{ConfigEdits, ImagePath, ImageReference, Platform};
use crate::input::Origin;
use crate::request::Limits;

/// The version of a plan's JSON form.
pub const SCHEMA_VERSION: u32 = 1;

/// Every decision of a build, before anything happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The stage that turns sources into an artifact or an image; none for an existing artifact.
    pub source: Option<SourceStage>,
    /// The images, one stage for each platform.
    pub stages: Vec<Stage>,
    /// Names of the result: of the one image, or of the index of all.
    pub tags: Vec<ImageReference>,
    /// The name of the result, if it follows from an artifact that is not built yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub later_tag: Option<PlannedText>,
    /// Outputs of the images.
    pub outputs: Vec<PlannedOutput>,
    /// Why a stage is missing, one clause: the artifact is neither built nor declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unplanned: Option<String>,
    /// Options without effect, and images that no output receives.
    pub warnings: Vec<Warning>,
}

/// One artifact becoming one image, for one platform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// None if the source stage makes the image.
    pub artifact: Option<PlannedArtifact>,
    pub builder: PlannedBuilder,
    pub platform: Platform,
    pub assembly: Assembly,
    /// One clause.
    pub assembly_reason: String,
    pub image: PlannedImage,
    /// Date of files and image, in seconds since 1970.
    pub date: u64,
    pub warnings: Vec<Warning>,
    /// Facts that are no mistake, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Plan {
    /// All warnings, without repetition.
    pub fn all_warnings(&self) -> Vec<&Warning> {
        let mut all: Vec<&Warning> = Vec::new();
        for warning in self.warnings.iter().chain(self.stages.iter().flat_map(|stage| &stage.warnings)) {
            if !all.contains(&warning) {
                all.push(warning);
            }
        }
        all
    }

    /// The notes of all stages, without repetition.
    pub fn all_notes(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for note in self.stages.iter().flat_map(|stage| &stage.notes) {
            if !all.contains(&note.as_str()) {
                all.push(note);
            }
        }
        all
    }

    /// The archive that replaces the daemon, if the request names no output.
    pub(crate) fn default_archive(&self) -> Option<&std::path::Path> {
        match &self.outputs[..] {
            [only] => only.output.docker_archive(),
            _ => None,
        }
    }

    /// Whether an output is a daemon.
    pub fn writes_to_daemon(&self) -> bool {
        self.outputs.iter().any(|planned| planned.output.is_daemon())
    }
}

/// The artifact of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedArtifact {
    pub name: PlannedText,
    pub origin: Origin,
    pub facts: PlannedFacts,
}

/// Facts of an artifact, by their origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PlannedFacts {
    /// Read from the artifact.
    Read(Facts),
    /// Declared by its source builder. The artifact is compared with it after the build.
    Declared {
        /// The facts in one clause; undeclared ones are left out.
        declared: String,
        /// Whether the artifact is for one platform. Only rendering a Dockerfile reads it; JSON leaves it out.
        #[serde(skip)]
        is_executable: bool,
    },
}

impl PlannedFacts {
    /// The facts in one clause.
    pub fn describe(&self) -> String {
        match self {
            Self::Read(facts) => facts.describe(),
            Self::Declared { declared, .. } => declared.clone(),
        }
    }

    /// Whether the artifact is for one platform.
    pub fn is_executable(&self) -> bool {
        match self {
            Self::Read(facts) => matches!(facts.kind, Kind::Executable(_)),
            Self::Declared { is_executable, .. } => *is_executable,
        }
    }
}

/// The builder that was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedBuilder {
    /// `java:17`, or an image's name.
    pub name: String,
    /// The template's base image, or the builder image.
    pub base: String,
    pub base_source: BaseSource,
    /// Digest of the template's files; none for a builder image.
    pub template_digest: Option<crate::image::Digest>,
    /// Why this one, one clause.
    pub reason: String,
}

/// The source of a base image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BaseSource {
    BuiltIn,
    Daemon,
    /// A layout or an archive.
    File,
    Registry,
}

/// The engine of an `assemble` script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EngineKind {
    /// A container of the daemon.
    Docker,
    /// b2i's own sandbox.
    Sandbox,
}

impl std::fmt::Display for EngineKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Docker => "docker",
            Self::Sandbox => "sandbox",
        })
    }
}

impl PlannedBuilder {
    /// Builder and base in one line, with short image names.
    pub fn describe(&self) -> String {
        let familiar = |name: &str| match name.parse::<ImageReference>() {
            Ok(reference) => reference.familiar(),
            Err(_) => name.to_owned(),
        };
        match self.template_digest {
            Some(_) if self.base.starts_with("builtin:") => format!("{} on the built-in base", self.name),
            Some(_) => format!("{} on {}", self.name, familiar(&self.base)),
            None => familiar(&self.name),
        }
    }
}

/// How the artifact gets into the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Assembly {
    /// b2i performs the placement: one new layer with these entries.
    Place {
        /// The entries.
        entries: Vec<PlannedEntry>,
    },
    /// The script runs.
    Run(Box<PlannedRun>),
    /// The source stage makes the image.
    Sources,
}

/// A script that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedRun {
    pub engine: EngineKind,
    /// Files of the container: the template's (none for a builder image) and added files with an absolute path.
    pub entries: Vec<PlannedEntry>,
    /// Files in `<destination>/src`; the first is the artifact.
    pub sources: Vec<PlannedSource>,
    /// Added to the environment of the image.
    pub environment: Vec<(String, String)>,
    pub limits: Limits,
    /// The template's scripts. None: a label of the image has them.
    pub scripts: Option<ImagePath>,
    /// The template's user. None: the image has it.
    pub user: Option<String>,
}

/// [`Assembly`] without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AssemblyKind {
    /// b2i performs the placement.
    Place,
    /// The script runs.
    Run,
    /// The source stage makes the image.
    Sources,
}

impl Assembly {
    pub fn kind(&self) -> AssemblyKind {
        match self {
            Self::Place { .. } => AssemblyKind::Place,
            Self::Run { .. } => AssemblyKind::Run,
            Self::Sources => AssemblyKind::Sources,
        }
    }

    /// A few words for a step line.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Place { .. } => "placed by b2i",
            Self::Run { .. } => "its script runs",
            Self::Sources => "its script builds the sources",
        }
    }
}

/// One entry of the new layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedEntry {
    pub path: ImagePath,
    #[serde(flatten)]
    pub what: EntrySource,
    /// Permission bits; octal in the JSON form.
    #[serde(with = "octal")]
    #[schemars(with = "String")]
    pub mode: u32,
    pub owner: Owner,
}

/// The content of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum EntrySource {
    Directory,
    Artifact,
    Added {
        /// Index into the artifact's added files.
        index: usize,
    },
    Template {
        /// Index into the template's entries.
        index: usize,
    },
    /// The bundle of CA certificates that b2i brings along.
    Certificates,
    /// The directory of the time zones that b2i brings along, with all files in it.
    TimeZones,
    HardLink {
        target: ImagePath,
    },
    Symlink {
        /// Its text.
        target: String,
    },
}

/// One file for `assemble`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedSource {
    /// Its path below `src`.
    pub path: String,
    #[serde(flatten)]
    pub what: EntrySource,
    #[serde(with = "octal")]
    #[schemars(with = "String")]
    pub mode: u32,
}

/// Permission bits as octal digits.
mod octal {
    use super::{Deserialize, Mode, Serialize};

    pub(super) fn serialize<S: serde::Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        Mode(*mode).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        Mode::deserialize(deserializer).map(|mode| mode.0)
    }
}

/// The changes to the base's config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedImage {
    /// The changes without placeholders.
    #[serde(flatten)]
    pub edits: ConfigEdits,
    /// The artifact in the history, if its name is a placeholder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub later_history: Option<PlannedText>,
    /// Labels with placeholders.
    pub later_labels: Vec<(String, PlannedText)>,
    /// The command of a builder image, which its labels tell.
    pub later_cmd: Option<Vec<PlannedText>>,
    /// Annotations of the manifest.
    pub annotations: std::collections::BTreeMap<String, String>,
    /// The fields of `Entrypoint`, `Cmd` and `OnBuild` that the base loses.
    pub resets: Vec<String>,
}

impl PlannedImage {
    /// The changes with the values of the placeholders.
    pub fn resolve(&self, known: &KnownValues) -> ConfigEdits {
        let mut edits = self.edits.clone();
        if let Some(artifact) = self.later_history.as_ref().and_then(|artifact| artifact.resolve(known)) {
            edits.history = image::history(&artifact);
        }
        for (name, value) in &self.later_labels {
            if let Some(value) = value.resolve(known) {
                edits.labels.entry(name.clone()).or_insert(value);
            }
        }
        if let Some(cmd) = &self.later_cmd {
            edits.cmd = Some(cmd.iter().filter_map(|word| word.resolve(known)).collect());
        }
        if let Some(script) = &known.shell_script {
            for words in [&mut edits.entrypoint, &mut edits.cmd].into_iter().flatten() {
                if *words == start_command(script, false) {
                    *words = start_command(script, true);
                }
            }
        }
        edits
    }
}
