//! Owns the environment of the process, the only place that reads variables.
//!
//! Must not rank variables against other settings; `config/` does. An empty variable counts as unset, as in the conventions
//! of XDG, Docker and `NO_COLOR`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::failure::CliError;
use crate::host::Variables;
use crate::request::LAST_SECOND;

#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    variables: Variables,
}

/// Variables of other tools that b2i reads, too.
const FOREIGN_VARIABLES: [&str; 16] = [
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "DOCKER_API_VERSION",
    "REGISTRY_AUTH_FILE",
    "NETRC",
    "SOURCE_DATE_EPOCH",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "NO_COLOR",
    "CLICOLOR_FORCE",
    "TERM",
    "CI",
];

impl Environment {
    pub(super) fn capture() -> Self {
        Self { variables: std::env::vars_os().collect() }
    }

    pub(super) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The text of a variable that is set, not empty and UTF-8.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.variables.text(name)
    }

    /// Whether a variable is set and not empty.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.path(name).is_some()
    }

    /// The path in a variable that is set and not empty.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.variables.path(name)
    }

    /// The text of a variable, possibly empty. One that is not UTF-8 is an error.
    pub(super) fn exact(&self, name: &str) -> Result<Option<&str>, CliError> {
        let Some(value) = self.variables.get(name) else { return Ok(None) };
        value
            .to_str()
            .map(Some)
            .ok_or_else(|| CliError::usage(format!("environment variable `{name}` is not UTF-8")))
    }

    /// The variables for the configuration. Bytes that are not UTF-8 are replaced, and rejected later.
    pub(super) fn for_configuration(&self) -> BTreeMap<String, String> {
        let text = |value: &OsString| value.to_string_lossy().into_owned();
        let mut variables: BTreeMap<_, _> =
            self.variables.iter().map(|(name, value)| (text(name), text(value))).collect();
        // In a CGI program, this is the `Proxy:` header of the client (CVE-2016-5385).
        if variables.contains_key("REQUEST_METHOD") {
            variables.remove("HTTP_PROXY");
        }
        variables
    }

    /// The variables that b2i reads, its own first.
    pub(super) fn variable_names() -> impl Iterator<Item = &'static str> {
        use crate::config::keys::{KEYS, OTHER_VARIABLES};
        OTHER_VARIABLES
            .into_iter()
            .chain(KEYS.iter().flat_map(|key| key.variables.first().copied()))
            .chain(FOREIGN_VARIABLES)
    }

    /// Unknown `B2I_*` variables, each with the most similar known name. A variable without a similar name may belong
    /// to a service: a Kubernetes service named `b2i` sets `B2I_SERVICE_HOST`.
    pub(super) fn misspelled(&self) -> Vec<(String, &'static str)> {
        let known: Vec<&str> = Self::variable_names().collect();
        let names = self.variables.iter().filter_map(|(name, _)| name.to_str());
        let unknown = names.filter(|name| name.starts_with("B2I_") && !known.contains(name));
        let nearest = |name| crate::suggestion::nearest(name, known.iter().copied());
        unknown.filter_map(|name| Some((name.to_owned(), nearest(name)?))).collect()
    }

    pub(super) fn home(&self) -> Option<PathBuf> {
        self.variables.home()
    }

    /// An XDG base directory, or its default below the home directory. Relative paths are ignored, as the XDG Base
    /// Directory Specification requires.
    fn base_directory(&self, name: &str, default: &str) -> Option<PathBuf> {
        let configured = self.path(name).filter(|path| path.is_absolute());
        configured.or_else(|| Some(self.home()?.join(default)))
    }

    pub(super) fn user_configuration(&self) -> Option<PathBuf> {
        Some(self.base_directory("XDG_CONFIG_HOME", ".config")?.join("b2i/config.toml"))
    }

    /// The default cache directory. Without a home directory, as in a pod, where HOME may be `/`: `b2i` in `/cache`, which
    /// may be a volume, in TMPDIR, or in the system's directory of caches, which only root may write to.
    pub(super) fn cache_directory(&self) -> PathBuf {
        let is_home = |cache: &PathBuf| cache != Path::new("/.cache");
        let volume = || Some(PathBuf::from("/cache")).filter(|path| path.is_dir());
        let temporary = || self.path("TMPDIR").filter(|path| path.is_absolute());
        let parent = self
            .base_directory("XDG_CACHE_HOME", ".cache")
            .filter(is_home)
            .or_else(volume)
            .or_else(temporary);
        parent.unwrap_or_else(|| "/var/cache".into()).join("b2i")
    }

    /// `SOURCE_DATE_EPOCH`, in seconds since 1970 (reproducible-builds.org's specification).
    ///
    /// Another text is an error: to ignore it would change the image.
    pub(super) fn source_date_epoch(&self) -> Result<Option<u64>, CliError> {
        let Some(text) = self.exact("SOURCE_DATE_EPOCH")?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(seconds) if is_number && seconds <= LAST_SECOND => Ok(Some(seconds)),
            _ => Err(CliError::usage(format!(
                "environment variable `SOURCE_DATE_EPOCH` is not valid: `{text}` is not a number of seconds since 1970"
            ))
            .with_hint(
                "set it to the date of the last commit: SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)",
            )),
        }
    }

    /// Whether this is probably a CI job, whose log needs plain lines.
    pub(super) fn is_ci(&self) -> bool {
        self.text("CI").is_some_and(|value| !matches!(value, "false" | "0"))
    }

    /// Whether the terminal can move its cursor.
    pub(super) fn is_dumb_terminal(&self) -> bool {
        self.text("TERM") == Some("dumb")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl<const N: usize> From<[(&str, &str); N]> for Environment {
        fn from(variables: [(&str, &str); N]) -> Self {
            Self { variables: variables.into_iter().collect() }
        }
    }

    #[test]
    fn empty_is_unset() {
        let environment = Environment::from([("CI", ""), ("B2I_CONFIG", ""), ("A", "")]);
        assert!(!environment.is_ci() && environment.path("B2I_CONFIG").is_none());
        assert_eq!(environment.exact("A").expect("UTF-8"), Some(""));
    }

    #[cfg(unix)]
    #[test]
    fn base_directories_are_absolute() {
        let environment = Environment::from([("HOME", "/home/me"), ("XDG_CACHE_HOME", "relative")]);
        assert_eq!(environment.cache_directory(), Path::new("/home/me/.cache/b2i"));
        let environment = Environment::from([("XDG_CONFIG_HOME", "/etc/xdg")]);
        assert_eq!(environment.user_configuration(), Some("/etc/xdg/b2i/config.toml".into()));
        let without_volume = |path| if Path::new("/cache").is_dir() { "/cache/b2i" } else { path };
        assert_eq!(environment.cache_directory(), Path::new(without_volume("/var/cache/b2i")));
        let environment = Environment::from([("TMPDIR", "/scratch"), ("HOME", "/")]);
        assert_eq!(environment.cache_directory(), Path::new(without_volume("/scratch/b2i")));
    }

    #[test]
    fn the_date_is_a_number_or_an_error() {
        let date = |text| Environment::from([("SOURCE_DATE_EPOCH", text)]).source_date_epoch();
        assert_eq!(date("").expect("unset"), None);
        assert_eq!(date("1700000000").expect("valid"), Some(1_700_000_000));
        for text in ["-1", "+1", "1.5", "now", "253402300800", "99999999999999999999"] {
            assert!(date(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cgi_clients_header_is_no_proxy() {
        let variables = [("HTTP_PROXY", "http://evil.example"), ("REQUEST_METHOD", "GET")];
        assert!(!Environment::from(variables).for_configuration().contains_key("HTTP_PROXY"));
    }

    #[test]
    fn near_misses_are_noticed() {
        let variables = [("B2I_BULDER", "java"), ("B2I_SERVICE_HOST", "10.0.0.1"), ("B2I_PULL", "never")];
        assert_eq!(Environment::from(variables).misspelled(), [("B2I_BULDER".to_owned(), "B2I_BUILDER")]);
    }
}
