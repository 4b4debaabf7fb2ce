//! Owns checking limits and networks before an image is pulled or a file uploaded. Must not create containers.

use bollard::errors::Error as BollardError;
use serde_json::Value;

use crate::engine::ContainerLimits;
use crate::store::daemon::{Daemon, DaemonError, DaemonFlavour};

/// Least memory of a container in bytes. Docker refuses less; on Podman, nothing starts with less.
const LEAST_MEMORY: u64 = 6 << 20;

/// Network modes, which are not names of networks.
const MODES: [&str; 4] = ["none", "host", "default", "private"];

/// Fails for limits that the daemon cannot enforce or always refuses.
pub(super) async fn check_limits(daemon: &Daemon, limits: &ContainerLimits) -> Result<(), DaemonError> {
    let requested = [
        (limits.memory.is_some(), "memory", "MemoryLimit"),
        (limits.nano_cpus.is_some(), "processor", "CpuCfsQuota"),
        (limits.pids.is_some(), "process", "PidsLimit"),
    ];
    if requested.iter().all(|(is_requested, ..)| !is_requested) {
        return Ok(());
    }
    if let Some(memory) = limits.memory.filter(|memory| *memory < LEAST_MEMORY) {
        let reason = format!("{memory} bytes are less than the minimum of {LEAST_MEMORY} (6m)");
        return Err(DaemonError::LimitOutOfRange { limit: "memory", reason });
    }
    let info = daemon.get_json("/info".into()).await;
    let info = info.map_err(|error| daemon.request_error("say what it can enforce", &error))?;
    for (_, limit, field) in requested.into_iter().filter(|(is_requested, ..)| *is_requested) {
        if info[field] == Value::Bool(false) {
            return Err(not_enforced(daemon, limit, format!("its `{field}` is false")));
        }
    }
    // Podman accepts every number.
    if let (Some(requested), Some(available)) = (limits.nano_cpus, info["NCPU"].as_u64())
        && daemon.info().flavour == DaemonFlavour::Docker
        && requested > available.saturating_mul(1_000_000_000)
    {
        let requested = requested as f64 / 1e9;
        let reason = format!("{requested} processors are more than the {available} of the daemon's machine");
        return Err(DaemonError::LimitOutOfRange { limit: "processor", reason });
    }
    Ok(())
}

pub(super) async fn check_network(daemon: &Daemon, network: &str) -> Result<(), DaemonError> {
    let of_podman = ["slirp4netns", "pasta", "ns:"];
    let is_mode = MODES.contains(&network)
        || daemon.info().flavour == DaemonFlavour::Podman
            && of_podman.iter().any(|mode| network.starts_with(mode));
    if is_mode {
        return Ok(());
    }
    let missing = || {
        let address = daemon.info().address.clone();
        Err(DaemonError::NoNetwork { address, network: network.to_owned() })
    };
    let (path, name) = match network.strip_prefix("container:") {
        Some(container) => (format!("/containers/{container}/json"), container),
        None => (format!("/networks/{network}"), network),
    };
    if !is_name(name) {
        return missing();
    }
    match daemon.get_json(path).await {
        Ok(_) => Ok(()),
        Err(BollardError::DockerResponseServerError { status_code: 404, .. }) => missing(),
        Err(error) => Err(daemon.request_error(format!("look up the network `{network}`"), &error)),
    }
}

/// Names that both daemons allow. Another text could change the path of the request.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

pub(super) fn not_enforced(daemon: &Daemon, limit: &'static str, reason: String) -> DaemonError {
    DaemonError::LimitNotEnforced { address: daemon.info().address.clone(), limit, reason }
}

/// The limit that, by this warning, is not enforced. "Memory limited without swap" does not count: the memory
/// limit works.
pub(super) fn dropped_limit(warning: &str, limits: &ContainerLimits) -> Option<&'static str> {
    let warning = warning.to_ascii_lowercase();
    if !["discarded", "not supported", "cannot be", "does not support"]
        .iter()
        .any(|word| warning.contains(word))
    {
        return None;
    }
    let says = |word: &str| warning.contains(word);
    match limits {
        _ if says("limited without swap") => None,
        limits if limits.memory.is_some() && says("memory") => Some("memory"),
        limits if limits.nano_cpus.is_some() && says("cpu") => Some("processor"),
        limits if limits.pids.is_some() && says("pid") => Some("process"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_about_limits_that_were_asked_for_are_seen() {
        let all = ContainerLimits {
            memory: Some(1),
            nano_cpus: Some(1),
            pids: Some(1),
            ..ContainerLimits::default()
        };
        for (warning, limit) in [
            (
                "Your kernel does not support memory limit capabilities or the cgroup is not mounted. \
                 Limitation discarded.",
                Some("memory"),
            ),
            (
                "Your kernel does not support CPU CFS quota or the cgroup is not mounted. Quota discarded.",
                Some("processor"),
            ),
            (
                "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. \
                 PIDs limit discarded.",
                Some("process"),
            ),
            (
                "Your kernel does not support swap limit capabilities or the cgroup is not mounted. \
                 Memory limited without swap.",
                None,
            ),
            ("Published ports are discarded when using host network mode", None),
        ] {
            assert_eq!(dropped_limit(warning, &all), limit, "{warning}");
            assert_eq!(dropped_limit(warning, &ContainerLimits::default()), None);
        }
    }
}
