//! Owns the format of `builder.toml`: what a template says about itself.
//!
//! Every value is checked when it is parsed, so that an error names its line. Must not read files.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::base::{BaseLibc, BaseName, glibc_version};
use super::error::{BuilderError, shown, toml_error};
use super::placement::LinkPattern;
use super::version::DottedVersion;
use crate::detect::facts::{GlibcVersion, Kind, ServletApi};
use crate::image::ImagePath;
use crate::image::layer::Owner;

/// Largest number of versions a template may list.
const MAXIMUM_VERSIONS: usize = 200;

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

/// What `builder.toml` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Metadata {
    /// The template's name: lower-case letters, digits, `-`, `_`, `.`.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// One sentence about it.
    pub description: String,
    /// The artifacts it takes.
    pub kinds: Vec<ArtifactKind>,
    /// Where its scripts stand in the image.
    pub scripts_directory: ImagePath,
    /// What makes a base into this builder image.
    pub image: ImageSection,
    /// The declarative form of its `assemble`.
    pub placement: PlacementSection,
    /// Its versions, newest last.
    pub versions: Vec<Version>,
}

/// `[image]`: what makes a base into the builder image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImageSection {
    /// The user, numeric, so that what is placed can be owned by it.
    #[serde(deserialize_with = "owner", serialize_with = "as_text")]
    pub user: Owner,
    /// The working directory.
    pub working_directory: ImagePath,
    /// The entrypoint.
    pub entrypoint: Vec<String>,
    /// Environment variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Ports that the program listens on, such as `8080/tcp`.
    #[serde(default)]
    pub ports: Vec<String>,
    /// The directories that the template owns.
    #[serde(default)]
    pub directories: Vec<DirectoryEntry>,
    /// Files beside the scripts.
    #[serde(default)]
    pub files: Vec<FileEntry>,
}

/// A directory that the template owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DirectoryEntry {
    /// Where it is.
    pub path: ImagePath,
    /// Its mode.
    pub mode: Mode,
    /// Who owns it.
    #[serde(deserialize_with = "owner", serialize_with = "as_text")]
    pub owner: Owner,
}

/// A file that the template brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileEntry {
    /// Its path in the template's folder.
    #[serde(deserialize_with = "relative_path")]
    pub source: String,
    /// Where it goes.
    pub path: ImagePath,
    /// Its mode.
    pub mode: Mode,
    /// Who owns it.
    #[serde(deserialize_with = "owner", serialize_with = "as_text")]
    pub owner: Owner,
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

/// One version of a template. What it does not say itself is taken from what is assumed of its base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Version {
    /// Its name.
    #[serde(deserialize_with = "name")]
    pub version: String,
    /// Its base.
    pub base: BaseName,
    /// The Java release it runs.
    pub level: Option<u32>,
    /// The servlet API of its Tomcat.
    #[serde(default, deserialize_with = "servlet_api")]
    pub servlet_api: Option<ServletApi>,
    /// Its Tomcat.
    pub tomcat: Option<DottedVersion>,
    /// Its C library.
    pub libc: Option<BaseLibc>,
    /// The version of its GNU C library.
    #[serde(default, with = "glibc_version", skip_serializing_if = "Option::is_none")]
    pub glibc: Option<GlibcVersion>,
}

/// Permission bits, written as octal digits (`"0775"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04o}", self.0)
    }
}

impl Serialize for Mode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let octal = (3..=5).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let bits = octal.then(|| u32::from_str_radix(&text, 8).ok()).flatten().filter(|bits| *bits <= 0o7777);
        bits.map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{text}` is not a mode (expected octal digits, such as `0755`)"
            ))
        })
    }
}

impl Metadata {
    /// Parses `builder.toml`; `file` is its name in messages.
    ///
    /// # Errors
    /// [`BuilderError::Malformed`] with line and key, [`BuilderError::Invalid`] where values contradict each other.
    pub fn parse(file: &str, text: &str) -> Result<Self, BuilderError> {
        let metadata: Self = toml::from_str(text).map_err(|error| toml_error(file, text, &error))?;
        metadata.check().map_err(|(key, reason)| BuilderError::Invalid {
            file: file.into(),
            key,
            reason: shown(&reason),
        })?;
        Ok(metadata)
    }

    fn check(&self) -> Result<(), (String, String)> {
        let wrong = |key: &str, reason: String| Err((key.to_owned(), reason));
        if shown(&self.description) != self.description {
            return wrong("description", "is longer than 200 characters or not plain text".into());
        }
        if self.kinds.is_empty() {
            return wrong("kinds", "names no kind of artifact".into());
        }
        if self.versions.is_empty() || self.versions.len() > MAXIMUM_VERSIONS {
            return wrong("versions", format!("has to list 1 to {MAXIMUM_VERSIONS} versions"));
        }
        for (index, version) in self.versions.iter().enumerate() {
            if self.versions[..index].iter().any(|earlier| earlier.version == version.version) {
                return wrong("versions", format!("lists `{}` twice", version.version));
            }
        }
        if let Some(name) = self.image.env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return wrong("image.env", format!("has `{name}`, which is no variable name"));
        }
        let placement = &self.placement;
        if placement.artifact.is_within(&self.scripts_directory) {
            let place = &placement.artifact;
            return wrong("placement.artifact", format!("is `{place}`, where the scripts are"));
        }
        if placement.beside.is_within(&placement.artifact) {
            let place = &placement.beside;
            return wrong("placement.beside", format!("is `{place}`, which is the artifact's own place"));
        }
        Ok(())
    }
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    let good = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.len() <= 64
        && text.bytes().all(word);
    if good {
        return Ok(text);
    }
    let reason = "expected up to 64 lower-case letters, digits, `-`, `_`, `.`";
    Err(serde::de::Error::custom(format!("`{text}` is not a name ({reason})")))
}

/// Reads `uid:gid`; both are numbers, because names mean different users in different bases.
fn owner<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Owner, D::Error> {
    let text = String::deserialize(deserializer)?;
    let number = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u32>().ok()).flatten()
    };
    let parsed =
        text.split_once(':').and_then(|(uid, gid)| Some(Owner { uid: number(uid)?, gid: number(gid)? }));
    parsed.ok_or_else(|| {
        serde::de::Error::custom(format!("`{text}` is not an owner (expected two numbers, such as `1001:0`)"))
    })
}

fn as_text<S: serde::Serializer>(owner: &Owner, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(owner)
}

fn servlet_api<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ServletApi>, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "javax" => Ok(Some(ServletApi::Javax)),
        "jakarta" => Ok(Some(ServletApi::Jakarta)),
        other => Err(serde::de::Error::custom(format!(
            "`{other}` is not a servlet API (expected `javax` or `jakarta`)"
        ))),
    }
}

/// Reads a path below the template's folder: relative, normal, `/` between its components.
fn relative_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let good = ImagePath::new(&format!("/{text}")).is_ok_and(|path| path.relative() == text)
        && !text.is_empty()
        && !text.contains('\\');
    if good {
        return Ok(text);
    }
    Err(serde::de::Error::custom(format!("`{text}` is not a relative path inside the template's folder")))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn reads_a_template() {
        let metadata = Metadata::parse("builder.toml", sample::TOMCAT).expect("valid");
        assert_eq!(metadata.kinds, [ArtifactKind::War]);
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
