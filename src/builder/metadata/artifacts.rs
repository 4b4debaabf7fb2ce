//! Owns the metadata of a template for finished artifacts: their kinds and their placement.
//!
//! Must not place anything (`placement.rs`).

use serde::{Deserialize, Serialize};

use super::image::{optional_owner, optional_owner_text};
use crate::builder::placement::LinkPattern;
use crate::detect::facts::Kind;
use crate::image::ImagePath;
use crate::image::layer::Owner;

/// A kind of artifact in `builder.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactKind {
    /// A native executable.
    Executable,
    Script,
    /// A runnable JAR.
    Jar,
    /// A web application archive.
    War,
}

impl ArtifactKind {
    /// The plural in messages.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Executable => "executables",
            Self::Script => "scripts",
            Self::Jar => "JARs",
            Self::War => "WARs",
        }
    }

    /// The singular with its article.
    pub fn singular(self) -> &'static str {
        match self {
            Self::Executable => "an executable",
            Self::Script => "a script",
            Self::Jar => "a JAR",
            Self::War => "a WAR",
        }
    }
}

impl From<&Kind> for ArtifactKind {
    fn from(kind: &Kind) -> Self {
        match kind {
            Kind::Executable(_) => Self::Executable,
            Kind::Script(_) => Self::Script,
            Kind::Jar(_) => Self::Jar,
            Kind::War(_) => Self::War,
        }
    }
}

/// The kinds of artifacts that a template takes, and their placement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactsSection {
    /// The kinds of artifacts; never empty.
    pub kinds: Vec<ArtifactKind>,
    /// The declarative form of its `assemble`.
    pub placement: PlacementSection,
}

impl ArtifactsSection {
    /// # Errors
    /// The key and the reason.
    pub(super) fn new(
        kinds: Vec<ArtifactKind>,
        placement: PlacementSection,
        scripts_directory: &ImagePath,
    ) -> Result<Self, (String, String)> {
        let wrong = |key: &str, reason: String| Err((key.to_owned(), reason));
        if kinds.is_empty() {
            return wrong("kinds", "names no kind of artifact".into());
        }
        if placement.artifact.is_within(scripts_directory) {
            let place = &placement.artifact;
            return wrong("placement.artifact", format!("is `{place}`, where the scripts are"));
        }
        if placement.beside.is_within(&placement.artifact) {
            let place = &placement.beside;
            return wrong("placement.beside", format!("is `{place}`, which is the artifact's own place"));
        }
        Ok(Self { kinds, placement })
    }
}

/// `[placement]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PlacementSection {
    pub artifact: ImagePath,
    /// The directory of added files.
    pub beside: ImagePath,
    /// The owner of placed files, and the user of `assemble`; by default the image's user.
    #[serde(
        default,
        deserialize_with = "optional_owner",
        serialize_with = "optional_owner_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub owner: Option<Owner>,
    /// Other names of the artifact.
    #[serde(default)]
    pub hard_links: Vec<LinkPattern>,
}
