//! Owns the part of a request about sources: their location, their builder, and the environment of `assemble`.
//!
//! Must not hold facts or decisions.

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{BuilderRequest, PullPolicy};
use crate::engine::Capability;
use crate::image::reference::as_written;
use crate::image::{ImagePath, ImageReference};
use crate::input::SecretReference;
use crate::sources::{SourceLocation, SourceOptions};
use crate::text::{self, as_text};

/// A build from sources, to an artifact or an image.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SourceBuildRequest {
    /// The location of the sources.
    #[serde(skip_serializing_if = "SourceLocation::is_nothing")]
    pub location: SourceLocation,
    /// The location in the image's label if nobody else can fetch the sources. Default: their name.
    pub recorded_location: Option<String>,
    /// Options of fetching.
    pub source: SourceOptions,
    /// The source builder (`--source-builder`). Default: the template that fits the files in the source root.
    pub builder: Option<BuilderRequest>,
    /// The artifact's path in the container (`--artifact`). Default: the template's.
    pub artifact: Option<String>,
    /// Make the image from the builder, as `b2i s2i build` does, even if the template declares an artifact.
    pub keep_builder: bool,
    /// Give the image no name if the request has no tag, as `b2i s2i build` does.
    pub unnamed: bool,
    /// The first location of scripts (`--scripts-url`).
    pub scripts: Option<ScriptsSource>,
    /// The last location of scripts, if the builder image has no label for them.
    pub image_scripts: Option<ScriptsSource>,
    /// The directory of `src`, `scripts` and `artifacts` in the builder. Default: its label, or `/tmp`.
    pub destination: Option<ImagePath>,
    /// Variables of `assemble` and of the image (`-e`, `-E`). A later value replaces an earlier one.
    pub environment: Vec<EnvironmentVariable>,
    /// Variables of `assemble` alone (`--build-env`).
    pub build_environment: Vec<EnvironmentVariable>,
    /// Variables of `assemble` alone, with secret values.
    pub build_secrets: Vec<SecretVariable>,
    /// Files of `assemble` alone (`--secret`).
    pub secrets: Vec<SecretFile>,
    /// Directories of `assemble` that are empty in the image (`--inject`).
    pub injections: Vec<Injection>,
    /// Mounts of directories of this machine (`--volume`).
    #[serde(with = "text::list")]
    #[schemars(with = "Vec<String>")]
    pub volumes: Vec<VolumeRequest>,
    /// The image whose saved artifacts an incremental build restores.
    pub incremental: Option<PreviousImage>,
    /// The second image of an extended build.
    pub runtime: Option<RuntimeRequest>,
    /// Allowed users of the builder and the runtime image. Default: all.
    #[serde(skip_serializing_if = "UidRanges::allows_every_user")]
    pub allowed_uids: UidRanges,
    /// Refuse builders with ONBUILD instructions.
    pub block_on_build: bool,
    /// `HOST:ADDRESS` lines for the container's hosts file.
    pub add_hosts: Vec<String>,
    /// Capabilities to drop.
    pub drop_capabilities: Vec<Capability>,
    /// Label `io.k8s.display-name`. Default: the tag.
    pub display_name: Option<String>,
    /// Label `io.k8s.description`.
    pub description: Option<String>,
    /// URL that receives the result of the build.
    pub callback: Option<Url>,
    /// Leave out the template's build caches (`--no-build-cache`).
    pub skip_caches: bool,
    /// Name of caches that builds share (`--cache-key`). Default: one cache for each project.
    pub cache_key: Option<String>,
    /// The longest time of a script's download. Default: one minute.
    #[serde(deserialize_with = "text::period")]
    #[schemars(with = "Option<text::PeriodForm>")]
    pub download_timeout: Option<Duration>,
}

/// A variable of `assemble`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentVariable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A variable with a secret value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretVariable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: SecretReference,
}

/// A location of scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptsSource {
    /// `http(s)://…/`, with one file for each script.
    Url(Url),
    /// A directory of this machine.
    Directory(PathBuf),
    /// A directory of the builder image.
    Image(ImagePath),
}

impl ScriptsSource {
    /// The label's value for a directory: a path of the building machine stays out of the image.
    pub const LOCAL: &str = "file:";

    /// The value in the image's label.
    pub fn label(&self) -> String {
        match self {
            Self::Url(url) => {
                let mut shown = url.clone();
                // A URL that cannot have a user name has none.
                let _ = shown.set_username("").and_then(|()| shown.set_password(None));
                shown.set_query(None);
                shown.set_fragment(None);
                shown.to_string()
            }
            Self::Image(path) => format!("image://{path}"),
            Self::Directory(_) => Self::LOCAL.to_owned(),
        }
    }
}

