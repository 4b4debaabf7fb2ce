//! Owns taking an image from elsewhere into the daemon, as it is: its config keeps every byte, and so the image its ID.
//!
//! Must not know where the image comes from.

use std::sync::Arc;

use super::clean_up::{LeaseName, lease_name};
use super::connection::Daemon;
use super::error::DaemonError;
use crate::events::{Events, Step};
use crate::image::{Digest, ImageReference};
use crate::store::archive::{LayerFile, write_resolved};
use crate::store::resolved::ResolvedImage;

impl Daemon {
    /// Loads `image` under the name `tag`, unless it is there; then it gets the name alone. `unpacked` are those of its
    /// layers that the daemon would not read.
    ///
    /// # Errors
    /// As [`Daemon::publish`]: no name is set after an error.
    pub async fn take(
        &self,
        image: Arc<ResolvedImage>,
        unpacked: Vec<LayerFile>,
        tag: &ImageReference,
        lease: &str,
        events: &Events,
    ) -> Result<(), DaemonError> {
        let step = events.start(Step::Write, tag.familiar(), None);
        let id = Digest::of(&image.config_bytes);
        let tags = std::slice::from_ref(tag);
        // In containerd's store an ID is the digest of a manifest, so the image is found by its name only.
        let by_id = !self.info().containerd_store;
        if by_id && self.inspect_image(&id.to_string()).await?.is_some() {
            self.name_image(&id.to_string(), tags).await?;
            step.finish("was already there");
            return Ok(());
        }
        let loading = lease_name(lease, LeaseName::Result);
        let result = async {
            let (sent, names) = (image.clone(), vec![loading.clone()]);
            let loaded = self.send(Some(&step), move |out| write_resolved(&sent, &unpacked, &names, out));
            loaded.await.map_err(|error| self.load_error(error))?;
            self.verify_as(id, &image.config, &loading).await?;
            let named = if by_id { id.to_string() } else { loading.clone() };
            self.name_image(&named, tags).await
        }
        .await;
        self.unname(&loading).await;
        result?;
        step.finish("all layers were sent");
        Ok(())
    }
}
