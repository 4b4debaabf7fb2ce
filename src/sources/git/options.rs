//! Owns the options of git: program, environment, time limit. Must not read the environment itself.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::network::NetworkOptions;

#[derive(Clone)]
pub struct GitOptions {
    /// The program; a name without a `/` is searched in `PATH` of `environment`.
    pub program: PathBuf,
    /// The whole environment of git.
    pub environment: Vec<(OsString, OsString)>,
    /// Files with additional certificate authorities (PEM).
    pub extra_ca: Vec<PathBuf>,
    /// Connects to public addresses only, and by `https` only.
    pub public_addresses_only: bool,
    /// Time limit of a whole fetch.
    pub timeout: Duration,
}

impl GitOptions {
    /// The variables that git, ssh and their helpers need to reach a repository with the settings of the user. Variables
    /// that lead git to another repository or working tree are not among them.
    const VARIABLES: &'static [&'static str] = &[
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "TMPDIR",
        "XDG_CONFIG_HOME",
        "XDG_CACHE_HOME",
        "XDG_RUNTIME_DIR",
        "DBUS_SESSION_BUS_ADDRESS",
        "GNUPGHOME",
        "SSH_AUTH_SOCK",
        "SSH_AGENT_PID",
        "SSH_ASKPASS",
        "SSH_ASKPASS_REQUIRE",
        "GIT_ASKPASS",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_SSH_VARIANT",
        "GIT_PROXY_COMMAND",
        "GIT_EXEC_PATH",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_COUNT",
        "GIT_SSL_CAINFO",
        "GIT_SSL_CAPATH",
        "GIT_SSL_CERT",
        "GIT_SSL_KEY",
        "GIT_SSL_NO_VERIFY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "http_proxy",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "no_proxy",
        "NO_PROXY",
        "SYSTEMROOT",
        "USERPROFILE",
        "APPDATA",
        "LOCALAPPDATA",
        "PATHEXT",
    ];

    /// The numbered variables that `GIT_CONFIG_COUNT` counts.
    const VARIABLE_PREFIXES: &'static [&'static str] = &["GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"];

    /// Selects the variables for git from those of a process.
    pub fn from_variables(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let is_needed = |name: &OsString| {
            name.to_str().is_some_and(|name| {
                Self::VARIABLES.contains(&name)
                    || Self::VARIABLE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            })
        };
        let environment = variables.into_iter().filter(|(name, _)| is_needed(name)).collect();
        Self { environment, ..Self::default() }
    }

    /// Sets the proxies and certificate authorities of all other clients.
    #[must_use]
    pub fn with_network(mut self, network: &NetworkOptions) -> Self {
        let proxy = &network.proxy;
        // A value may contain a password, so it must not be an argument. curl prefers the lower-case name.
        for (name, value) in [
            ("http_proxy", &proxy.http),
            ("https_proxy", &proxy.https),
            ("all_proxy", &proxy.all),
            ("no_proxy", &proxy.no_proxy),
        ] {
            let Some(value) = value else { continue };
            self.environment.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            self.environment.push((name.into(), value.into()));
        }
        self.extra_ca.clone_from(&network.extra_ca);
        self
    }

    pub(super) fn value(&self, name: &str) -> Option<PathBuf> {
        let set = self.environment.iter().find(|(known, value)| known == name && !value.is_empty());
        set.map(|(_, value)| value.into())
    }

    /// Whether the configuration has a proxy for https.
    pub(super) fn has_proxy(&self) -> bool {
        ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"].iter().any(|name| self.has(name))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }
}

impl Default for GitOptions {
    /// Half an hour, and no environment: git is found only in the system's default directories.
    fn default() -> Self {
        Self {
            program: PathBuf::from("git"),
            environment: Vec::new(),
            extra_ca: Vec::new(),
            public_addresses_only: false,
            timeout: Duration::from_secs(30 * 60),
        }
    }
}

/// Values may be secrets.
impl std::fmt::Debug for GitOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        formatter
            .debug_struct("GitOptions")
            .field("program", &self.program)
            .field("environment", &names)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_of_the_configuration_take_the_place_of_variables() {
        let variables = [("HTTPS_PROXY", "http://old"), ("no_proxy", "localhost"), ("HOME", "/home/me")];
        let options = GitOptions::from_variables(variables.map(|(name, value)| (name.into(), value.into())));
        let mut network = NetworkOptions { extra_ca: vec!["ca.pem".into()], ..NetworkOptions::default() };
        network.proxy.https = Some("http://me:secret@proxy".into());
        let options = options.with_network(&network);
        let mut names: Vec<String> = options
            .environment
            .iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect();
        names.sort();
        assert_eq!(names, ["HOME=/home/me", "https_proxy=http://me:secret@proxy", "no_proxy=localhost"]);
        assert_eq!(options.extra_ca, [PathBuf::from("ca.pem")]);
    }

    #[test]
    fn only_what_git_needs_is_handed_on_and_values_are_not_shown() {
        let variables = [
            ("HOME", "/home/me"),
            ("GIT_DIR", "/elsewhere"),
            ("GIT_WORK_TREE", "/elsewhere"),
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_VALUE_0", "hunter2"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ];
        let options = GitOptions::from_variables(variables.map(|(name, value)| (name.into(), value.into())));
        let names: Vec<_> = options.environment.iter().filter_map(|(name, _)| name.to_str()).collect();
        assert_eq!(names, ["HOME", "GIT_CONFIG_COUNT", "GIT_CONFIG_VALUE_0"]);
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