/// A secret file: `assemble` reads it at `/run/secrets/<id>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// Its name.
    pub id: String,
    /// The file of this machine.
    pub file: PathBuf,
}

/// A directory whose files are there while `assemble` runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// The directory of this machine.
    pub source: PathBuf,
    /// The destination, relative to the image's working directory. Default: the working directory itself.
    pub destination: Option<String>,
}

/// A mount of a directory or volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeRequest {
    /// An absolute path of this machine, or the name of a volume.
    pub source: String,
    /// The path in the container.
    pub target: ImagePath,
    /// Whether it can only be read.
    pub read_only: bool,
}

/// The image of the previous build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PreviousImage {
    /// The image. Default: the first tag.
    #[serde(serialize_with = "as_written::option")]
    pub image: Option<ImageReference>,
    /// Pull policy. Default: the request's.
    pub pull: Option<PullPolicy>,
    /// Remove it after the build.
    pub remove: bool,
}

/// The runtime image of an extended build. It receives artifacts of the builder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuntimeRequest {
    /// The image.
    #[serde(serialize_with = "as_written::one")]
    pub image: ImageReference,
    /// Pull policy. Default: the request's.
    #[serde(default)]
    pub pull: Option<PullPolicy>,
    /// Artifacts to copy. Default: the image's label.
    #[serde(default)]
    pub artifacts: Vec<RuntimeArtifactPlace>,
    /// User of `assemble-runtime`. Default: the label, or the image's user.
    #[serde(default)]
    pub assemble_user: Option<String>,
}

/// An artifact to copy to the runtime image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeArtifactPlace {
    /// A file or directory of the builder.
    pub source: ImagePath,
    /// The directory below the runtime image's working directory. Default: the working directory.
    pub directory: Option<String>,
}

impl std::fmt::Display for RuntimeArtifactPlace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.directory {
            Some(directory) => write!(formatter, "{}:{directory}", self.source),
            None => write!(formatter, "{}", self.source),
        }
    }
}

impl std::str::FromStr for RuntimeArtifactPlace {
    type Err = String;

    /// Reads `SRC[:DIR]`, as S2I's flag and label write it.
    fn from_str(text: &str) -> Result<Self, String> {
        let (source, directory) = match text.split_once(':') {
            Some((source, directory)) => (source, Some(directory).filter(|text| !matches!(*text, "" | "."))),
            None => (text, None),
        };
        let source = ImagePath::new(source).map_err(|error| error.to_string())?;
        if source.as_str() == "/" {
            return Err("`/` is the whole builder; pass a file or directory in it".into());
        }
        let is_outside = |text: &str| text.starts_with('/') || text.split('/').any(|part| part == "..");
        match directory {
            Some(directory) if is_outside(directory) => {
                Err(format!("`{directory}` is not a directory below the runtime image's working directory"))
            }
            directory => Ok(Self { source, directory: directory.map(str::to_owned) }),
        }
    }
}

/// A range of user IDs. Both ends are included; an open end is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UidRange {
    /// Lowest.
    pub from: Option<u32>,
    /// Highest.
    pub to: Option<u32>,
}

/// Ranges of user IDs: `5`, `1-`, `-1000`, `1-5,30-`. An empty list allows every user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UidRanges(pub Vec<UidRange>);

impl UidRanges {
    fn allows_every_user(&self) -> bool {
        self.0.is_empty()
    }
}

impl Deref for UidRanges {
    type Target = [UidRange];

    fn deref(&self) -> &[UidRange] {
        &self.0
    }
}

impl fmt::Display for UidRanges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
        for (index, range) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match range {
                UidRange { from: Some(from), to: Some(to) } if from == to => {
                    write!(formatter, "{comma}{from}")?
                }
                range => write!(formatter, "{comma}{}-{}", number(range.from), number(range.to))?,
            }
        }
        Ok(())
    }
}

impl FromStr for UidRanges {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(uid_range).collect::<Result<_, _>>().map(Self)
    }
}

