//! Owns committing a container as a finished image: in one call of the daemon's, with its config and its first name.
//!
//! A daemon merges the config that it is given with the container's: what the container has and the config leaves out
//! comes back. So only a config that keeps everything can be committed; [`PlannedCommit::of`] decides,
//! and whoever gets none has the change committed and the config loaded (`store/daemon/sink`).
//!
//! Source: Docker 20.10, `daemon/commit.go`, `merge`.

use bollard::models::ContainerConfig;
use bollard::query_parameters::CommitContainerOptionsBuilder;
use serde_json::Value;

use super::container::DockerContainer;
use crate::image::{Digest, ImageConfig, ImageReference};
use crate::store::daemon::{Daemon, DaemonError, DaemonFlavour, traced};

/// A container that has ended, with a config that it can be committed with.
#[derive(Clone, Debug)]
pub struct PlannedCommit {
    daemon: Daemon,
    container: String,
    /// The image that the container was created from, for messages.
    image: String,
    config: Box<ContainerConfig>,
}

/// Whether containers of this daemon can be committed as finished images at all.
///
/// Podman puts into a container what must not be in the image, and in containerd's store an image's ID is not its
/// config's.
pub(super) fn commits_finished(daemon: &Daemon) -> bool {
    daemon.info().flavour == DaemonFlavour::Docker && !daemon.info().containerd_store
}

impl PlannedCommit {
    /// The commit that gives exactly `config`, if there is one.
    pub(super) fn of(container: &DockerContainer, config: &ImageConfig) -> Option<Self> {
        let (spec, daemon) = (container.spec(), container.daemon());
        let base = spec.commit_config.as_ref().filter(|_| commits_finished(daemon))?;
        let user = spec.user.as_deref().unwrap_or_default();
        // Files that go again are taken out of the layer, directories where something is mounted come into one of their
        // own, and an empty user would become the container's.
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
        let mut wanted: ContainerConfig = serde_json::from_value(Value::Object(fields)).ok()?;
        // The container's entrypoint is `assemble`: a list that is absent would become that one. Its command is empty.
        wanted.entrypoint.get_or_insert_default();
        Some(Self {
            daemon: daemon.clone(),
            container: container.id().to_owned(),
            image: spec.image.clone(),
            config: Box::new(wanted),
        })
    }

    /// Commits the container under these names, of which there is at least one, and gives the image's ID. `history` says
    /// what made the layer.
    ///
    /// # Errors
    /// [`DaemonError::Request`] if the daemon refuses, [`DaemonError::InvalidImage`] if it names no ID.
    pub async fn commit(&self, names: &[ImageReference], history: &str) -> Result<Digest, DaemonError> {
        let (first, others) = names.split_first().expect("a plan has a name for each image of a daemon");
        let options = CommitContainerOptionsBuilder::default()
            .container(&self.container)
            .repo(&first.name())
            .tag(first.tag().unwrap_or("latest"))
            .comment(history)
            // It has ended.
            .pause(false)
            .build();
        let (client, config) = (self.daemon.client().clone(), self.config.clone());
        let call =
            async move { traced("commit a container", client.commit_container(options, *config)).await };
        let failed =
            |error| self.daemon.request_error(format!("commit the container of {}", self.image), &error);
        let committed = self.daemon.finish(call).await.map_err(failed)?.id;
        let id = committed.parse::<Digest>().map_err(|error| DaemonError::InvalidImage {
            name: first.familiar(),
            address: self.daemon.info().address.clone(),
            reason: format!("it was committed under an ID that is none: {error}"),
        })?;
        self.daemon.name_image(&id.to_string(), others).await?;
        tracing::debug!(image = %id, "committed the container as the image");
        Ok(id)
    }
}
