//! Owns the daemon as an image sink: the new layer goes in, the result is verified, then it gets its names.
//!
//! In order: nothing is sent if the image is known to be there; only the config if its layers are; the new layer
//! without the base's (Docker looks these up by chain ID in a docker-archive, Podman by digest in an OCI archive);
//! everything, with the base exported from the same daemon. A create + put + commit cannot stand between these two:
//! the daemon would write the layer's tar itself, with another digest than the config says.
//!
//! Between loading and naming, the image carries a name of the run's lease, so that neither a clean-up of dangling
//! images nor a killed run leaves it in a state that nobody recognises.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bollard::query_parameters::{RemoveImageOptionsBuilder, TagImageOptionsBuilder};

use super::clean_up::{LeaseName, lease_name};
use super::connection::Daemon;
use super::error::{DaemonError, is_disk_full};
use super::load::LoadError;
use super::request::{describe, traced};
use crate::events::{Events, RunningStep, Step};
use crate::image::layer::WrittenLayer;
use crate::image::{Digest, ImageConfig, ImageReference};
use crate::store::archive::{ArchiveError, Form};
use crate::store::{BaseImage, BaseLayers, UnfinishedImage, WrittenImage};

/// What publishing needs beside the image.
#[derive(Clone)]
pub struct PublishContext {
    /// The lease of this run.
    pub lease: String,
    /// An empty directory for layers that have to be spooled; the caller removes it.
    pub spool_directory: PathBuf,
    /// Where progress goes.
    pub events: Events,
}

/// Which archive the daemon took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Nothing,
    Config,
    NewLayer,
    Everything,
}

impl Sent {
    fn summary(self) -> &'static str {
        match self {
            Self::Nothing => "was already there",
            Self::Config => "its layers were already there",
            Self::NewLayer => "only the new layer was sent",
            Self::Everything => "all layers were sent",
        }
    }
}

impl Daemon {
    /// Loads `image` into the daemon and gives it the names `tags`.
    ///
    /// `known` is what writing the layer is known to yield, from a memo; with it nothing is read if the daemon has
    /// the image or its layers.
    ///
    /// # Errors
    /// [`DaemonError::Publish`], [`DaemonError::NotLoaded`] and [`DaemonError::DiskFull`];
    /// [`DaemonError::Archive`] if the artifact cannot be read. No name is set after an error before naming.
    pub async fn publish(
        &self,
        image: &UnfinishedImage,
        known: Option<WrittenLayer>,
        tags: &[ImageReference],
        context: &PublishContext,
    ) -> Result<WrittenImage, DaemonError> {
        let subject = tags.first().map_or_else(String::new, ImageReference::familiar);
        let step = context.events.start(Step::Write, subject, Some(image.layer.size()));
        let loading = lease_name(&context.lease, LeaseName::Result);
        let result = async {
            let (layer, config, sent) = self.load_image(image, known, &loading, context, &step).await?;
            self.name(&config, &loading, tags).await?;
            Ok::<_, DaemonError>((WrittenImage { image_id: config.digest(), layer: Some(layer) }, sent))
        }
        .await;
        self.unname(&loading).await;
        let (written, sent) = result?;
        tracing::debug!(image = %written.image_id, way = sent.summary(), "published");
        step.finish(sent.summary());
        Ok(written)
    }

    /// Gives a committed image its final config and the names `tags`, and removes the committed one.
    ///
    /// # Errors
    /// As [`Daemon::publish`]; the committed image is then left to the lease's clean-up.
    pub async fn publish_committed(
        &self,
        committed: &str,
        config: &ImageConfig,
        tags: &[ImageReference],
        context: &PublishContext,
    ) -> Result<WrittenImage, DaemonError> {
        let subject = tags.first().map_or_else(String::new, ImageReference::familiar);
        let step = context.events.start(Step::Write, subject, None);
        let loading = lease_name(&context.lease, LeaseName::Result);
        let result = async {
            let sent = match self.load_config(config, &loading).await {
                Ok(()) => Sent::Config,
                Err(LoadError::Failed(error)) => return Err(error),
                Err(LoadError::Refused(_)) => {
                    self.load_rewritten(committed, config, &loading, context).await?;
                    Sent::Everything
                }
            };
            self.verify(config, &loading).await?;
            self.name(config, &loading, tags).await?;
            Ok::<_, DaemonError>(sent)
        }
        .await;
        self.unname(&loading).await;
        let sent = result?;
        tracing::debug!(committed, image = %config.digest(), way = sent.summary(), "published what was committed");
        if committed != config.digest().to_string() {
            self.remove_image(committed).await?;
        }
        step.finish(sent.summary());
        Ok(WrittenImage { image_id: config.digest(), layer: None })
    }

