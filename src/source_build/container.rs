//! Owns what the containers of a source stage have in common: what each may use and see. Must not know what runs in them.

use crate::engine::{ContainerLimits, ContainerSpec, Mount, MountSource};
use crate::plan::SourceStage;
use crate::request::VolumeRequest;

/// What a container of the stage is started with, whatever its image and its command.
pub(super) fn stage_spec(stage: &SourceStage, limits: &ContainerLimits, lease: &str) -> ContainerSpec {
    ContainerSpec {
        limits: limits.clone(),
        network: stage.limits.network.clone(),
        add_hosts: stage.add_hosts.clone(),
        drop_capabilities: stage.drop_capabilities.clone(),
        lease: lease.to_owned(),
        ..ContainerSpec::default()
    }
}

/// What the user mounts.
pub(super) fn volumes(stage: &SourceStage) -> impl Iterator<Item = Mount> + '_ {
    stage.volumes.iter().map(volume)
}

/// An absolute path is one of the engine's machine, everything else the name of a volume.
fn volume(volume: &VolumeRequest) -> Mount {
    let source = match volume.source.starts_with('/') {
        true => MountSource::Path(volume.source.clone().into()),
        false => MountSource::Volume(volume.source.clone()),
    };
    Mount { source, target: volume.target.clone(), read_only: volume.read_only }
}
