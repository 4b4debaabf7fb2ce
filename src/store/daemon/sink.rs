//! Owns the daemon as an image sink: loads an image, verifies it, then names it. Must not know the archive's format.
//!
//! It sends as little as possible: nothing if the daemon has the image; the config if it has the layers; the new layer
//! without the base's, which Docker finds by chain ID and Podman by digest; else everything, with the base exported from
//! the same daemon. A commit of uploaded files does not work: the daemon would write another tar with another digest.
//!
//! Until it is named, the image has a name of the run's lease, so that a clean-up of dangling images keeps it, and the
//! clean-up after a killed run finds it.

use std::path::{Path, PathBuf};

use bollard::query_parameters::{RemoveImageOptionsBuilder, TagImageOptionsBuilder};

use super::clean_up::{LeaseName, lease_name};
use super::connection::Daemon;
use super::error::{DaemonError, is_disk_full};
use super::load::LoadError;
use super::request::{describe, traced};
use crate::events::{Events, RunningStep, Step};
use crate::image::layer::WrittenLayer;
use crate::image::{BaseImage, Digest, FinishedConfig, Image, ImageReference, LayerSource, NewLayer};
use crate::store::archive::{ArchiveError, Form};
use crate::store::{Content, LayerBlobs, Sink, Written, WrittenImage};

#[derive(Clone)]
pub struct PublishContext {
    pub lease: String,
    /// An empty directory for temporary layers. The caller removes it.
    pub spool_directory: PathBuf,
    pub events: Events,
}

