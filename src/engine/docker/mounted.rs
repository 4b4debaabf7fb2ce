//! Owns the directories that a committed image has at mount points.
//!
//! A daemon creates mount points as root, and uploads there go into the mount. So the directories are uploaded to a
//! second container without mounts. One more commit is cheaper than reading the whole layer.

use super::DockerEngine;
use super::container::DockerContainer;
use crate::engine::{ContainerSpec, NO_COMMAND};
use crate::image::ImagePath;
use crate::image::layer::Layer;
use crate::store::daemon::{ContainerCommit, DaemonError, remove_container};

impl DockerContainer {
    /// Adds the directories at mount points. The image below is removed with the lease.
    pub(super) async fn with_places(&self, commit: ContainerCommit) -> Result<ContainerCommit, DaemonError> {
        let Some(places) = self.spec.places.as_ref().filter(|places| !places.entries().is_empty()) else {
            return Ok(commit);
        };
        let engine = DockerEngine::new(self.daemon.clone(), self.spool_directory.clone());
        let spec = ContainerSpec {
            image: commit.image_id,
            command: vec![NO_COMMAND.to_owned()],
            lease: self.spec.lease.clone(),
            ..ContainerSpec::default()
        };
        let container = engine.create_container(spec).await?;
        let filled = fill(&container, places).await;
        let removed = remove_container(&self.daemon, &container.id).await;
        let filled = filled?;
        removed?;
        Ok(filled)
    }
}

async fn fill(container: &DockerContainer, places: &Layer) -> Result<ContainerCommit, DaemonError> {
    let mut tar = Vec::new();
    // Directories have no contents to read.
    places.write_undigested(&mut tar).expect("a Vec can be written to");
    let stream = futures_util::stream::iter([Ok(tar.into())]);
    let root = ImagePath::new("/").expect("absolute and normal");
    container.upload_tar(&root, Box::pin(stream)).await?;
    container.commit().await
}
