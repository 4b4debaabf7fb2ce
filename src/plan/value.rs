//! Owns planned values: texts of which a part is known only once the plan is carried out.
//!
//! A placeholder is a value of its own, never a piece of text to be searched for: a label that a user writes as
//! `${artifact.sha256}` stays what it is.

use std::fmt;

use serde::{Serialize, Serializer};

use super::names::stem;

/// What is known only later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placeholder {
    /// The artifact's file name, if sources become it.
    ArtifactName,
    /// The artifact's name without the ending that says what it is.
    ArtifactStem,
    /// Digest of the artifact's bytes.
    ArtifactDigest,
    /// Digest of the base's manifest; what names it is left out where the base has none.
    BaseDigest,
    /// Directory of the builder image's scripts, as its label names it.
    BuilderScripts,
}

impl Placeholder {
    /// The name it is shown by.
    pub fn name(self) -> &'static str {
        match self {
            Self::ArtifactName => "artifact.name",
            Self::ArtifactStem => "artifact.stem",
            Self::ArtifactDigest => "artifact.digest",
            Self::BaseDigest => "base.digest",
            Self::BuilderScripts => "builder.scripts",
        }
    }
}

/// A text that may begin with something known only later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlannedText {
    Known(String),
    /// A placeholder and the text behind it.
    Later(Placeholder, &'static str),
}

/// What the placeholders stand for, once it is known.
#[derive(Clone, Debug, Default)]
pub struct KnownValues {
    /// For [`Placeholder::ArtifactName`] and [`Placeholder::ArtifactStem`].
    pub artifact_name: Option<String>,
    pub artifact_digest: Option<String>,
    pub base_digest: Option<String>,
    pub builder_scripts: Option<String>,
}

impl PlannedText {
    /// Whether it begins with the name of an artifact that is not built yet.
    pub fn is_of_artifact(&self) -> bool {
        matches!(self, Self::Later(Placeholder::ArtifactName | Placeholder::ArtifactStem, _))
    }

    /// Puts in what is known; nothing if the value turned out not to exist.
    pub fn resolve(&self, known: &KnownValues) -> Option<String> {
        match self {
            Self::Known(text) => Some(text.clone()),
            Self::Later(placeholder, suffix) => {
                let value = match placeholder {
                    Placeholder::ArtifactName => known.artifact_name.as_deref(),
                    Placeholder::ArtifactStem => known.artifact_name.as_deref().map(stem),
                    Placeholder::ArtifactDigest => known.artifact_digest.as_deref(),
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
        Self::Later(placeholder, "")
    }
}

impl fmt::Display for PlannedText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(text) => formatter.write_str(text),
            Self::Later(placeholder, suffix) => write!(formatter, "<{}>{suffix}", placeholder.name()),
        }
    }
}

impl Serialize for PlannedText {
    /// A known text is a JSON string; one with a placeholder is `{"placeholder": name, "suffix": text}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        match self {
            Self::Known(text) => serializer.serialize_str(text),
            Self::Later(placeholder, suffix) => {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("placeholder", placeholder.name())?;
                if !suffix.is_empty() {
                    map.serialize_entry("suffix", suffix)?;
                }
                map.end()
            }
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
        let later = PlannedText::Later(Placeholder::ArtifactDigest, "");
        assert_eq!(later.resolve(&known).as_deref(), Some("sha256:x"));
        assert_eq!(PlannedText::Later(Placeholder::BaseDigest, "").resolve(&known), None);
    }
}
