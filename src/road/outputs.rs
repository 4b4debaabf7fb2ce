//! Owns where results go: each output gets the image through its sink, and what one learns serves the next.

use std::path::{Path, PathBuf};

use super::Error;
use super::build::{StageResult, Work};
use super::known::{KnownBase, KnownLayer};
use super::sandbox::RunnableImage;
use crate::events::Step;
use crate::fs::AtomicFile;
use crate::image::compression::{WrittenBlob, all_cores};
use crate::image::layer::WrittenLayer;
use crate::image::{Digest, ImageConfig, ImageReference};
use crate::request::Output;
use crate::store::archive::{ArchiveError, LayerFile, unpack_for_archive, write_archive, write_from_files};
use crate::store::daemon::{Daemon, PublishContext, ResolveOptions};
use crate::store::layout::{Layout, WrittenLayout};
use crate::store::registry::PublishOptions;
use crate::store::{BaseImage, BaseLayers, CompressedLayer, UnfinishedImage, WrittenImage};

impl Work<'_> {
    /// Writes `image` to every output, in one pass each; a layer that is known is read only by a sink that lacks it.
    pub(super) async fn write(
        &self,
        image: &UnfinishedImage,
        known: &mut KnownLayer<'_>,
    ) -> Result<StageResult, Error> {
        let mut manifest_digest = None;
        for output in &self.stage.outputs {
            let written = match output {
                Output::Docker => self.publish(image, known).await?,
                Output::DockerArchive { path } => self.write_archive(image, path).await?.into(),
                Output::Registry => self.push(image, known).await?,
                Output::OciDirectory { path } => self.write_layout(image, known, path, false).await?,
                Output::OciArchive { path } => self.write_layout(image, known, path, true).await?,
            };
            if let Some(layer) = written.layer {
                known.remember(layer);
            }
            tell(&mut manifest_digest, output, written.manifest_digest);
        }
        let written = known.layer.ok_or(Error::NoOutput)?;
        let config = (image.finish)(&written);
        let runnable = self.runnable(image, written.diff_id, &config).await?;
        Ok(StageResult {
            runnable,
            image_id: config.digest(),
            manifest_digest,
            ports: config.exposed_ports(),
            artifact_digest: written.watched.or(self.prepared.artifact.sha256),
            layer_digest: Some(written.diff_id),
        })
    }

    /// Puts it into the daemon.
    async fn publish(&self, image: &UnfinishedImage, known: &KnownLayer<'_>) -> Result<Placed, Error> {
        let image = self.on_daemon(image).await?;
        let context = self.publish_context();
        Ok(self.daemon()?.publish(&image, known.layer, &self.stage.tags, &context).await?.into())
    }

    /// The same image on the base as the daemon has it: a daemon takes layers that it has by their diff IDs.
    async fn on_daemon(&self, image: &UnfinishedImage) -> Result<UnfinishedImage, Error> {
        let BaseLayers::Described(_) = &image.base.layers else { return Ok(image.clone()) };
        let options = ResolveOptions {
            platform: Some(self.stage.platform.clone()),
            pull: self.request.pull,
            offline: self.request.offline,
            credential_files: self.surroundings.daemon.credential_files.clone(),
        };
        let reference = self.base_reference().ok_or(Error::NoDaemon)?;
        let reference = match image.base.manifest_digest {
            // The very image that the registry gave, whatever its tag means by now.
            Some(digest) => reference.with_digest(digest),
            None => reference.clone(),
        };
        let found = self.daemon()?.resolve(&reference, &options, &self.surroundings.events).await?;
        let invalid = |source| Error::Config { base: image.base.name.clone(), source };
        let (wanted, there) = (image.base.config.diff_ids(), found.config.diff_ids());
        if wanted.map_err(invalid)? != there.map_err(invalid)? {
            return Err(Error::OtherBase { base: image.base.name.clone() });
        }
        Ok(UnfinishedImage {
            base: BaseImage { layers: found.layers, ..image.base.clone() },
            ..image.clone()
        })
    }

    /// Pushes it to the registries that its tags name.
    async fn push(&self, image: &UnfinishedImage, known: &mut KnownLayer<'_>) -> Result<Placed, Error> {
        let compression = self.request.compression;
        let format = image.manifest_format();
        let memo = self.surroundings.memo(self.request.use_memo)?;
        let known_base = KnownBase::find(memo, &image.base, compression, format);
        let options = PublishOptions {
            known_base: known_base.blob.clone(),
            encode: CompressedLayer::encode(compression, all_cores()),
            known: known.blob(compression, format).map(|blob| (blob.layer, blob.descriptor)),
        };
        let published = self.surroundings.registries()?.publish(image, &self.stage.tags, &options).await?;
        known_base.remember(published.base.as_ref(), self.prepared.lease.temporary_directory());
        let blob = WrittenBlob { layer: published.layer, descriptor: published.blob };
        known.remember_blob(&blob, compression, format);
        Ok(Placed { layer: Some(blob.layer), manifest_digest: Some(published.manifest.digest) })
    }

    /// The layers of a base that is in a daemon, as files.
    pub(super) async fn base_files(&self, image: &UnfinishedImage) -> Result<Vec<LayerFile>, Error> {
        match &image.base.layers {
            BaseLayers::Daemon { image_id } => {
                let export = || self.export(image_id, &image.base.config, &image.base.name);
                Ok(self.exported.get_or_try_init(export).await?.clone())
            }
            BaseLayers::Described(_) | BaseLayers::BuiltIn(_) | BaseLayers::Scratch => Ok(Vec::new()),
        }
    }

    fn publish_context(&self) -> PublishContext {
        PublishContext {
            lease: self.prepared.lease.id().to_owned(),
            spool_directory: self.prepared.lease.temporary_directory().to_owned(),
            events: self.surroundings.events.clone(),
        }
    }
    async fn write_archive(&self, image: &UnfinishedImage, path: &Path) -> Result<WrittenImage, Error> {
        let step = self.surroundings.events.start(Step::Write, path.display().to_string(), None);
        let files = match &image.base.layers {
            BaseLayers::Described(_) => self.unpack_for_archive(&image.base).await?,
            _ => self.base_files(image).await?,
        };
        let mut out = AtomicFile::create(path, None, &self.prepared.lease).map_err(Error::Output)?;
        let (image, tags) = (image.clone(), self.stage.tags.clone());
        let written = blocking(move || {
            let written = write_archive(&image, &files, &tags, &mut out);
            let written = written.map_err(|error| with_path(error, &out))?;
            out.commit().map_err(Error::Output)?;
            Ok::<_, Error>(written)
        });
        let written = written.await?;
        step.sized(written.layer.map_or(0, |layer| layer.size)).finish("");
        Ok(written)
    }

    /// Unpacks the layers of a base that Docker does not read as they are.
    async fn unpack_for_archive(&self, base: &BaseImage) -> Result<Vec<LayerFile>, Error> {
        let directory = self.layers_directory()?;
        let base = base.clone();
        blocking(move || Ok(unpack_for_archive(&base, &directory)?)).await
    }

    fn layers_directory(&self) -> Result<PathBuf, Error> {
        let directory = self.prepared.lease.temporary_directory().join("layers");
        crate::fs::create_private_directory(&directory)?;
        Ok(directory)
    }

    async fn export(
        &self,
        image_id: &str,
        config: &ImageConfig,
        base: &str,
    ) -> Result<Vec<LayerFile>, Error> {
        let invalid = |source| Error::Config { base: base.to_owned(), source };
        let wanted = config.diff_ids().map_err(invalid)?;
        let directory = self.layers_directory()?;
        Ok(self.daemon()?.layers(image_id, &wanted, &directory).await?)
    }

    /// Writes what an engine committed in the daemon, with its final config; gives the digest of the manifest, where
    /// an output has one.
    pub(super) async fn write_committed(
        &self,
        daemon: &Daemon,
        image_id: &str,
        config: &ImageConfig,
    ) -> Result<(Option<Digest>, Option<RunnableImage>), Error> {
        let mut manifest_digest = None;
        // The daemon comes last: publishing there removes the committed image.
        let elsewhere = self.stage.outputs.iter().filter(|output| **output != Output::Docker);
        let elsewhere: Vec<&Output> = elsewhere.collect();
        let files = match elsewhere.is_empty() {
            true => Vec::new(),
            false => self.export(image_id, config, image_id).await?,
        };
        for output in elsewhere {
            let files = files.clone();
            let written = match output {
                Output::Docker => continue,
                Output::DockerArchive { path } => {
                    self.write_committed_archive(config, files, path).await?;
                    continue;
                }
                Output::OciDirectory { path } => {
                    self.write_committed_layout(config, files, path, false).await?
                }
                Output::OciArchive { path } => self.write_committed_layout(config, files, path, true).await?,
                Output::Registry => self.push_committed(config, files).await?,
            };
            tell(&mut manifest_digest, output, Some(written.manifest.digest));
        }
        if self.stage.outputs.contains(&Output::Docker) {
            let context = self.publish_context();
            daemon.publish_committed(image_id, config, &self.stage.tags, &context).await?;
        } else {
            daemon.remove_image(image_id).await?;
        }
        Ok((manifest_digest, self.runnable_files(config, &files)))
    }

    async fn write_committed_archive(
        &self,
        config: &ImageConfig,
        files: Vec<LayerFile>,
        path: &Path,
    ) -> Result<(), Error> {
        let mut out = AtomicFile::create(path, None, &self.prepared.lease).map_err(Error::Output)?;
        let (config, tags) = (config.clone(), self.stage.tags.clone());
        blocking(move || {
            let names: Vec<String> = tags.iter().map(ImageReference::familiar).collect();
            let written = write_from_files(&config, &files, &names, &mut out);
            written.map_err(|error| with_path(error, &out))?;
            out.commit().map_err(Error::Output)
        })
        .await
    }

    /// Pushes a committed image by way of a layout of its own: a daemon has neither manifests nor compressed layers.
    async fn push_committed(
        &self,
        config: &ImageConfig,
        files: Vec<LayerFile>,
    ) -> Result<WrittenLayout, Error> {
        let directory = self.prepared.lease.temporary_directory().join("push");
        let written = self.write_committed_layout(config, files, &directory, false).await?;
        let blobs = Layout::open(&directory)?.blobs();
        self.surroundings.registries()?.copy(&written.manifest, &blobs, &self.stage.tags).await?;
        Ok(written)
    }
}

/// Formats differ, and so the digests of several outputs may. The one to tell is the registry's, whose name it is told
/// with; else the first.
fn tell(told: &mut Option<Digest>, output: &Output, written: Option<Digest>) {
    if written.is_some() && (told.is_none() || *output == Output::Registry) {
        *told = written;
    }
}

/// What one output learned.
pub(super) struct Placed {
    pub(super) layer: Option<WrittenLayer>,
    pub(super) manifest_digest: Option<Digest>,
}

impl From<WrittenImage> for Placed {
    fn from(written: WrittenImage) -> Self {
        Self { layer: written.layer, manifest_digest: None }
    }
}

/// Names the file in an error of writing it.
fn with_path(error: ArchiveError, out: &AtomicFile) -> Error {
    match error {
        ArchiveError::Io(error) => Error::Output(out.error(error)),
        other => other.into(),
    }
}

/// Runs file work beside the event loop.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // The work does not panic by design and is never aborted; if it does, the panic goes on here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