fn uid_range(text: &str) -> Result<UidRange, String> {
    let text = text.trim();
    let wrong = || format!("`{text}` is not a range of user IDs: write 5, 1-, -1000 or 1-5");
    let number = |text: &str| match text {
        "" => Ok(None),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().map(Some).map_err(|_| wrong()),
        _ => Err(wrong()),
    };
    let range = match text.split_once('-') {
        Some((from, to)) => UidRange { from: number(from)?, to: number(to)? },
        None => UidRange { from: number(text)?, to: number(text)? },
    };
    match (range.from, range.to) {
        (None, None) => Err(wrong()),
        (Some(from), Some(to)) if from > to => Err(format!("`{text}` is empty: {from} is larger than {to}")),
        _ => Ok(range),
    }
}

impl FromStr for Injection {
    type Err = String;

    /// Parses `SRC[:DST]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (source, destination) = match text.rsplit_once(':') {
            Some((source, destination)) => {
                (source, Some(destination.to_owned()).filter(|text| !text.is_empty()))
            }
            None => (text, None),
        };
        if source.is_empty() {
            return Err(format!("`{text}` has no source directory"));
        }
        Ok(Self { source: source.into(), destination })
    }
}

impl fmt::Display for Injection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let destination = self.destination.as_deref().unwrap_or_default();
        write!(formatter, "{}:{destination}", self.source.display())
    }
}

impl FromStr for VolumeRequest {
    type Err = String;

    /// Parses `SRC:DST[:ro]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, mode) = match parts.as_slice() {
            [source, target] => (*source, *target, "rw"),
            [source, target, mode] => (*source, *target, *mode),
            _ => return Err(format!("`{text}` is not a mount: write SRC:DST or SRC:DST:ro")),
        };
        let read_only = match mode {
            "ro" => true,
            "rw" => false,
            other => return Err(format!("`{other}` is not a mount mode: write ro or rw")),
        };
        let target = ImagePath::new(target).map_err(|error| error.to_string())?;
        let is_name = |text: &str| {
            text.starts_with(|first: char| first.is_ascii_alphanumeric())
                && text.chars().all(|one| one.is_ascii_alphanumeric() || "_.-".contains(one))
        };
        if source.starts_with('/') || is_name(source) {
            return Ok(Self { source: source.to_owned(), target, read_only });
        }
        Err(format!("`{source}` is neither an absolute path nor the name of a volume"))
    }
}

impl fmt::Display for VolumeRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.read_only { "ro" } else { "rw" };
        write!(formatter, "{}:{}:{mode}", self.source, self.target)
    }
}

impl FromStr for SecretFile {
    type Err = String;

    /// Parses `id=NAME[,src=FILE]`, as `docker build --secret` does. Default: the file NAME.
    fn from_str(text: &str) -> Result<Self, String> {
        let (mut id, mut file) = (None, None);
        for part in text.split(',') {
            match part.split_once('=') {
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("src" | "source", value)) => file = Some(PathBuf::from(value)),
                Some(("type", "file")) => {}
                Some(("env" | "type", _)) => {
                    return Err("b2i takes secrets from files: write src=FILE".into());
                }
                _ => return Err(format!("`{part}` is not a field of a secret: write id=NAME,src=FILE")),
            }
        }
        let id = id.filter(|id| !id.is_empty()).ok_or("the secret has no name: write id=NAME,src=FILE")?;
        if id.contains('/') || id.contains(char::is_control) || matches!(id.as_str(), "." | "..") {
            return Err(format!("`{id}` is not a valid name of a secret: it becomes a file name"));
        }
        let file = file.unwrap_or_else(|| PathBuf::from(&id));
        Ok(Self { id, file })
    }
}

impl fmt::Display for SecretFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "id={},src={}", self.id, self.file.display())
    }
}

impl FromStr for ScriptsSource {
    type Err = String;

    /// Parses `http(s)://…`, `file://…` (relative paths too), `image:///…` or a directory.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            Some(("image", path)) => ImagePath::new(path).map(Self::Image).map_err(|error| error.to_string()),
            Some(("file", "")) => Err("the directory is missing".into()),
            Some(("file", path)) => Ok(Self::Directory(path.into())),
            Some(("http" | "https", _)) => Url::parse(text).map(Self::Url).map_err(|error| error.to_string()),
            Some((scheme, _)) => Err(format!("`{scheme}` is not one of http, https, file and image")),
            None if text.is_empty() => Err("the directory is missing".into()),
            None => Ok(Self::Directory(text.into())),
        }
    }
}

impl fmt::Display for ScriptsSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(formatter),
            Self::Directory(path) => write!(formatter, "file://{}", path.display()),
            Self::Image(path) => write!(formatter, "image://{path}"),
        }
    }
}

