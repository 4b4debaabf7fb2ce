//! Owns what a template says that takes finished artifacts: which kinds, and where they are placed.
//!
//! Must not place anything (`placement.rs`).

use serde::{Deserialize, Serialize};

use crate::builder::placement::LinkPattern;
use crate::detect::facts::Kind;
use crate::image::ImagePath;

/// A kind of artifact, as templates name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactKind {
    /// A native executable.
    Executable,
    /// A script.
    Script,
    /// A runnable JAR.
    Jar,
    /// A web application archive.
    War,
}

impl ArtifactKind {
    /// The word for several of them in messages.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Executable => "executables",
            Self::Script => "scripts",
            Self::Jar => "JARs",
            Self::War => "WARs",
        }
    }

    /// The word for one of them, with its article.
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

/// What a template takes that takes finished artifacts, and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactsSection {
    /// The kinds of artifacts; never empty.
    pub kinds: Vec<ArtifactKind>,
    /// The declarative form of its `assemble`.
    pub placement: PlacementSection,
}

impl ArtifactsSection {
    /// # Errors
    /// The key and what is wrong with it.
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

/// `[placement]`: where the artifact goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PlacementSection {
    /// Where the artifact goes.
    pub artifact: ImagePath,
    /// Where files that go with it go.
    pub beside: ImagePath,
    /// Further names of the artifact.
    #[serde(default)]
    pub hard_links: Vec<LinkPattern>,
}