    /// Makes sure that the daemon has the base, and gives the ID to start containers from.
    ///
    /// A base that is not the daemon's own is loaded under a name of the lease, which the lease's clean-up removes.
    ///
    /// # Errors
    /// As [`Daemon::publish`].
    pub async fn ensure_loaded(&self, base: &BaseImage, lease: &str) -> Result<String, DaemonError> {
        let layer = match &base.layers {
            BaseLayers::Daemon { image_id } => return Ok(image_id.clone()),
            BaseLayers::BuiltIn(layer) => layer.clone(),
            BaseLayers::Described(_) | BaseLayers::Scratch => {
                let reason = "it is not in the daemon, and b2i has no layers of it to load".into();
                let address = self.info().address.clone();
                return Err(DaemonError::InvalidImage { name: base.name.clone(), address, reason });
            }
        };
        let name = lease_name(lease, LeaseName::Base);
        // The base's own layer is the new one, on nothing.
        let config = base.config.clone();
        let below = BaseImage {
            layers: BaseLayers::Scratch,
            config: ImageConfig::empty(&config.platform()),
            ..base.clone()
        };
        let finish = {
            let config = config.clone();
            Arc::new(move |_: &WrittenLayer| config.clone())
        };
        let image = UnfinishedImage { base: below, layer, annotations: BTreeMap::new(), finish };
        let loaded = self.send_image(&image, Form::Docker, None, &name, None).await;
        loaded.map_err(|error| self.load_error(error))?;
        self.verify(&config, &name).await?;
        Ok(if self.info().containerd_store { name } else { config.digest().to_string() })
    }

    /// Gets the image into the daemon and checks that it is there.
    async fn load_image(
        &self,
        image: &UnfinishedImage,
        known: Option<WrittenLayer>,
        name: &str,
        context: &PublishContext,
        step: &RunningStep,
    ) -> Result<(WrittenLayer, ImageConfig, Sent), DaemonError> {
        if let Some(layer) = known {
            let config = (image.finish)(&layer);
            if self.inspect_image(&config.digest().to_string()).await?.is_some() {
                return Ok((layer, config, Sent::Nothing));
            }
            match self.load_config(&config, name).await {
                Ok(()) => {
                    self.verify(&config, name).await?;
                    return Ok((layer, config, Sent::Config));
                }
                Err(LoadError::Refused(_)) => {}
                Err(LoadError::Failed(error)) => return Err(error),
            }
        }
        let BaseLayers::Daemon { image_id } = &image.base.layers else {
            let sent = self.send_image(image, Form::Docker, None, name, Some(step)).await;
            let (layer, config) = sent.map_err(|error| self.load_error(error))?;
            self.verify(&config, name).await?;
            return Ok((layer, config, Sent::Everything));
        };
        match self.send_image(image, self.partial_form(), None, name, Some(step)).await {
            // A daemon that takes the archive but made something else of it gets everything too.
            Ok((layer, config)) if self.verify(&config, name).await.is_ok() => {
                return Ok((layer, config, Sent::NewLayer));
            }
            Ok(_) => tracing::debug!("the daemon made another image of the new layer alone; it gets all"),
            Err(LoadError::Refused(reason)) if is_disk_full(&reason) => {
                return Err(self.load_error(LoadError::Refused(reason)));
            }
            Err(LoadError::Refused(reason)) => {
                tracing::debug!(%reason, "the daemon takes no archive without the base's layers; it gets all");
            }
            Err(error @ LoadError::Failed(_)) => return Err(self.load_error(error)),
        }
        let wanted = image.base.config.diff_ids();
        let wanted =
            wanted.map_err(|source| ArchiveError::Config { name: image.base.name.clone(), source })?;
        let files = self.layers(image_id, &wanted, &context.spool_directory).await?;
        let sent = self.send_image(image, Form::Docker, Some(files), name, Some(step)).await;
        let (layer, config) = sent.map_err(|error| self.load_error(error))?;
        self.verify(&config, name).await?;
        Ok((layer, config, Sent::Everything))
    }

