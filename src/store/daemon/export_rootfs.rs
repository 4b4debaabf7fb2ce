//! Owns reading the whole file tree of an image in the daemon, as one tar, without starting anything.

use std::collections::HashMap;
use std::io::{self, Read};

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::CreateContainerOptions;

use super::clean_up::{LEASE_LABEL, remove_container};
use super::connection::Daemon;
use super::error::DaemonError;
use super::request::RawRequest;
use crate::stream::{pump, stream_to_reader};

impl Daemon {
    /// Hands the file tree of the image `image_id` to `read`, as a tar, on a thread of its own.
    ///
    /// A container is created for it, never started, and removed. `read` need not read to the end.
    ///
    /// # Errors
    /// [`DaemonError::Request`] if the daemon refuses.
    pub async fn read_tree<T: Send + 'static>(
        &self,
        image_id: &str,
        lease: &str,
        read: impl FnOnce(Box<dyn Read + Send>) -> T + Send + 'static,
    ) -> Result<T, DaemonError> {
        let body = ContainerCreateBody {
            image: Some(image_id.to_owned()),
            // Never run; but a container needs one, and not every image brings it.
            cmd: Some(vec!["/".into()]),
            labels: Some(HashMap::from([(LEASE_LABEL.to_owned(), lease.to_owned())])),
            ..ContainerCreateBody::default()
        };
        let created = self.client().create_container(None::<CreateContainerOptions>, body).await;
        let failed =
            |error| self.request_error(format!("create a container of the image {image_id}"), &error);
        let id = created.map_err(failed)?.id;
        let stream = self.raw(RawRequest::get(format!("/containers/{id}/export")));
        let (sender, reader) = stream_to_reader();
        let work = tokio::task::spawn_blocking(move || read(Box::new(reader)));
        let (result, ()) = tokio::join!(work, pump(stream, sender));
        remove_container(self, &id).await?;
        result.map_err(|panic| DaemonError::File {
            action: "reading the files of",
            path: image_id.into(),
            source: io::Error::other(panic),
        })
    }
}
