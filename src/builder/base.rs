//! Owns the assumptions about base images: the types of `builder-images/bases.toml` and the look-up in it.
//!
//! Selection decides by assumptions, without the image. `check.rs` compares them with the real image. Must not decide
//! anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::{BuilderError, toml_error};
use super::version::DottedVersion;
use crate::detect::facts::GlibcVersion;
use crate::image::{ImagePath, ImageReference, Platform};
use crate::text::as_text;
use crate::transport::Location;

/// The name of the built-in base in `builder.toml` and `bases.toml`.
const BUILT_IN_STATIC: &str = "builtin:static";

/// The accounts of the built-in base.
pub(crate) const BUILT_IN_USERS: [&str; 3] = ["root", "default", "nobody"];
pub(crate) const BUILT_IN_GROUPS: [&str; 2] = ["root", "nobody"];

/// The name of a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseName {
    /// The static base that is built into b2i: users, `/tmp`, CA certificates, time zones, the launcher.
    BuiltInStatic,
    Image(ImageReference),
    /// A layout, an archive, or an image that only the daemon is asked for. A template does not name such a base.
    Location(Location),
}

impl BaseName {
    /// The name of the image; none for the built-in base and for files.
    pub fn reference(&self) -> Option<&ImageReference> {
        match self {
            Self::BuiltInStatic => None,
            Self::Image(reference) => Some(reference),
            Self::Location(location) => location.name(),
        }
    }

    /// The layout or archive.
    pub fn file(&self) -> Option<&Location> {
        match self {
            Self::Location(location) if location.is_file() => Some(location),
            Self::Location(_) | Self::BuiltInStatic | Self::Image(_) => None,
        }
    }
}

impl From<Location> for BaseName {
    fn from(location: Location) -> Self {
        match location.name() {
            Some(name) if location.transport.is_registry() => Self::Image(name.clone()),
            _ => Self::Location(location),
        }
    }
}

impl fmt::Display for BaseName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltInStatic => formatter.write_str(BUILT_IN_STATIC),
            Self::Image(reference) => write!(formatter, "{reference}"),
            Self::Location(location) => write!(formatter, "{location}"),
        }
    }
}

impl FromStr for BaseName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == BUILT_IN_STATIC {
            return Ok(Self::BuiltInStatic);
        }
        if let Some(name) = text.strip_prefix("builtin:") {
            return Err(format!("`{name}` is not a built-in base; the only one is `{BUILT_IN_STATIC}`"));
        }
        text.parse()
            .map(Self::Image)
            .map_err(|error: crate::image::reference::InvalidReference| error.to_string())
    }
}

as_text!(BaseName);

/// The C library of a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaseLibc {
    /// Only static programs run.
    None,
    /// The GNU C library.
    Glibc,
    Musl,
}

impl fmt::Display for BaseLibc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "none",
            Self::Glibc => "glibc",
            Self::Musl => "musl",
        })
    }
}

/// A program of a base that builds or serves sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// The Go toolchain.
    Go,
    /// Apache Maven.
    Maven,
    /// Node.js.
    Node,
    Python,
    Nginx,
}

impl Tool {
    /// Its key in `bases.toml`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Maven => "maven",
            Self::Node => "node",
            Self::Python => "python",
            Self::Nginx => "nginx",
        }
    }
}

/// The assumptions about a base. A field that is not set is unknown and decides nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct BaseAssumptions {
    /// Whether `/bin/sh` exists.
    pub shell: Option<bool>,
    /// Other interpreters in `/bin` or `/usr/bin`, such as `bash`.
    pub interpreters: BTreeSet<String>,
    pub libc: Option<BaseLibc>,
    pub glibc: Option<GlibcVersion>,
    /// Sonames of libraries other than the C library.
    pub libraries: Option<BTreeSet<String>>,
    /// The Java release.
    pub java: Option<u32>,
    pub java_home: Option<ImagePath>,
    pub tomcat: Option<DottedVersion>,
    pub tomcat_home: Option<ImagePath>,
    pub tools: BTreeMap<Tool, DottedVersion>,
    /// Whether it has a bundle of CA certificates.
    pub certificates: Option<bool>,
    /// Whether it has the files of the time zones.
    pub time_zones: Option<bool>,
    /// The user in its config; empty or `root` is root.
    pub user: Option<String>,
    pub platforms: Option<Vec<Platform>>,
}

impl BaseAssumptions {
    /// Whether it is published for `platform`; true if that is unknown.
    pub fn offers(&self, platform: &Platform) -> bool {
        self.platforms.as_ref().is_none_or(|offered| offered.iter().any(|one| one.matches(platform)))
    }
}

/// The assumptions by the full name of the base.
#[derive(Clone, Debug, Default)]
pub struct Bases(BTreeMap<String, BaseAssumptions>);

impl Bases {
    /// Parses `bases.toml`; `file` is its name in messages.
    ///
    /// # Errors
    /// [`BuilderError::Malformed`] with the line and key. A key is a full name or `builtin:static`.
    pub fn parse(file: &str, text: &str) -> Result<Self, BuilderError> {
        let bases: BTreeMap<String, BaseAssumptions> =
            toml::from_str(text).map_err(|error| toml_error(file, text, &error))?;
        for key in bases.keys() {
            let full = key.parse::<BaseName>().map(|name| name.to_string());
            let reason = match full {
                Ok(full) if full == *key => continue,
                Ok(full) => format!("is not a full image name; write `{full}`"),
                Err(error) => error,
            };
            return Err(BuilderError::Invalid { file: file.into(), key: key.clone(), reason });
        }
        Ok(Self(bases))
    }

