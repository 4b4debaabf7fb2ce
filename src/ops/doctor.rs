//! Owns the check of this machine: daemon, sandbox, registries, cache, proxies and certificates.
//!
//! Must not change anything that stays, or show a secret.

use std::io::Write;
use std::path::Path;

use serde::Serialize;
use url::Url;

use super::login::first_with;
use crate::diagnostic::Diagnostic;
use crate::error::Error;
use crate::fs::CacheDirectory;
use crate::network::shown_url;
use crate::session::Session;
use crate::store::daemon::Candidates;
use crate::store::registry::{LoginAnswer, Registries};

/// Free space below which the cache gets a remark, in bytes.
const LITTLE_SPACE: u64 = 2 << 30;

/// How well something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It works.
    Ok,
    /// Worth knowing; b2i works without.
    Note,
    /// Something that was named or is always needed does not work.
    Problem,
}

/// What was found out about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// `daemon`, `sandbox`, `cache`, `proxy`, `certificates`, or a registry's host.
    pub subject: String,
    /// How well it works.
    pub health: Health,
    /// What was found, in words.
    pub message: String,
    /// How to mend it.
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
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            cause = error.source();
        }
        Self { hints: error.hints(), ..Self::new(subject, health, message) }
    }
}

/// Looks at everything, and asks `registries` (`host[:port]`) unless the network is forbidden. What does not work is a
/// finding.
///
/// # Errors
/// None of its own; the type is that of the other calls.
pub async fn doctor(registries: &[String], offline: bool, session: &Session) -> Result<Vec<Finding>, Error> {
    let mut findings = vec![daemon(session).await];
    findings.extend(sandbox(session).await);
    findings.push(cache(&session.host.cache_directory));
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
            let message =
                "none at the usual places; images go to registries, layouts and archives without one";
            let hint = "start Docker or Podman, or name its socket with DOCKER_HOST, to have one";
            Finding::new(subject, Health::Note, message).hint(hint)
        }
        Err(error) => {
            let named = matches!(session.host.daemon.settings.candidates(), Ok(Candidates::Defaults(_)));
            Finding::failed(subject, if named { Health::Note } else { Health::Problem }, &error)
        }
    }
}

async fn sandbox(session: &Session) -> Vec<Finding> {
    use crate::blocking::blocking;
    use crate::engine::sandbox::probe;
    use crate::pipeline::sandbox::sandbox_settings;

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
    let owners = if support.has_owners { "files with any owner" } else { "files of one owner alone" };
    let mut findings = vec![Finding::new(subject, Health::Ok, format!("works: {}, {owners}", support.users))];
    if let Some(remark) = support.remark {
        findings.push(Finding::new(subject, Health::Note, remark));
    }
    if let Some((limits, reason)) = support.missing_limits {
        let message = format!("{limits} cannot be limited: {reason}");
        findings.push(Finding::new(subject, Health::Note, message));
    }
    findings
}

fn cache(path: &Path) -> Finding {
    let subject = "cache";
    let directory = match CacheDirectory::open(path) {
        Ok(directory) => directory,
        Err(error) => return Finding::failed(subject, Health::Problem, &error),
    };
    let root = directory.root().display().to_string();
    let written = tempfile::tempfile_in(directory.root()).and_then(|mut file| file.write_all(b"test"));
    if let Err(error) = written {
        let message = format!("`{root}` cannot be written to: {error}");
        return Finding::new(subject, Health::Problem, message).hint("name another with `--cache-dir DIR`");
    }
    let used: u64 = match crate::store::cache::usage(&directory) {
        Ok(parts) => parts.iter().map(|part| part.bytes).sum(),
        Err(error) => return Finding::failed(subject, Health::Problem, &error),
    };
    let megabytes = |bytes: u64| bytes / 1_000_000;
    match free_space(directory.root()) {
        Some(free) => {
            let message = format!("`{root}`, {} MB used, {} MB free", megabytes(used), megabytes(free));
            match free < LITTLE_SPACE {
                true => Finding::new(subject, Health::Note, message)
                    .hint("make room: `b2i cache prune`, or name another place with `--cache-dir DIR`"),
                false => Finding::new(subject, Health::Ok, message),
            }
        }
        None => Finding::new(subject, Health::Ok, format!("`{root}`, {} MB used", megabytes(used))),
    }
}

