//! Owns removing from a committed image what the daemon, not the container, put into its top layer.
//!
//! Must not choose what is removed. The layers below are neither exported nor sent. A daemon that has a layer accepts a
//! config with this layer alone, and exports it from that image (tested with Podman 4.3). Otherwise all are exported.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::clean_up::{LEASE_LABEL, LeaseName, lease_name};
use super::connection::Daemon;
use super::error::DaemonError;
use super::load::LoadError;
use crate::blocking::blocking;
use crate::image::{ConfigEdits, Digest, FinishedConfig, ImageConfig, LayerFile};
use crate::store::archive::{ArchiveError, Excerpt, Form, write_excerpt};

/// An image that was committed from a container. Only its layers count; the config is the daemon's.
#[derive(Clone, Debug)]
pub(crate) struct ContainerCommit {
    pub(crate) image_id: String,
    /// Lowest first.
    pub(crate) diff_ids: Vec<Digest>,
}

impl Daemon {
    /// Removes the extents that `choose` returns from the top layer of `committed`.
    ///
    /// Returns the image with the rest, which has a name of the lease, and removes `committed`. Without extents, returns
    /// `committed`. `directory` is empty; the caller removes it.
    ///
    /// # Errors
    /// [`DaemonError::File`] if the layer cannot be read; errors of exporting and loading.
    pub(crate) async fn leave_out(
        &self,
        committed: ContainerCommit,
        lease: &str,
        directory: &Path,
        choose: impl FnOnce(&File) -> io::Result<Vec<Range<u64>>> + Send + 'static,
    ) -> Result<ContainerCommit, DaemonError> {
        let Some((top, below)) = committed.diff_ids.split_last() else { return Ok(committed) };
        let layer = self.top_layer(&committed, top, lease, directory).await?;
        let (path, size) = (layer.path.clone(), layer.size);
        let read = blocking(move || choose(&File::open(&layer.path)?).map(|out| (layer, out))).await;
        let failed = |source| DaemonError::File { action: "reading the layer in", path, source };
        let (layer, left_out) = read.map_err(failed)?;
        if left_out.is_empty() {
            return Ok(committed);
        }
        tracing::debug!(size, entries = left_out.len(), "removing what the daemon made in the container");
        let excerpt = Arc::new(Excerpt::new(&layer, left_out));
        let rest = self.load_excerpt(&committed, below, excerpt, lease, directory).await?;
        self.remove_image(&committed.image_id).await?;
        Ok(rest)
    }

    /// Exports the top layer, alone if the daemon supports that.
    async fn top_layer(
        &self,
        committed: &ContainerCommit,
        top: &Digest,
        lease: &str,
        directory: &Path,
    ) -> Result<LayerFile, DaemonError> {
        let name = lease_name(lease, LeaseName::TopLayer);
        let config = self.temporary_config(lease, &[*top]);
        let alone = async {
            let config = FinishedConfig::new(&name, config.to_bytes(), config).map_err(ArchiveError::from)?;
            match self.load_config(&config, &name).await {
                Ok(()) => self.layers(&name, &[*top], directory).await,
                Err(error) => Err(self.load_error(error)),
            }
        };
        let exported = alone.await;
        self.unname(&name).await;
        let layers = match exported {
            Ok(layers) => layers,
            Err(error @ DaemonError::File { .. }) => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "the daemon does not export a single layer; exporting all");
                self.layers(&committed.image_id, &committed.diff_ids, &sub_directory(directory, "all")?)
                    .await?
            }
        };
        let found = layers.into_iter().find(|layer| layer.diff_id == *top);
        found.ok_or_else(|| DaemonError::Export {
            name: committed.image_id.clone(),
            address: self.info().address.clone(),
            layer: *top,
            reason: "it is not among the exported layers".into(),
        })
    }

    async fn load_excerpt(
        &self,
        committed: &ContainerCommit,
        below: &[Digest],
        excerpt: Arc<Excerpt>,
        lease: &str,
        directory: &Path,
    ) -> Result<ContainerCommit, DaemonError> {
        let name = lease_name(lease, LeaseName::Committed);
        let send = |form, files: Option<Vec<LayerFile>>| {
            let (daemon, excerpt, below, lease) =
                (self.clone(), excerpt.clone(), below.to_vec(), lease.to_owned());
            let names = vec![name.clone()];
            self.send(None, move |out| {
                let config = |written: &crate::image::layer::WrittenLayer| {
                    let layers: Vec<Digest> = below.iter().copied().chain([written.diff_id]).collect();
                    daemon.temporary_config(&lease, &layers)
                };
                write_excerpt(&below, files.as_deref(), &excerpt, config, form, &names, out)
            })
        };
        let config = match send(self.partial_form(), None).await {
            Err(LoadError::Refused(reason)) => {
                tracing::debug!(%reason, "the daemon needs the base's layers; sending all layers");
                let directory = sub_directory(directory, "base")?;
                let files = self.layers(&committed.image_id, &committed.diff_ids, &directory).await?;
                send(Form::Docker, Some(files)).await
            }
            sent => sent,
        };
        let config = config.map_err(|error| self.load_error(error))?;
        self.verify(&config, &name).await?;
        let image_id = if self.info().containerd_store { name } else { config.image_id.to_string() };
        Ok(ContainerCommit { image_id, diff_ids: config.diff_ids })
    }

    fn temporary_config(&self, lease: &str, layers: &[Digest]) -> ImageConfig {
        let mut config = ImageConfig::empty(&self.info().platform);
        let edits = ConfigEdits {
            labels: [(LEASE_LABEL.to_owned(), lease.to_owned())].into(),
            created: "1980-01-01T00:00:00Z".into(),
            history: "b2i".into(),
            ..ConfigEdits::default()
        };
        config.apply(&edits, layers);
        config
    }
}

fn sub_directory(directory: &Path, name: &str) -> Result<std::path::PathBuf, DaemonError> {
    let path = directory.join(name);
    match std::fs::create_dir(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(DaemonError::File { action: "making the directory", path, source }),
    }
}
