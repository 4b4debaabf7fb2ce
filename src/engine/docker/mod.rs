//! Owns the engine of a daemon: Docker ≥ 20.10 or Podman ≥ 4, through bollard. Must not know plans or artifacts.

mod accounts;
mod commit;
mod container;
mod download;
mod ephemeral;
mod limits;
mod mount_points;
mod program;

use std::collections::HashMap;
use std::path::PathBuf;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, MountType, MountVolumeOptions, ResourcesUlimits,
};
use bollard::query_parameters::CreateContainerOptionsBuilder;

pub use commit::PlannedCommit;
pub use container::DockerContainer;
pub use program::{Program, ProgramHandle, ProgramOptions};

use super::capability::Capability;
use super::{Container, ContainerLimits, ContainerSpec, Engine, EngineError, Mount, MountSource, Reply};
use crate::store::daemon::{
    Daemon, DaemonError, DaemonFlavour, LEASE_LABEL, container_name, remove_container, traced,
};

#[cfg(unix)]
const PODMAN_OPEN_FILES: u64 = 1 << 20;

/// The limit of Podman's own service.
#[cfg(unix)]
const PODMAN_PROCESSES: u64 = 1 << 15;

#[derive(Clone, Debug)]
pub struct DockerEngine {
    daemon: Daemon,
    spool_directory: PathBuf,
}

impl DockerEngine {
    /// Changes are stored in `spool_directory` while they are read.
    pub fn new(daemon: Daemon, spool_directory: PathBuf) -> Self {
        Self { daemon, spool_directory }
    }

    fn host_config(&self, spec: &ContainerSpec) -> HostConfig {
        let memory = spec.limits.memory.map(signed);
        HostConfig {
            memory,
            // If both limits are equal, there is no swap.
            memory_swap: memory,
            nano_cpus: spec.limits.nano_cpus.map(signed),
            pids_limit: spec.limits.pids.map(i64::from),
            network_mode: Some(spec.network.clone().unwrap_or_else(|| "none".into())),
            cap_drop: Some(vec!["ALL".into()]),
            // Podman gives added capabilities to every user, Docker to root only. Another user could become
            // root with them.
            cap_add: is_root(spec).then(|| spec.capabilities().iter().map(Capability::to_string).collect()),
            extra_hosts: (!spec.add_hosts.is_empty()).then(|| spec.add_hosts.clone()),
            mounts: (!spec.mounts.is_empty()).then(|| spec.mounts.iter().map(mount).collect()),
            security_opt: Some(vec!["no-new-privileges".into()]),
            auto_remove: Some(false),
            privileged: Some(false),
            ulimits: ulimits(&self.daemon),
            ..HostConfig::default()
        }
    }
}

fn mount(mount: &Mount) -> bollard::models::Mount {
    let (kind, source) = match &mount.source {
        MountSource::Path(path) | MountSource::BuildCache(path) => {
            (MountType::BIND, Some(path.display().to_string()))
        }
        MountSource::Volume(name) => (MountType::VOLUME, Some(name.clone())),
        // An anonymous volume is removed with the container. Unlike a tmpfs, it takes uploads before the start.
        MountSource::Temporary => (MountType::VOLUME, None),
    };
    let is_temporary = mount.source == MountSource::Temporary;
    bollard::models::Mount {
        target: Some(mount.target.to_string()),
        source,
        typ: Some(kind),
        read_only: Some(mount.read_only),
        volume_options: is_temporary
            .then(|| MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() }),
        ..bollard::models::Mount::default()
    }
}

/// Names the mount whose source is missing. Podman creates a directory instead, as `docker run --volume` does.
fn without_mount_source(error: DaemonError, mounts: &[Mount]) -> DaemonError {
    let DaemonError::Request { address, reason, .. } = &error else { return error };
    let missing = mounts.iter().find_map(|mount| match &mount.source {
        MountSource::Path(path) => {
            let path = path.display().to_string();
            reason.ends_with(&format!("bind source path does not exist: {path}")).then_some(path)
        }
        _ => None,
    });
    match missing {
        Some(path) => DaemonError::NoMountSource { address: address.clone(), path },
        None => error,
    }
}

