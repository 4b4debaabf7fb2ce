//! Owns the format of `builder.toml`, the metadata of a template.
//!
//! Every value is checked when it is parsed, so that an error has its line. Must not read files.

mod artifacts;
mod image;
mod source;
mod version;

use serde::Deserialize;

pub use artifacts::{ArtifactKind, ArtifactsSection, PlacementSection};
pub use image::{DirectoryEntry, FileEntry, ImageSection, Mode};
pub use source::{Product, ProductKind, SourceCache, SourceSection};
pub use version::Version;

use self::source::SourceDocument;
use self::version::name;
use super::error::{BuilderError, shown, toml_error};
use crate::image::ImagePath;

/// Largest number of versions a template may list.
const MAXIMUM_VERSIONS: usize = 200;

/// The content of `builder.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Lower-case letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// One sentence.
    pub description: String,
    pub takes: Takes,
    /// The directory of its scripts in the image.
    pub scripts_directory: ImagePath,
    pub image: ImageSection,
    /// Newest last.
    pub versions: Vec<Version>,
}

/// The input of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takes {
    Artifacts(ArtifactsSection),
    Sources(SourceSection),
}

/// The text of `builder.toml`: with `kinds` and `[placement]`, or with `[source]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    #[serde(deserialize_with = "name")]
    name: String,
    description: String,
    kinds: Option<Vec<ArtifactKind>>,
    scripts_directory: ImagePath,
    image: ImageSection,
    placement: Option<PlacementSection>,
    source: Option<SourceDocument>,
    versions: Vec<Version>,
}

impl Metadata {
    /// Parses `builder.toml`; `file` is its name in messages.
    ///
    /// # Errors
    /// [`BuilderError::Malformed`] with line and key, [`BuilderError::Invalid`] where values contradict each other.
    pub fn parse(file: &str, text: &str) -> Result<Self, BuilderError> {
        let document: Document = toml::from_str(text).map_err(|error| toml_error(file, text, &error))?;
        document.metadata().map_err(|(key, reason)| BuilderError::Invalid {
            file: file.into(),
            key,
            reason: shown(&reason),
        })
    }

    pub fn artifacts(&self) -> Option<&ArtifactsSection> {
        match &self.takes {
            Takes::Artifacts(section) => Some(section),
            Takes::Sources(_) => None,
        }
    }

    pub fn source(&self) -> Option<&SourceSection> {
        match &self.takes {
            Takes::Artifacts(_) => None,
            Takes::Sources(section) => Some(section),
        }
    }
}

impl Takes {
    /// The text for lists and messages: `JARs`, or ``sources with `go.mod` ``.
    pub fn words(&self) -> String {
        match self {
            Self::Artifacts(section) => {
                section.kinds.iter().map(|kind| kind.plural()).collect::<Vec<_>>().join(" and ")
            }
            Self::Sources(section) => {
                let files: Vec<String> =
                    section.build_files.iter().map(|file| format!("`{}`", shown(file))).collect();
                format!("sources with {}", files.join(" or "))
            }
        }
    }
}

