//! Owns the settings that all containers of a source stage share. Must not know their image and command.

use crate::engine::{ContainerLimits, ContainerSpec, Mount, MountSource};
use crate::plan::SourceStage;
use crate::request::VolumeRequest;

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

pub(super) fn volumes(stage: &SourceStage) -> impl Iterator<Item = Mount> + '_ {
    stage.volumes.iter().map(volume)
}

/// An absolute path is a directory of the engine's machine; any other text is the name of a volume.
fn volume(volume: &VolumeRequest) -> Mount {
    let source = match volume.source.starts_with('/') {
        true => MountSource::Path(volume.source.clone().into()),
        false => MountSource::Volume(volume.source.clone()),
    };
    Mount { source, target: volume.target.clone(), read_only: volume.read_only }
}