/// The new layers, the config, and what was sent, as a remark for people.
type Loaded = (Vec<WrittenLayer>, FinishedConfig, &'static str);

pub struct DaemonSink {
    pub daemon: Daemon,
    pub context: PublishContext,
}

impl Sink for DaemonSink {
    type Error = DaemonError;

    async fn write(
        &self,
        content: Content<'_>,
        names: &[ImageReference],
        _: &LayerBlobs,
    ) -> Result<Written, DaemonError> {
        let written = self.daemon.publish(content.single_image(), names, &self.context).await?;
        Ok(Written { root: None, images: vec![written] })
    }
}

impl Daemon {
    /// Loads `image` and gives it the names `tags`. With all layers known, reads nothing that the daemon has. Removes the
    /// image that an engine committed, if it has another ID.
    ///
    /// # Errors
    /// [`DaemonError::Publish`], [`DaemonError::NotLoaded`] and [`DaemonError::DiskFull`];
    /// [`DaemonError::Archive`] if the artifact cannot be read. After an error no name has changed, unless naming failed.
    pub async fn publish(
        &self,
        image: &Image,
        tags: &[ImageReference],
        context: &PublishContext,
    ) -> Result<WrittenImage, DaemonError> {
        let subject = tags.first().map_or_else(String::new, ImageReference::familiar);
        let size = image.new.iter().map(|new| new.layer().size()).reduce(|one, other| one + other);
        let step = context.events.start(Step::Write, subject, size);
        let loading = lease_name(&context.lease, LeaseName::Result);
        let result = async {
            let loaded = self.load_image(image, &loading, context, &step).await?;
            self.name_image(&self.id_or(&loading, &loaded.1), tags).await?;
            Ok::<_, DaemonError>(loaded)
        }
        .await;
        self.unname(&loading).await;
        let (layers, FinishedConfig { image_id, .. }, sent) = result?;
        tracing::debug!(image = %image_id, sent, "published");
        for (new, layer) in image.new.iter().zip(&layers) {
            new.remember(*layer);
        }
        if let Some(committed) = image.committed_id().filter(|committed| *committed != image_id.to_string()) {
            self.remove_image(committed).await?;
        }
        step.finish(sent);
        Ok(WrittenImage { image_id, layers, manifest: None, blobs: Vec::new() })
    }

    /// Loads the base, unless the daemon has it, and returns the ID to start containers from. A loaded base has a name of
    /// the lease, which the lease's clean-up removes.
    /// Layers in zstd are unpacked in `unpacking`.
    pub async fn ensure_loaded(
        &self,
        base: &BaseImage,
        lease: &str,
        unpacking: &Path,
    ) -> Result<String, DaemonError> {
        if let Some(image_id) = &base.image_id {
            return Ok(image_id.clone());
        }
        let name = lease_name(lease, LeaseName::Base);
        let Some(layer) = base.built_in() else {
            if base.layers.iter().all(|layer| matches!(layer, LayerSource::Blob(..) | LayerSource::File(_))) {
                let image = Image::unchanged(base.clone(), base.config.to_bytes());
                let loaded = self.send_image(&image, Form::Docker, Some(unpacking), &name, None).await;
                let (_, config) = loaded.map_err(|error| self.load_error(error))?;
                self.verify(&config, &name).await?;
                return Ok(self.id_or(&name, &config));
            }
            let reason = "it is not in the daemon, and b2i does not have its layers".into();
            let address = self.info().address.clone();
            return Err(DaemonError::InvalidImage { name: base.name.clone(), address, reason });
        };
        // The layer of the built-in base is sent as the new layer, without layers below.
        let below = BaseImage { name: base.name.clone(), ..BaseImage::scratch(&base.config.platform()) };
        let new = vec![NewLayer::from(layer.clone())];
        let image = Image { new, ..Image::unchanged(below, base.config.to_bytes()) };
        let loaded = self.send_image(&image, Form::Docker, None, &name, None).await;
        let (_, config) = loaded.map_err(|error| self.load_error(error))?;
        self.verify(&config, &name).await?;
        Ok(self.id_or(&name, &config))
    }

    /// The image's ID, or its name with containerd's store: there an ID is the digest of a manifest, which is not known.
    fn id_or(&self, name: &str, config: &FinishedConfig) -> String {
        if self.info().containerd_store { name.to_owned() } else { config.image_id.to_string() }
    }

    async fn load_image(
        &self,
        image: &Image,
        name: &str,
        context: &PublishContext,
        step: &RunningStep,
    ) -> Result<Loaded, DaemonError> {
        if let Some((config, sent)) = self.load_known(image, name).await? {
            return Ok((image.written().unwrap_or_default(), config, sent));
        }
        let Some(image_id) = &image.base.image_id else {
            return self.load_all(image, name, context, step).await;
        };
        if !image.new.is_empty() {
            match self.send_image(image, self.partial_form(), None, name, Some(step)).await {
                // A daemon may accept the archive and make another image of it.
                Ok((layers, config)) if self.verify(&config, name).await.is_ok() => {
                    return Ok((layers, config, "only the new layer was sent"));
                }
                Ok(_) => {
                    tracing::debug!("the daemon made another image of the new layer; sending all layers")
                }
                Err(LoadError::Refused(reason)) if is_disk_full(&reason) => {
                    return Err(self.load_error(LoadError::Refused(reason)));
                }
                Err(LoadError::Refused(reason)) => {
                    tracing::debug!(%reason, "the daemon needs the base's layers; sending all layers");
                }
                Err(error @ LoadError::Failed(_)) => return Err(self.load_error(error)),
            }
        }
        let ids = image.base.diff_ids().map_err(ArchiveError::from)?;
        let files = self.layers(image_id, &ids, &context.spool_directory).await?;
        let base = image.base.clone().with_files(&files);
        self.load_all(&Image { base, ..image.clone() }, name, context, step).await
    }

    /// Sends nothing, or only the config, if the daemon has the rest.
    async fn load_known(
        &self,
        image: &Image,
        name: &str,
    ) -> Result<Option<(FinishedConfig, &'static str)>, DaemonError> {
        let Some(layers) = image.written() else { return Ok(None) };
        let config = image.finish(&layers).map_err(ArchiveError::from)?;
        let by_id = !self.info().containerd_store;
        if by_id && self.inspect_image(&config.image_id.to_string()).await?.is_some() {
            return Ok(Some((config, "was already there")));
        }
        // A daemon rarely has the layers of an image from another place.
        if image.new.is_empty() && image.base.image_id.is_none() {
            return Ok(None);
        }
        match self.load_config(&config, name).await {
            Ok(()) => {
                self.verify(&config, name).await?;
                Ok(Some((config, "its layers were already there")))
            }
            Err(LoadError::Refused(_)) => Ok(None),
            Err(LoadError::Failed(error)) => Err(error),
        }
    }

    async fn load_all(
        &self,
        image: &Image,
        name: &str,
        context: &PublishContext,
        step: &RunningStep,
    ) -> Result<Loaded, DaemonError> {
        let unpacking = Some(context.spool_directory.as_path());
        let sent = self.send_image(image, Form::Docker, unpacking, name, Some(step)).await;
        let (layers, config) = sent.map_err(|error| self.load_error(error))?;
        self.verify(&config, name).await?;
        Ok((layers, config, "all layers were sent"))
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

    pub(super) async fn verify(&self, config: &FinishedConfig, name: &str) -> Result<(), DaemonError> {
        let expected = config.image_id;
        let missing =
            |found: String| DaemonError::NotLoaded { address: self.info().address.clone(), expected, found };
        let answer = self
            .inspect_image(&self.id_or(name, config))
            .await?
            .ok_or_else(|| missing("does not have it".into()))?;
        let layers: Option<Vec<Digest>> = serde_json::from_value(answer["RootFS"]["Layers"].clone()).ok();
        if layers.as_ref() != Some(&config.diff_ids) {
            return Err(missing("has other layers under its ID".into()));
        }
        match answer["Id"].as_str().and_then(|id| id.parse::<Digest>().ok()) {
            Some(id) if id == expected || self.info().containerd_store => Ok(()),
            other => Err(missing(format!("gave it the ID {other:?}"))),
        }
    }

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

    /// Removes the lease's name, and the image if it has no other. The lease's clean-up repeats it after an error. The
    /// error is not reported: the image is published, or its own error is reported.
    pub(super) async fn unname(&self, name: &str) {
        if let Err(error) = self.remove_image(name).await {
            tracing::debug!(%error, "the name of the lease stays");
        }
    }

    /// Removes an image or one of its names, but no parent image. A missing image is not an error.
    pub(crate) async fn remove_image(&self, name: &str) -> Result<(), DaemonError> {
        let options = RemoveImageOptionsBuilder::default().noprune(true).build();
        match traced("remove an image", self.client().remove_image(name, Some(options), None)).await {
            Ok(_) => Ok(()),
            Err(error) if describe(&error).0 == Some(404) => Ok(()),
            Err(error) => Err(self.request_error(format!("remove the image {name}"), &error)),
        }
    }
}
