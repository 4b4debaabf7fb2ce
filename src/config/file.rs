//! Owns one configuration file: its types, reading it, and checking its keys before its values.
//!
//! Must not know of other levels; `settings.rs` merges them.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Error, Excerpt};
use super::keys::{self, ProjectRule};
use super::registries::{REGISTRY_KEYS, RegistrySection};
use super::values::{
    AssembleChoice, BuilderName, ByteSize, Cpus, Period, Platforms, Port, ProxyUrl, PullChoice, Words,
};
use crate::image::ImageReference;
use crate::image::reference::RepositoryPrefix;

/// The largest configuration file that is read, in bytes.
const MAXIMUM_LENGTH: u64 = 1 << 20;

/// Which of the files it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileLevel {
    /// `b2i.toml` of the working directory; not trusted.
    Project,
    /// The user's own, or the one that `--config` names.
    User,
    /// The machine's, in `/etc/b2i`.
    System,
}

/// The content of `b2i.toml`. Every value knows where in the text it stands.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigFile {
    /// What a build does.
    pub build: BuildSection,
    /// Base images by their public names, and what to use instead.
    pub bases: BTreeMap<String, Spanned<ImageReference>>,
    /// Builder templates.
    pub templates: TemplatesSection,
    /// The daemon.
    pub docker: DockerSection,
    /// The cache.
    pub cache: CacheSection,
    /// The network.
    pub network: NetworkSection,
    /// Single registries, by `host[:port]`.
    pub registries: BTreeMap<String, RegistrySection>,
    /// What `assemble` may use.
    pub limits: LimitsSection,
}

/// `[build]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BuildSection {
    /// Template or image.
    pub builder: Option<Spanned<BuilderName>>,
    /// Template or image that builds sources.
    #[serde(rename = "source-builder")]
    pub source_builder: Option<Spanned<BuilderName>>,
    /// Default arguments of the program.
    pub args: Option<Spanned<Words>>,
    /// Environment variables of the image.
    pub env: BTreeMap<String, Spanned<String>>,
    /// Labels of the image.
    pub labels: BTreeMap<String, Spanned<String>>,
    /// Ports of the image.
    pub ports: Option<Spanned<Vec<Port>>>,
    /// How the artifact gets into the image.
    pub assemble: Option<Spanned<AssembleChoice>>,
    /// When images are pulled.
    pub pull: Option<Spanned<PullChoice>>,
    /// Platform of the image, or platforms of several.
    pub platform: Option<Spanned<Platforms>>,
}

/// `[templates]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TemplatesSection {
    /// Directories whose folders are templates, or such folders themselves, relative to the file.
    pub directories: Option<Spanned<Vec<PathBuf>>>,
}

/// `[docker]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DockerSection {
    /// Address of the daemon.
    pub host: Option<Spanned<String>>,
}

/// `[cache]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSection {
    /// The cache's directory, relative to the file.
    pub directory: Option<Spanned<PathBuf>>,
}

/// `[network]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct NetworkSection {
    /// Use no network.
    pub offline: Option<Spanned<bool>>,
    /// Proxies.
    pub proxies: ProxiesSection,
    /// Files with further CA certificates, relative to the file.
    pub ca_files: Option<Spanned<Vec<PathBuf>>>,
    /// How long to wait for a connection.
    pub connect_timeout: Option<Spanned<Period>>,
    /// How long to wait for the next bytes.
    pub read_timeout: Option<Spanned<Period>>,
    /// How often to try again.
    pub retries: Option<Spanned<u32>>,
    /// Size of the pieces in which blobs are uploaded.
    pub chunk_size: Option<Spanned<ByteSize>>,
    /// Largest size of anything fetched or unpacked.
    pub max_size: Option<Spanned<ByteSize>>,
}

/// `[network.proxies]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProxiesSection {
    /// For http.
    pub http: Option<Spanned<ProxyUrl>>,
    /// For https.
    pub https: Option<Spanned<ProxyUrl>>,
    /// For both.
    pub all: Option<Spanned<ProxyUrl>>,
    /// Hosts that are reached without.
    pub none: Option<Spanned<String>>,
}

/// `[limits]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSection {
    /// Memory.
    pub memory: Option<Spanned<ByteSize>>,
    /// Processors.
    pub cpus: Option<Spanned<Cpus>>,
    /// Number of processes.
    pub pids: Option<Spanned<u32>>,
    /// Time.
    pub timeout: Option<Spanned<Period>>,
}

/// Reads the file at `path`; nothing if there is none.
///
/// # Errors
/// [`Error::Read`] if it is there and cannot be read, is no regular file or too large, or is a project's and lies
/// elsewhere.
pub fn read(level: FileLevel, path: &Path) -> Result<Option<String>, Error> {
    let failed = |error| Error::Read { path: path.to_owned(), error };
    let refused = |why: String| failed(std::io::Error::other(why));
    if level == FileLevel::Project
        && let Some(elsewhere) = place_elsewhere(path)
    {
        return Err(refused(format!("it leads out of the project, to `{}`", elsewhere.display())));
    }
    // The kind is asked before the file is opened: opening a FIFO of a cloned repository would wait for ever.
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(refused("it is not a regular file".into())),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        // A path below something that is no directory.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAXIMUM_LENGTH + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAXIMUM_LENGTH {
        return Err(refused(format!("it is larger than {MAXIMUM_LENGTH} bytes")));
    }
    Ok(Some(text))
}

/// Where a link of a cloned repository leads, if that is outside of its directory: an error shows lines of the file, and
/// who sees it may not be who can read it.
fn place_elsewhere(path: &Path) -> Option<PathBuf> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (place, directory) = (path.canonicalize().ok()?, directory.canonicalize().ok()?);
    (!place.starts_with(directory)).then_some(place)
}