/// Checks a line of the hosts file: `HOST:ADDRESS`.
pub(crate) fn host_entry(text: &str) -> Result<String, String> {
    let is_host =
        |host: &str| !host.is_empty() && !host.contains(|one: char| one.is_whitespace() || one == '/');
    let is_address = |address: &str| {
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        address == "host-gateway" || bare.parse::<std::net::IpAddr>().is_ok()
    };
    match text.split_once(':') {
        Some((host, address)) if is_host(host) && is_address(address) => Ok(text.to_owned()),
        _ => Err(format!("`{text}` is not HOST:ADDRESS")),
    }
}

as_text!(Injection, RuntimeArtifactPlace, ScriptsSource, SecretFile, UidRanges);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_open_ends() {
        let range = |from, to| UidRange { from, to };
        let uid_ranges = |text: &str| text.parse::<UidRanges>();
        assert_eq!(uid_ranges("5"), Ok(UidRanges(vec![range(Some(5), Some(5))])));
        assert_eq!(
            uid_ranges("1-5,30-"),
            Ok(UidRanges(vec![range(Some(1), Some(5)), range(Some(30), None)]))
        );
        assert_eq!(uid_ranges("-1000"), Ok(UidRanges(vec![range(None, Some(1000))])));
        for text in ["", "-", "a", "5-1", "1,,2", "+5", "1-2-3", "99999999999"] {
            assert!(uid_ranges(text).is_err(), "{text}");
        }
    }

    #[test]
    fn places_are_told_apart() {
        let injection = |text: &str| text.parse::<Injection>();
        let volume = |text: &str| text.parse::<VolumeRequest>();
        let injected = injection("/secrets:etc").expect("valid");
        assert_eq!((injected.source, injected.destination.as_deref()), ("/secrets".into(), Some("etc")));
        assert_eq!(injection("/secrets:").expect("valid").destination, None);
        assert!(injection(":x").is_err());
        assert!(volume("/a:/b:ro").expect("valid").read_only);
        assert_eq!(volume("cache:/b").expect("valid").source, "cache");
        for text in ["/a", "a/b:/c", "./a:/c", "/a:b", "/a:/b:Z", "/a:/b:ro:x", ":/b"] {
            assert!(volume(text).is_err(), "{text}");
        }
        let place: RuntimeArtifactPlace = "/opt/app.war:deploy".parse().expect("valid");
        assert_eq!((place.source.as_str(), place.directory.as_deref()), ("/opt/app.war", Some("deploy")));
        for text in ["app.war", "/a:/b", "/a:../b", "", "/"] {
            assert!(text.parse::<RuntimeArtifactPlace>().is_err(), "{text}");
        }
    }

    #[test]
    fn secrets_are_files_and_named() {
        let secret = |text: &str| text.parse::<SecretFile>();
        let one = secret("id=npm,src=/run/npmrc").expect("valid");
        assert_eq!((one.id.as_str(), one.file), ("npm", "/run/npmrc".into()));
        assert_eq!(secret("id=npm").expect("valid").file, PathBuf::from("npm"));
        for text in ["", "npm", "src=a", "id=", "id=../a,src=b", "id=a,env=B", "id=a,x=b"] {
            assert!(secret(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_capabilities_and_scripts_are_what_they_say() {
        for text in ["db:10.0.0.1", "db:::1", "db:[::1]", "db:host-gateway"] {
            assert!(host_entry(text).is_ok(), "{text}");
        }
        for text in ["db", "db:", ":1.2.3.4", "db:name", "a b:1.2.3.4"] {
            assert!(host_entry(text).is_err(), "{text}");
        }
        let capability = |text: &str| text.parse::<Capability>().map_err(|error| error.to_string());
        let scripts_source = |text: &str| text.parse::<ScriptsSource>();
        assert!(capability("cap_net_raw").is_ok_and(|found| found.to_string() == "NET_RAW"));
        assert_eq!(
            capability("net_row"),
            Err("`net_row` is not a valid capability: write a name such as NET_RAW, or ALL".into())
        );
        assert!(matches!(scripts_source("image:///usr/s2i"), Ok(ScriptsSource::Image(_))));
        assert_eq!(scripts_source("file://s2i/bin"), Ok(ScriptsSource::Directory("s2i/bin".into())));
        assert!(matches!(scripts_source("https://host.example/s2i"), Ok(ScriptsSource::Url(_))));
        for text in ["ftp://x", "image://relative", "file://", ""] {
            assert!(scripts_source(text).is_err(), "{text}");
        }
    }
}