/// Whether the command runs as root. Other names for user 0 do not count and get no capabilities.
fn is_root(spec: &ContainerSpec) -> bool {
    let user = spec.user.as_deref().unwrap_or_default();
    let name = user.split_once(':').map_or(user, |(name, _)| name);
    name == "root" || name.bytes().all(|byte| byte == b'0')
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Podman's own defaults can exceed what its service may set without `CAP_SYS_RESOURCE`. The service usually
/// runs as the same user, so b2i's own limits are allowed.
#[cfg(unix)]
fn ulimits(daemon: &Daemon) -> Option<Vec<ResourcesUlimits>> {
    use rustix::process::{Resource, getrlimit};

    let limit = |name: &str, resource, most: u64| {
        let maximum = getrlimit(resource).maximum.unwrap_or(most).min(most);
        let maximum = Some(signed(maximum));
        ResourcesUlimits { name: Some(name.into()), soft: maximum, hard: maximum }
    };
    (daemon.info().flavour == DaemonFlavour::Podman).then(|| {
        vec![
            limit("nofile", Resource::Nofile, PODMAN_OPEN_FILES),
            limit("nproc", Resource::Nproc, PODMAN_PROCESSES),
        ]
    })
}

/// Elsewhere Podman runs in a virtual machine.
#[cfg(not(unix))]
fn ulimits(_: &Daemon) -> Option<Vec<ResourcesUlimits>> {
    None
}

impl Engine for DockerEngine {
    fn check<'a>(&'a self, limits: &'a ContainerLimits, network: Option<&'a str>) -> Reply<'a, ()> {
        Box::pin(async move {
            limits::check_limits(&self.daemon, limits).await?;
            if let Some(network) = network {
                limits::check_network(&self.daemon, network).await?;
            }
            Ok(())
        })
    }

    fn create(&self, spec: ContainerSpec) -> Reply<'_, Box<dyn Container>> {
        Box::pin(async move { Ok(Box::new(self.create_container(spec).await?) as Box<dyn Container>) })
    }

    fn file_owners(&self) -> Result<String, EngineError> {
        Ok("daemon".to_owned())
    }
}

impl DockerEngine {
    /// Creates a container without starting it.
    pub async fn create_container(&self, spec: ContainerSpec) -> Result<DockerContainer, DaemonError> {
        limits::check_limits(&self.daemon, &spec.limits).await?;
        // The program is the entrypoint. An empty entrypoint resets the image's entrypoint on Docker, but not on
        // Podman.
        let (program, arguments) = spec
            .command
            .split_first()
            .map_or((None, &[][..]), |(program, rest)| (Some(vec![program.clone()]), rest));
        let base = spec.commit_config.as_ref().filter(|_| commit::commits_finished(&self.daemon));
        let has_check = base.is_none_or(|base| base.runtime("Healthcheck").is_some());
        let no_check = HealthConfig { test: Some(vec!["NONE".into()]), ..HealthConfig::default() };
        let body = ContainerCreateBody {
            image: Some(spec.image.clone()),
            entrypoint: program,
            cmd: Some(arguments.to_vec()),
            env: Some(spec.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            user: spec.user.clone(),
            working_dir: spec.directory.as_ref().map(ToString::to_string),
            attach_stdin: Some(false),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(false),
            // Docker would write no hosts file, and added hosts would be lost. With the network `none`, the container
            // has no network either.
            network_disabled: Some(spec.network.is_none() && spec.add_hosts.is_empty()),
            // The image would inherit the label. The container's name contains the lease too.
            labels: base.is_none().then(|| HashMap::from([(LEASE_LABEL.to_owned(), spec.lease.clone())])),
            healthcheck: has_check.then_some(no_check),
            stop_timeout: Some(1),
            host_config: Some(self.host_config(&spec)),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(&container_name(&spec.lease)).build();
        let client = self.daemon.client().clone();
        let create =
            async move { traced("create a container", client.create_container(Some(options), body)).await };
        let created = self.daemon.finish(create).await;
        let created = created.map_err(|error| {
            let action = format!("create a container of the image {}", spec.image);
            without_mount_source(self.daemon.request_error(action, &error), &spec.mounts)
        })?;
        let dropped = created.warnings.iter().find_map(|warning| {
            limits::dropped_limit(warning, &spec.limits).map(|limit| (limit, warning.clone()))
        });
        if let Some((limit, reason)) = dropped {
            remove_container(&self.daemon, &created.id).await?;
            return Err(limits::not_enforced(&self.daemon, limit, reason));
        }
        tracing::debug!(
            id = created.id,
            image = spec.image,
            command = ?spec.command,
            user = ?spec.user,
            network = ?spec.network,
            limits = ?spec.limits,
            "made a container"
        );
        Ok(DockerContainer::new(self.daemon.clone(), created.id, spec, self.spool_directory.clone()))
    }
}