#[cfg(unix)]
fn free_space(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(not(unix))]
fn free_space(_path: &Path) -> Option<u64> {
    None
}

async fn credentials(registry: &str, offline: bool, session: &Session) -> Finding {
    let found = match first_with(registry, session.host.registry.credential_files.iter()).await {
        Ok(found) => found,
        Err(error) => return Finding::failed(registry, Health::Problem, &error),
    };
    let place = match &found {
        Some(file) => format!("credentials from `{}`", file.display()),
        None => "no credentials".to_owned(),
    };
    if offline {
        let message = format!("{place}; not asked, as the network is not used (`--offline`)");
        return Finding::new(registry, Health::Note, message);
    }
    let registries = Registries::new(session.host.registry.clone(), session.events.clone());
    match registries.check_login(registry, None).await {
        Ok(LoginAnswer::Accepted) if found.is_some() => {
            Finding::new(registry, Health::Ok, format!("takes the {place}"))
        }
        Ok(LoginAnswer::Accepted) => {
            let message = "gives tokens to everybody; whether it lets everybody write shows only a push";
            Finding::new(registry, Health::Note, message).hint(format!("log in with `b2i login {registry}`"))
        }
        Ok(LoginAnswer::NotAsked) => Finding::new(
            registry,
            Health::Ok,
            format!("answers, and asks for no credentials; there are {place}"),
        ),
        Err(error) => Finding::failed(registry, Health::Problem, &error),
    }
}

fn proxies(session: &Session) -> Vec<Finding> {
    let proxy = &session.host.registry.network.proxy;
    let mut findings = Vec::new();
    for (name, address) in [("http", &proxy.http), ("https", &proxy.https), ("others", &proxy.all)] {
        let Some(address) = address else { continue };
        let shown =
            Url::parse(address).map_or_else(|_| "an address that is not valid".into(), |url| shown_url(&url));
        findings.push(Finding::new("proxy", Health::Ok, format!("{name} through {shown}")));
    }
    if findings.is_empty() {
        findings.push(Finding::new("proxy", Health::Ok, "none"));
    } else if let Some(direct) = &proxy.no_proxy {
        findings.push(Finding::new("proxy", Health::Ok, format!("not for {direct}")));
    }
    findings
}

fn certificates(session: &Session) -> Vec<Finding> {
    let settings = &session.host.registry;
    let of_hosts = settings.hosts.values().flat_map(|host| &host.extra_ca);
    let mut findings: Vec<Finding> = Vec::new();
    for file in settings.network.extra_ca.iter().chain(of_hosts) {
        let shown = file.display();
        let subject = "certificates";
        findings.push(match std::fs::read_to_string(file) {
            Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => {
                Finding::new(subject, Health::Ok, format!("those in `{shown}` are trusted too"))
            }
            Ok(_) => {
                Finding::new(subject, Health::Problem, format!("`{shown}` has no certificate (PEM) in it"))
            }
            Err(error) => {
                Finding::new(subject, Health::Problem, format!("`{shown}` cannot be read: {error}"))
            }
        });
    }
    for (name, _) in settings.hosts.iter().filter(|(_, host)| host.insecure) {
        let message = format!("`{name}` is set to `insecure`: its certificate is not checked");
        findings.push(Finding::new("certificates", Health::Note, message));
    }
    if findings.is_empty() {
        findings.push(Finding::new("certificates", Health::Ok, "those of the system"));
    }
    findings
}