    /// The assumptions about `name`, if it is listed.
    pub fn get(&self, name: &BaseName) -> Option<&BaseAssumptions> {
        self.0.get(&name.to_string())
    }

    /// The full names of all listed bases, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// A base after the replacements of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Base {
    pub image: BaseName,
    /// The base of the template, if the configuration replaces it by `image`.
    pub replaces: Option<BaseName>,
    /// A replacement inherits the assumptions about the base that it replaces. Those about a base that the user names are
    /// the observations in it.
    pub assumptions: BaseAssumptions,
    /// Whether the assumptions are observations.
    pub is_observed: bool,
}

/// The name of a base in the labels of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedBase {
    /// The base is a part of b2i. No other tool knows its name.
    Unnamed,
    Name(String),
    /// The name that the layout or archive gives the image. It is known once the file is open.
    InFile,
}

impl Base {
    /// The name that an image records. An image from a mirror has the public name, because the mirror is a matter of this
    /// machine. Any other image has its own name.
    pub fn recorded(&self) -> RecordedBase {
        match (&self.image, &self.replaces) {
            (BaseName::Image(image), Some(BaseName::Image(public))) if is_mirror(image, public) => {
                RecordedBase::Name(public.to_string())
            }
            (base, _) if base.file().is_some() => RecordedBase::InFile,
            (base, _) => base
                .reference()
                .map_or(RecordedBase::Unnamed, |reference| RecordedBase::Name(reference.recorded())),
        }
    }
}

/// Whether an image has the name of a public one in another registry: the same last component, and the same tag or a digest.
fn is_mirror(image: &ImageReference, public: &ImageReference) -> bool {
    let last =
        |reference: &ImageReference| reference.repository().rsplit('/').next().unwrap_or_default().to_owned();
    last(image) == last(public) && (image.tag() == public.tag() || image.digest().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_file() {
        let text = r#"
            ["builtin:static"]
            shell = false
            libc = "none"
            platforms = ["linux/amd64", "linux/arm64"]
            ["docker.io/library/debian:12-slim"]
            shell = true
            libc = "glibc"
            glibc = "2.36"
            libraries = ["libstdc++.so.6"]
            user = "root"
        "#;
        let bases = Bases::parse("bases.toml", text).expect("valid");
        let debian = bases.get(&"debian:12-slim".parse().expect("valid")).expect("listed");
        assert_eq!(debian.glibc, Some(GlibcVersion { major: 2, minor: 36 }));
        assert!(debian.offers(&Platform::linux("riscv64")), "nothing is known of its platforms");
        let fixed = bases.get(&BaseName::BuiltInStatic).expect("listed");
        assert!(fixed.offers(&Platform::linux("arm64")) && !fixed.offers(&Platform::linux("riscv64")));
    }

    #[test]
    fn records_what_the_base_is() {
        let recorded = |image: &str, replaces: Option<&str>| {
            let image = image.parse::<Location>().expect("a location").into();
            let replaces = replaces.map(|name| name.parse().expect("a base"));
            let assumptions = BaseAssumptions::default();
            match (Base { image, replaces, assumptions, is_observed: false }).recorded() {
                RecordedBase::Name(name) => name,
                RecordedBase::InFile => "in file".into(),
                RecordedBase::Unnamed => "unnamed".into(),
            }
        };
        let public = Some("eclipse-temurin:17-jre");
        for mirror in [
            "mirror.example/eclipse-temurin:17-jre",
            "mirror.example:5000/hub/library/eclipse-temurin:17-jre",
            "mirror.example/library/eclipse-temurin@sha256:\
             aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert_eq!(recorded(mirror, public), "docker.io/library/eclipse-temurin:17-jre", "{mirror}");
        }
        for (image, name) in [
            ("mirror.example/base/jre:17", "mirror.example/base/jre:17"),
            ("mirror.example/eclipse-temurin:21-jre", "mirror.example/eclipse-temurin:21-jre"),
            ("docker-daemon:jre:17", "docker.io/library/jre:17"),
            ("oci:jre", "in file"),
            ("docker-archive:jre.tar", "in file"),
        ] {
            assert_eq!(recorded(image, public), name);
            assert_eq!(recorded(image, None), name);
        }
        assert_eq!(recorded("mirror.example/static:1", Some("builtin:static")), "mirror.example/static:1");
    }

    #[test]
    fn says_file_line_and_key() {
        for (text, needle) in [
            ("[\"docker.io/library/a:1\"]\nglibc = \"x\"", "line 2"),
            ("[\"docker.io/library/a:1\"]\nglib = \"2.3\"", "unknown field `glib`"),
            ("[\"a:1\"]\n", "write `docker.io/library/a:1`"),
            ("[\"builtin:other\"]\n", "`other` is not a built-in base"),
        ] {
            let error = Bases::parse("bases.toml", text).expect_err(text).to_string();
            assert!(error.contains(needle) && error.contains("bases.toml"), "{error}");
        }
    }
}
