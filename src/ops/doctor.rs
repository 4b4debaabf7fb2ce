//! Owns the check of this machine: daemon, sandbox, registries, cache, proxies and certificates.
//!
//! Must not leave anything behind or show a secret.

use std::io::Write;
use std::path::Path;

use serde::Serialize;
use url::Url;

use super::login::file_with_credentials;
use crate::blocking::blocking;
use crate::diagnostic::Diagnostic;
use crate::engine::sandbox::probe;
use crate::error::Error;
use crate::fs::CacheDirectory;
use crate::host::Host;
use crate::network::shown_url;
use crate::pipeline::sandbox::sandbox_settings;
use crate::session::Session;
use crate::store::daemon::Candidates;
use crate::store::registry::{LoginAnswer, Registries};

/// Free space below which the cache gets a note, in bytes.
const LITTLE_SPACE: u64 = 2 << 30;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    Ok,
    /// Worth knowing; b2i works without it.
    Note,
    /// Something required or configured does not work.
    Problem,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// `daemon`, `sandbox`, `cache`, `proxy`, `certificates`, or the host of a registry.
    pub subject: String,
    pub health: Health,
    pub message: String,
    pub hints: Vec<String>,
}

impl Finding {
    fn new(subject: &str, health: Health, message: impl Into<String>) -> Self {
        Self { subject: subject.to_owned(), health, message: message.into(), hints: Vec::new() }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    fn failed(subject: &str, health: Health, error: &impl Diagnostic) -> Self {
        let mut message = error.to_string();
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        for text in causes.map(ToString::to_string) {
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
        }
        Self { hints: error.hints(), ..Self::new(subject, health, message) }
    }
}

/// Checks everything, and `registries` (`host[:port]`) unless `offline` is set. A failed check is a finding, not an error.
pub async fn doctor(registries: &[String], offline: bool, session: &Session) -> Result<Vec<Finding>, Error> {
    let mut findings = vec![daemon(session).await];
    findings.extend(sandbox(session).await);
    findings.push(cache(&session.host));
    for registry in registries {
        findings.push(credentials(registry, offline, session).await);
    }
    findings.extend(proxies(session));
    findings.extend(certificates(session));
    Ok(findings)
}

async fn daemon(session: &Session) -> Finding {
    let subject = "daemon";
    match session.find_daemon().await {
        Ok(Some(daemon)) => {
            let info = daemon.info();
            let (name, version, platform) = (info.flavour.command(), &info.version, &info.platform);
            let message = format!("{name} {version} for {platform} at {}", info.address);
            Finding::new(subject, Health::Ok, message)
        }
        Ok(None) => {
            Finding::new(subject, Health::Note, "not found; not needed for registries, layouts and archives")
                .hint("start Docker or Podman, or set DOCKER_HOST to its socket")
        }
        Err(error) => {
            let is_default = matches!(session.host.daemon.settings.candidates(), Ok(Candidates::Defaults(_)));
            Finding::failed(subject, if is_default { Health::Note } else { Health::Problem }, &error)
        }
    }
}

async fn sandbox(session: &Session) -> Vec<Finding> {
    let subject = "sandbox";
    let lease = match session.lease() {
        Ok(lease) => lease,
        Err(error) => return vec![Finding::failed(subject, Health::Note, &error)],
    };
    let settings = sandbox_settings(session, &lease, 0, false);
    let support = match blocking(move || probe(&settings)).await {
        Ok(support) => support,
        Err(error) => return vec![Finding::failed(subject, Health::Note, &error)],
    };
    let owners = if support.has_owners { "files with any owner" } else { "files with one owner only" };
    let mut findings = vec![Finding::new(subject, Health::Ok, format!("works: {}, {owners}", support.users))];
    findings.extend(support.remark.map(|remark| Finding::new(subject, Health::Note, remark)));
    if let Some((limits, reason)) = support.missing_limits {
        let message = format!("{limits} cannot be limited: {reason}");
        findings.push(Finding::new(subject, Health::Note, message));
    }
    findings
}

fn cache(host: &Host) -> Finding {
    let subject = "cache";
    let directory = match CacheDirectory::open(&host.cache_directory) {
        Ok(directory) => directory,
        Err(error) if host.may_do_without_cache() => {
            let finding = Finding::failed(subject, Health::Note, &error);
            return finding.hint("builds go on without a cache; the sandbox needs one");
        }
        Err(error) => return Finding::failed(subject, Health::Problem, &error),
    };
    let root = directory.root().display().to_string();
    let written = tempfile::tempfile_in(directory.root()).and_then(|mut file| file.write_all(b"test"));
    if let Err(error) = written {
        let message = format!("`{root}` is not writable: {error}");
        return Finding::new(subject, Health::Problem, message)
            .hint("set another directory with `--cache-dir DIR`");
    }
    let used: u64 = match crate::store::cache::usage(&directory, Vec::new()) {
        Ok(parts) => parts.iter().map(|part| part.bytes).sum(),
        Err(error) => return Finding::failed(subject, Health::Problem, &error),
    };
    let message = format!("`{root}`, {} MB used", used / 1_000_000);
    let Some(free) = free_space(directory.root()) else { return Finding::new(subject, Health::Ok, message) };
    let message = format!("{message}, {} MB free", free / 1_000_000);
    match free < LITTLE_SPACE {
        true => Finding::new(subject, Health::Note, message)
            .hint("free some space with `b2i cache prune`, or set another directory with `--cache-dir DIR`"),
        false => Finding::new(subject, Health::Ok, message),
    }
}

#[cfg(unix)]
fn free_space(path: &Path) -> Option<u64> {
    let usage = rustix::fs::statvfs(path).ok()?;
    Some(usage.f_bavail.saturating_mul(usage.f_frsize))
}

#[cfg(not(unix))]
fn free_space(_path: &Path) -> Option<u64> {
    None
}

async fn credentials(registry: &str, offline: bool, session: &Session) -> Finding {
    let file = match file_with_credentials(registry, session.host.registry.credential_files.iter()).await {
        Ok(file) => file,
        Err(error) => return Finding::failed(registry, Health::Problem, &error),
    };
    let origin = match &file {
        Some(file) => format!("credentials from `{}`", file.display()),
        None => "no credentials".to_owned(),
    };
    if offline {
        return Finding::new(registry, Health::Note, format!("{origin}; not checked (`--offline` is set)"));
    }
    let registries = Registries::new(session.host.registry.clone(), session.events.clone());
    match registries.check_login(registry, None).await {
        Ok(LoginAnswer::Accepted) if file.is_some() => {
            Finding::new(registry, Health::Ok, format!("accepts the {origin}"))
        }
        Ok(LoginAnswer::Accepted) => {
            let message = "accepts requests without credentials; a push may still need them";
            Finding::new(registry, Health::Note, message).hint(format!("log in with `b2i login {registry}`"))
        }
        Ok(LoginAnswer::NotAsked) => {
            Finding::new(registry, Health::Ok, format!("answers without requesting credentials ({origin})"))
        }
        Err(error) => Finding::failed(registry, Health::Problem, &error),
    }
}

fn proxies(session: &Session) -> Vec<Finding> {
    let proxy = &session.host.registry.network.proxy;
    let finding = |message: String| Finding::new("proxy", Health::Ok, message);
    let mut findings = Vec::new();
    for (name, address) in [("http", &proxy.http), ("https", &proxy.https), ("others", &proxy.all)] {
        let Some(address) = address else { continue };
        let shown = Url::parse(address).map_or_else(|_| "an invalid address".into(), |url| shown_url(&url));
        findings.push(finding(format!("{name} through {shown}")));
    }
    if findings.is_empty() {
        findings.push(finding("none".into()));
    } else if let Some(direct) = &proxy.no_proxy {
        findings.push(finding(format!("not for {direct}")));
    }
    findings
}

fn certificates(session: &Session) -> Vec<Finding> {
    let settings = &session.host.registry;
    let of_hosts = settings.hosts.values().flat_map(|host| &host.extra_ca);
    let finding = |health, message: String| Finding::new("certificates", health, message);
    let mut findings: Vec<Finding> = Vec::new();
    for file in settings.network.extra_ca.iter().chain(of_hosts) {
        let shown = file.display();
        findings.push(match std::fs::read_to_string(file) {
            Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => {
                finding(Health::Ok, format!("also trusting those in `{shown}`"))
            }
            Ok(_) => finding(Health::Problem, format!("`{shown}` contains no certificate (PEM)")),
            Err(error) => finding(Health::Problem, format!("cannot read `{shown}`: {error}")),
        });
    }
    for (name, _) in settings.hosts.iter().filter(|(_, host)| host.insecure) {
        findings.push(finding(Health::Note, format!("not checked for `{name}`, which is set to `insecure`")));
    }
    if findings.is_empty() {
        findings.push(finding(Health::Ok, "those of the system".into()));
    }
    findings
}