    pub(super) fn load_error(&self, error: LoadError) -> DaemonError {
        match error {
            LoadError::Failed(error) => error,
            LoadError::Refused(reason) => self.publish_error("load the image", reason),
        }
    }

    fn publish_error(&self, action: impl Into<String>, reason: String) -> DaemonError {
        let (address, action) = (self.info().address.clone(), action.into());
        if is_disk_full(&reason) {
            DaemonError::DiskFull { address, action, reason }
        } else {
            DaemonError::Publish { address, action, reason }
        }
    }

    /// Checks that the daemon has exactly this image.
    pub(super) async fn verify(&self, config: &ImageConfig, name: &str) -> Result<(), DaemonError> {
        self.verify_as(config.digest(), config, name).await
    }

    /// As [`Daemon::verify`], for a config of which the bytes that the ID is made of are others than b2i's.
    pub(super) async fn verify_as(
        &self,
        wanted: Digest,
        config: &ImageConfig,
        name: &str,
    ) -> Result<(), DaemonError> {
        let missing =
            |found: String| DaemonError::NotLoaded { address: self.info().address.clone(), wanted, found };
        // In containerd's store an ID is the digest of a manifest, so the image is found by its name only.
        let by = if self.info().containerd_store { name.to_owned() } else { wanted.to_string() };
        let answer = self.inspect_image(&by).await?.ok_or_else(|| missing("does not have it".into()))?;
        let layers: Option<Vec<Digest>> = serde_json::from_value(answer["RootFS"]["Layers"].clone()).ok();
        if layers != config.diff_ids().ok() {
            return Err(missing("has other layers under its ID".into()));
        }
        match answer["Id"].as_str().and_then(|id| id.parse::<Digest>().ok()) {
            Some(id) if id == wanted || self.info().containerd_store => Ok(()),
            other => Err(missing(format!("gave it the ID {other:?}"))),
        }
    }

    async fn name(
        &self,
        config: &ImageConfig,
        loading: &str,
        tags: &[ImageReference],
    ) -> Result<(), DaemonError> {
        let image =
            if self.info().containerd_store { loading.to_owned() } else { config.digest().to_string() };
        self.name_image(&image, tags).await
    }

    /// Gives an image these names.
    pub(crate) async fn name_image(&self, image: &str, tags: &[ImageReference]) -> Result<(), DaemonError> {
        for tag in tags {
            let repository = tag.name();
            let options = TagImageOptionsBuilder::default()
                .repo(&repository)
                .tag(tag.tag().unwrap_or("latest"))
                .build();
            let tagged = traced("tag the image", self.client().tag_image(image, Some(options))).await;
            tagged.map_err(|error| {
                self.publish_error(format!("name the image `{}`", tag.familiar()), describe(&error).1)
            })?;
        }
        Ok(())
    }

    /// Takes the lease's name off; an image that has no other name goes with it.
    ///
    /// What fails here is left to the lease's clean-up: the image is published, or its error is the one to report.
    pub(super) async fn unname(&self, name: &str) {
        if let Err(error) = self.remove_image(name).await {
            tracing::debug!(%error, "the name of the lease stays");
        }
    }

    /// Removes an image, or a name of it, but none of the images below it; one that is not there is no error.
    pub(crate) async fn remove_image(&self, name: &str) -> Result<(), DaemonError> {
        let options = RemoveImageOptionsBuilder::default().noprune(true).build();
        match traced("remove an image", self.client().remove_image(name, Some(options), None)).await {
            Ok(_) => Ok(()),
            Err(error) if describe(&error).0 == Some(404) => Ok(()),
            Err(error) => Err(self.request_error(format!("remove the image {name}"), &error)),
        }
    }
}
