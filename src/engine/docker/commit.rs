//! Owns committing a container as a finished image in one call, with its config and its first name.
//!
//! A daemon merges the new config with the container's, so values that the new config lacks come back. Only a config
//! that keeps all values can be committed. Otherwise the change is committed and the config loaded
//! (`store/daemon/sink`).
//!
//! Source: Docker 20.10, `daemon/commit.go`, `merge`.

use bollard::models::ContainerConfig;
use bollard::query_parameters::CommitContainerOptionsBuilder;
use serde_json::Value;

use super::container::DockerContainer;
use crate::image::{Digest, ImageConfig, ImageReference};
use crate::store::daemon::{Daemon, DaemonError, DaemonFlavour, traced};

/// A container that has ended, and the config of the commit.
#[derive(Clone, Debug)]
pub struct PlannedCommit {
    daemon: Daemon,
    container: String,
    /// Image of the container, for messages.
    image: String,
    config: Box<ContainerConfig>,
}

/// Whether this daemon can commit finished images. Podman adds its own values to a container. In containerd's
/// store, the ID of an image is not the digest of its config.
pub(super) fn commits_finished(daemon: &Daemon) -> bool {
    daemon.info().flavour == DaemonFlavour::Docker && !daemon.info().containerd_store
}

impl PlannedCommit {
    /// The commit that results in exactly `config`, if the daemon can do it.
    pub(super) fn of(container: &DockerContainer, config: &ImageConfig) -> Option<Self> {
        let DockerContainer { spec, daemon, .. } = container;
        let base = spec.commit_config.as_ref().filter(|_| commits_finished(daemon))?;
        let user = spec.user.as_deref().unwrap_or_default();
        // Ephemeral files have to leave the layer, and mount points need a layer of their own. An empty user
        // would become the container's user.
        if !spec.ephemeral.is_empty()
            || spec.places.is_some()
            || (config.user().is_empty() && !user.is_empty())
        {
            return None;
        }
        let variables = spec.environment.iter().map(|(name, _)| name.as_str());
        if !config.keeps(base) || variables.into_iter().any(|name| config.env(name).is_none()) {
            return None;
        }
        let fields = config.runtime_fields();
        let mut commit_config: ContainerConfig = serde_json::from_value(Value::Object(fields)).ok()?;
        // Without a list, the container's entrypoint (`assemble`) would stay. Its command is empty.
        commit_config.entrypoint.get_or_insert_default();
        Some(Self {
            daemon: daemon.clone(),
            container: container.id.clone(),
            image: spec.image.clone(),
            config: Box::new(commit_config),
        })
    }

    /// Commits the container under the names, and returns the image's ID. `history` describes the layer.
    pub async fn commit(&self, names: &[ImageReference], history: &str) -> Result<Digest, DaemonError> {
        let (first, others) = (names.first(), names.get(1..).unwrap_or_default());
        let mut options =
            CommitContainerOptionsBuilder::default().container(&self.container).comment(history).pause(false);
        if let Some(first) = first {
            options = options.repo(&first.name()).tag(first.tag().unwrap_or("latest"));
        }
        let options = options.build();
        let (client, config) = (self.daemon.client().clone(), self.config.clone());
        let call =
            async move { traced("commit a container", client.commit_container(options, *config)).await };
        let failed =
            |error| self.daemon.request_error(format!("commit the container of {}", self.image), &error);
        let committed = self.daemon.finish(call).await.map_err(failed)?.id;
        let id = committed.parse::<Digest>().map_err(|error| DaemonError::InvalidImage {
            name: first.map_or_else(|| committed.clone(), ImageReference::familiar),
            address: self.daemon.info().address.clone(),
            reason: format!("the ID of the commit is not valid: {error}"),
        })?;
        self.daemon.name_image(&id.to_string(), others).await?;
        tracing::debug!(image = %id, "committed the container as the image");
        Ok(id)
    }
}