impl Document {
    fn metadata(self) -> Result<Metadata, (String, String)> {
        let wrong = |key: &str, reason: String| Err((key.to_owned(), reason));
        if shown(&self.description) != self.description {
            return wrong("description", "is longer than 200 characters or is not plain text".into());
        }
        if self.versions.is_empty() || self.versions.len() > MAXIMUM_VERSIONS {
            return wrong("versions", format!("must contain 1 to {MAXIMUM_VERSIONS} versions"));
        }
        for (index, version) in self.versions.iter().enumerate() {
            if self.versions[..index].iter().any(|earlier| earlier.version == version.version) {
                return wrong("versions", format!("contains `{}` twice", version.version));
            }
        }
        if let Some(name) = self.image.env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return wrong("image.env", format!("contains `{name}`, which is not a valid name of a variable"));
        }
        let takes = match (self.kinds, self.placement, self.source) {
            (Some(kinds), Some(placement), None) => {
                Takes::Artifacts(ArtifactsSection::new(kinds, placement, &self.scripts_directory)?)
            }
            (None, None, Some(source)) => Takes::Sources(source.section()?),
            (Some(_), _, Some(_)) => {
                return wrong(
                    "source",
                    "is not allowed with `kinds`: a template takes artifacts or sources".into(),
                );
            }
            (None, Some(_), Some(_)) => {
                let reason = "is not allowed with `placement`: what is built from sources is not placed";
                return wrong("source", reason.into());
            }
            (Some(_), None, None) => return wrong("placement", "is required with `kinds`".into()),
            (None, Some(_), None) => return wrong("kinds", "is required with `placement`".into()),
            (None, None, None) => {
                let reason =
                    "and `placement`, or `source`, are missing: a template takes artifacts or sources";
                return wrong("kinds", reason.into());
            }
        };
        Ok(Metadata {
            name: self.name,
            description: self.description,
            takes,
            scripts_directory: self.scripts_directory,
            image: self.image,
            versions: self.versions,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::tests::sample;
    use crate::detect::facts::ServletApi;
    use crate::image::layer::Owner;

    #[test]
    fn reads_a_template() {
        let metadata = Metadata::parse("builder.toml", sample::TOMCAT).expect("valid");
        assert_eq!(metadata.artifacts().expect("it takes artifacts").kinds, [ArtifactKind::War]);
        assert_eq!(metadata.image.user, Owner { uid: 1001, gid: 0 });
        assert_eq!(metadata.image.directories[0].mode, Mode(0o775));
        assert_eq!(metadata.versions[0].servlet_api, Some(ServletApi::Javax));
    }

    #[test]
    fn every_error_names_file_line_and_key() {
        for (from, to, needle) in [
            ("mode = \"0775\"", "mode = \"0885\"", "`0885` is not a mode"),
            ("mode = \"0775\"", "mode = 775", "mode = 775"),
            ("user = \"1001:0\"", "user = \"app\"", "`app` is not an owner"),
            ("user = \"1001:0\"", "user = \"+1:0\"", "`+1:0` is not an owner"),
            ("user = \"1001:0\"", "user = \":\"", "`:` is not an owner"),
            ("user = \"1001:0\"", "usr = \"1001:0\"", "unknown field `usr`"),
            ("kinds = [\"war\"]", "kinds = [\"ear\"]", "kinds = [\"ear\"]"),
            ("\"files/server.xml\"", "\"../server.xml\"", "`../server.xml` is not a relative path"),
            ("\"files/server.xml\"", "\"/etc/shadow\"", "`/etc/shadow` is not a relative path"),
            ("servlet-api = \"javax\"", "servlet-api = \"java\"", "`java` is not a servlet API"),
            ("${CONTEXT}.war", "${HOME}.war", "`${HOME}`"),
            ("name = \"tomcat\"", "name = \"Tom cat\"", "`Tom cat` is not a name"),
            ("\"/opt/app-root/bin/binary\"", "\"bin/binary\"", "`bin/binary` is not an absolute path"),
        ] {
            assert!(sample::TOMCAT.contains(from), "{from}");
            let text = sample::TOMCAT.replacen(from, to, 1);
            let error = Metadata::parse("x/builder.toml", &text).expect_err(to).to_string();
            assert!(error.contains(needle) && error.starts_with("`x/builder.toml` line "), "{error}");
        }
    }

    #[test]
    fn an_error_shows_no_flood_and_no_control_characters() {
        let mode = format!("mode = \"{}\\u001b[2J\"", "x".repeat(100_000));
        let text = sample::TOMCAT.replacen("mode = \"0775\"", &mode, 1);
        let error = Metadata::parse("b", &text).expect_err("refused").to_string();
        assert!(error.len() < 600 && !error.contains('\u{1b}'), "{error}");
    }

    #[test]
    fn refuses_contradictions() {
        for (from, to, needle) in [
            ("\"Runs a WAR\"", "\"Runs \\u001b[31m\"", "`description`"),
            ("kinds = [\"war\"]", "kinds = []", "`kinds`"),
            ("version = \"10.1\"", "version = \"9\"", "twice"),
            ("\"/opt/app-root/bin/binary\"", "\"/usr/libexec/s2i/run\"", "`placement.artifact`"),
        ] {
            let error =
                Metadata::parse("b", &sample::TOMCAT.replacen(from, to, 1)).expect_err(to).to_string();
            assert!(error.contains(needle), "{error}");
        }
    }

    proptest::proptest! {
        /// Whatever is typed into a file, the answer is a template or an error that shows one line of it.
        #[test]
        fn damaged_files_never_panic(at in 0_usize..1500, text in "\\PC{0,12}|\"\"\"|\\[\\[a|\n= ", cut in 0_usize..20) {
            let mut damaged: Vec<char> = sample::TOMCAT.chars().collect();
            let at = at.min(damaged.len());
            damaged.splice(at..(at + cut).min(damaged.len()), text.chars());
            let damaged: String = damaged.into_iter().collect();
            if let Err(error) = Metadata::parse("b", &damaged) {
                proptest::prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