/// Parses `text`, the content of the file at `path`.
///
/// # Errors
/// [`Error`] if it is not TOML, has an unknown key, a key that its level may not set, or a value of the wrong kind.
pub fn parse(level: FileLevel, path: &Path, text: &str) -> Result<ConfigFile, Error> {
    let invalid = |error: toml::de::Error| Error::Invalid {
        excerpt: Excerpt::new(path, text, error.span().unwrap_or(0..0)),
        message: one_line(error.message()),
    };
    let table = DeTable::parse(text).map_err(invalid)?;
    Checker { level, path, text }.table("", table.get_ref())?;
    let file = ConfigFile::deserialize(toml::de::Deserializer::from(table)).map_err(invalid)?;
    check_values(level, path, text, &file)?;
    Ok(file)
}

/// The parser's messages have several lines at times; an error's first line is one line.
fn one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(", ")
}

/// Checks keys, section by section.
struct Checker<'a> {
    level: FileLevel,
    path: &'a Path,
    text: &'a str,
}

impl Checker<'_> {
    fn table(&self, prefix: &str, table: &DeTable<'_>) -> Result<(), Error> {
        // In the order of the text, so that the first mistake is the one that is named.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            let full = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            if let Some(key) = keys::key(&full) {
                self.allowed(&full, key.project, name.span())?;
                if key.path == "registries" {
                    self.registries(value)?;
                }
            } else if keys::names_below(&full).is_empty() {
                return Err(self.unknown(prefix, name.get_ref(), name.span()));
            } else if let DeValue::Table(inner) = value.get_ref() {
                self.table(&full, inner)?;
            } else {
                let message = format!("`{full}` is a section; write `[{full}]` and its keys below");
                return Err(Error::Invalid { excerpt: self.excerpt(name.span()), message });
            }
        }
        Ok(())
    }

    /// Checks the keys of each registry.
    fn registries(&self, value: &Spanned<DeValue<'_>>) -> Result<(), Error> {
        let section = |span| {
            let message = "`registries` has a section for each registry: write `[registries.\"host:port\"]`";
            Error::Invalid { excerpt: self.excerpt(span), message: message.into() }
        };
        let DeValue::Table(hosts) = value.get_ref() else { return Err(section(value.span())) };
        for (host, value) in hosts {
            let DeValue::Table(keys) = value.get_ref() else { return Err(section(host.span())) };
            let name = host.get_ref();
            if name.contains('/') || name.parse::<RepositoryPrefix>().is_err() {
                let message = format!("`{name}` is not a registry (expected `host[:port]`)");
                return Err(Error::Invalid { excerpt: self.excerpt(host.span()), message });
            }
            let is_unknown = |name: &str| !REGISTRY_KEYS.contains(&name);
            if let Some((key, _)) = keys.iter().find(|(key, _)| is_unknown(key.get_ref())) {
                return Err(Error::UnknownKey {
                    name: key.get_ref().to_string(),
                    section: format!("registries.\"{name}\""),
                    suggestion: keys::nearest(key.get_ref(), REGISTRY_KEYS).map(str::to_owned),
                    known: REGISTRY_KEYS.to_vec(),
                    excerpt: self.excerpt(key.span()),
                });
            }
        }
        Ok(())
    }

    fn allowed(&self, key: &str, rule: ProjectRule, span: Range<usize>) -> Result<(), Error> {
        match rule {
            ProjectRule::Refused(reason) if self.level == FileLevel::Project => {
                Err(Error::Refused { key: key.to_owned(), reason, excerpt: self.excerpt(span) })
            }
            _ => Ok(()),
        }
    }

    fn unknown(&self, section: &str, name: &str, span: Range<usize>) -> Error {
        let known = keys::names_below(section);
        let elsewhere = || {
            let with_name = |key: &&keys::Key| key.path.rsplit('.').next() == Some(name);
            keys::KEYS.iter().find(with_name).map(|key| key.path)
        };
        Error::UnknownKey {
            name: name.to_owned(),
            section: section.to_owned(),
            suggestion: keys::nearest(name, known.iter().copied()).or_else(elsewhere).map(str::to_owned),
            known,
            excerpt: self.excerpt(span),
        }
    }

    fn excerpt(&self, span: Range<usize>) -> Box<Excerpt> {
        Excerpt::new(self.path, self.text, span)
    }
}

/// Checks what the types alone do not say.
fn check_values(level: FileLevel, path: &Path, text: &str, file: &ConfigFile) -> Result<(), Error> {
    let invalid = |span, message| Err(Error::Invalid { excerpt: Excerpt::new(path, text, span), message });
    for (public, replacement) in &file.bases {
        if let Err(error) = public.parse::<ImageReference>() {
            return invalid(replacement.span(), error.to_string());
        }
    }
    for (name, value) in &file.build.env {
        if name.is_empty() || name.contains(['=', '\0']) || value.get_ref().contains('\0') {
            return invalid(value.span(), format!("`{name}` cannot be the name of an environment variable"));
        }
        if name == "ARGS" {
            return invalid(value.span(), "`ARGS` is set by `build.args`".into());
        }
    }
    if let Some(directories) = file.templates.directories.as_ref().filter(|_| level == FileLevel::Project) {
        for directory in directories.get_ref() {
            let is_inside = directory
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir));
            if !is_inside {
                let message = format!(
                    "`{}` leaves the project; a project's file may name only its own directories",
                    directory.display()
                );
                return invalid(directories.span(), message);
            }
        }
    }
    Ok(())
}
