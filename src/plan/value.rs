//! Owns planned values: texts with a placeholder for a value that only the build knows.
//!
//! Must not search texts for placeholders: a user's label `${artifact.sha256}` stays unchanged.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::stem;
use crate::image::{BaseImage, ImagePath, ImageReference};
use crate::text::{as_choice, as_text};

/// A value that only the build knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// File name of the artifact that sources become.
    ArtifactName,
    /// The artifact's name without its extension.
    ArtifactStem,
    ArtifactDigest,
    /// The base's name in its layout or archive. If it has none there, texts with this placeholder are left out.
    BaseName,
    /// Digest of the base's manifest. If the base has none, texts with this placeholder are left out.
    BaseDigest,
    /// Directory of the builder image's scripts, as its label names it.
    BuilderScripts,
}

impl Placeholder {
    const TEXTS: [(&str, Self); 6] = [
        ("artifact.name", Self::ArtifactName),
        ("artifact.stem", Self::ArtifactStem),
        ("artifact.digest", Self::ArtifactDigest),
        ("base.name", Self::BaseName),
        ("base.digest", Self::BaseDigest),
        ("builder.scripts", Self::BuilderScripts),
    ];
}

as_choice!(Placeholder);
as_text!(Placeholder);

/// A text that may begin with a placeholder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PlannedText {
    Known(String),
    Later {
        placeholder: Placeholder,
        /// The text behind the value.
        #[serde(default, skip_serializing_if = "str::is_empty")]
        suffix: Cow<'static, str>,
    },
}

/// The values of the placeholders.
#[derive(Clone, Debug, Default)]
pub struct KnownValues {
    /// For [`Placeholder::ArtifactName`] and [`Placeholder::ArtifactStem`].
    pub artifact_name: Option<String>,
    pub artifact_digest: Option<String>,
    pub base_name: Option<String>,
    pub base_digest: Option<String>,
    pub builder_scripts: Option<String>,
    /// The script that starts the image, if only a shell can start it.
    pub shell_script: Option<ImagePath>,
}

impl KnownValues {
    /// The values that a base tells.
    pub(crate) fn of_base(base: &BaseImage) -> Self {
        let name = base.name.parse::<ImageReference>().ok().filter(|name| name.as_image_id().is_none());
        Self {
            base_name: name.map(|name| name.to_string()),
            base_digest: base.manifest_digest.map(|digest| digest.to_string()),
            ..Self::default()
        }
    }
}

impl PlannedText {
    /// A placeholder and the text behind it.
    pub fn later(placeholder: Placeholder, suffix: &'static str) -> Self {
        Self::Later { placeholder, suffix: suffix.into() }
    }

    /// Whether it starts with the name of an artifact that is not built yet.
    pub fn is_of_artifact(&self) -> bool {
        matches!(self, Self::Later { placeholder: Placeholder::ArtifactName | Placeholder::ArtifactStem, .. })
    }

    /// The text with the placeholder's value; none without a value.
    pub fn resolve(&self, known: &KnownValues) -> Option<String> {
        match self {
            Self::Known(text) => Some(text.clone()),
            Self::Later { placeholder, suffix } => {
                let value = match placeholder {
                    Placeholder::ArtifactName => known.artifact_name.as_deref(),
                    Placeholder::ArtifactStem => known.artifact_name.as_deref().map(stem),
                    Placeholder::ArtifactDigest => known.artifact_digest.as_deref(),
                    Placeholder::BaseName => known.base_name.as_deref(),
                    Placeholder::BaseDigest => known.base_digest.as_deref(),
                    Placeholder::BuilderScripts => known.builder_scripts.as_deref(),
                };
                value.map(|value| format!("{value}{suffix}"))
            }
        }
    }
}

impl From<&str> for PlannedText {
    fn from(text: &str) -> Self {
        Self::Known(text.to_owned())
    }
}

impl From<String> for PlannedText {
    fn from(text: String) -> Self {
        Self::Known(text)
    }
}

impl From<Placeholder> for PlannedText {
    fn from(placeholder: Placeholder) -> Self {
        Self::later(placeholder, "")
    }
}

impl fmt::Display for PlannedText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(text) => formatter.write_str(text),
            Self::Later { placeholder, suffix } => write!(formatter, "<{placeholder}>{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_looks_like_a_placeholder_stays_what_it_is() {
        let known = KnownValues { artifact_digest: Some("sha256:x".into()), ..KnownValues::default() };
        let text = PlannedText::from("<artifact.digest>");
        assert_eq!(text.resolve(&known).as_deref(), Some("<artifact.digest>"));
        let later = PlannedText::from(Placeholder::ArtifactDigest);
        assert_eq!(later.resolve(&known).as_deref(), Some("sha256:x"));
        assert_eq!(PlannedText::from(Placeholder::BaseDigest).resolve(&known), None);
    }
}
