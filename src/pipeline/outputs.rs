//! Owns where results go: each output gets the image, or the index, through its sink, and what one learns serves the
//! next. Outputs that take all images are `index`.

use std::path::{Path, PathBuf};

use super::build::{Told, Work};
use super::layer_memo::{CachedBase, CachedLayer};
use super::stage::{Assembled, AssembledImage, StageWork, UsedContainer};
use crate::engine::docker::{DockerContainer, PlannedCommit};
use crate::error::Error;
use crate::events::Step;
use crate::fs::AtomicFile;
use crate::image::compression::{WrittenBlob, all_cores};
use crate::image::layer::WrittenLayer;
use crate::image::{Digest, ImageConfig, ImageReference};
use crate::plan::{PlannedOutput, Takes};
use crate::store::archive::{ArchiveError, LayerFile, unpack_for_archive, write_archive, write_from_files};
use crate::store::daemon::{PublishContext, ResolveOptions};
use crate::store::layout::{Layout, WrittenLayout};
use crate::store::registry::PublishOptions;
use crate::store::{BaseImage, BaseLayers, CompressedLayer, UnfinishedImage, WrittenImage};
use crate::transport::Transport;

/// What the outputs told.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) index: Told,
    /// Of each image.
    pub(crate) images: Vec<Told>,
}

impl Work<'_> {
    /// Writes every output, in one pass each; a layer that is known is read only by a sink that lacks it.
    pub(crate) async fn write(
        &self,
        assembled: &[Assembled<'_>],
        layers: &mut [CachedLayer<'_>],
    ) -> Result<Written, Error> {
        let mut written = Written { index: Told::default(), images: Vec::new() };
        written.images.resize_with(assembled.len(), Told::default);
        // Publishing a committed image in the daemon removes it, so the daemon comes last.
        let is_last = |planned: &&PlannedOutput| match planned.takes {
            Takes::Image { stage } => {
                planned.output == Transport::Docker
                    && matches!(assembled[stage].image, AssembledImage::Committed { .. })
            }
            Takes::Index => false,
        };
        let (last, first): (Vec<_>, Vec<_>) = self.prepared.plan.outputs.iter().partition(is_last);
        for PlannedOutput { output, takes } in first.into_iter().chain(last) {
            match *takes {
                Takes::Image { stage } => {
                    let digest = assembled[stage].write(output, layers).await?;
                    written.images[stage].tell(output, digest);
                }
                Takes::Index => {
                    let all = self.write_index(output, assembled, layers).await?;
                    written.index.tell(output, Some(all.index));
                    for (told, digest) in written.images.iter_mut().zip(all.images) {
                        told.tell(output, Some(digest));
                    }
                }
            }
        }
        for one in assembled {
            one.remove_unpublished().await?;
        }
        Ok(written)
    }
}

impl Assembled<'_> {
    /// Writes the image to one output, and gives the digest of its manifest there.
    async fn write(
        &self,
        output: &Transport,
        layers: &mut [CachedLayer<'_>],
    ) -> Result<Option<Digest>, Error> {
        match &self.image {
            AssembledImage::Unfinished { image, layer } => {
                let known = &mut layers[*layer];
                let written = self.stage.write_unfinished(output, image, known).await?;
                if let Some(layer) = written.layer {
                    known.remember(layer);
                }
                Ok(written.manifest_digest)
            }
            AssembledImage::Committed { id, config } => self.stage.write_committed(output, id, config).await,
            AssembledImage::InContainer { commit, id, .. } => {
                let Some(UsedContainer::Docker(container)) = &self.container else {
                    return Err(Error::NoOutput);
                };
                let committed = self.stage.commit_as_image(container, commit).await?;
                id.get_or_init(|| committed);
                Ok(None)
            }
        }
    }

    /// Takes out of the daemon what was committed there and is to stay elsewhere only.
    async fn remove_unpublished(&self) -> Result<(), Error> {
        let AssembledImage::Committed { id, .. } = &self.image else { return Ok(()) };
        let here = Takes::Image { stage: self.stage.index };
        let mut outputs = self.stage.work.prepared.plan.outputs.iter();
        if !outputs.any(|planned| planned.output == Transport::Docker && planned.takes == here) {
            self.stage.work.daemon()?.remove_image(id).await?;
        }
        Ok(())
    }
}

impl StageWork<'_> {
    async fn write_unfinished(
        &self,
        output: &Transport,
        image: &UnfinishedImage,
        known: &mut CachedLayer<'_>,
    ) -> Result<Placed, Error> {
        Ok(match output {
            Transport::Docker => self.publish(image, known).await?,
            Transport::DockerArchive { path } => self.write_archive(image, path).await?.into(),
            Transport::Registry => self.push(image, known).await?,
            Transport::OciDirectory { path } => self.write_layout(image, known, path, false).await?,
            Transport::OciArchive { path } => self.write_layout(image, known, path, true).await?,
        })
    }

    /// Writes what an engine committed in the daemon, with its final config.
    async fn write_committed(
        &self,
        output: &Transport,
        id: &str,
        config: &ImageConfig,
    ) -> Result<Option<Digest>, Error> {
        let files = match output {
            Transport::Docker => Vec::new(),
            _ => self.committed_files(id, config).await?,
        };
        let written = match output {
            Transport::Docker => {
                let context = self.publish_context();
                self.work.daemon()?.publish_committed(id, config, self.tags(), &context).await?;
                return Ok(None);
            }
            Transport::DockerArchive { path } => {
                self.write_committed_archive(config, files, path).await?;
                return Ok(None);
            }
            Transport::OciDirectory { path } => {
                self.write_committed_layout(config, files, path, false).await?
            }
            Transport::OciArchive { path } => self.write_committed_layout(config, files, path, true).await?,
            Transport::Registry => self.push_committed(config, files).await?,
        };
        Ok(Some(written.manifest.digest))
    }

    /// Commits the container in the daemon, as the image.
    async fn commit_as_image(
        &self,
        container: &DockerContainer,
        commit: &PlannedCommit,
    ) -> Result<Digest, Error> {
        let subject = self.tags().first().map_or_else(String::new, ImageReference::familiar);
        let step = self.work.session.events.start(Step::Write, subject, None);
        let id = container.commit_as(commit, self.tags(), &self.stage.image.edits.history).await?;
        step.finish("committed by the daemon");
        Ok(id)
    }

    /// All layers of what an engine committed, as files.
    pub(crate) async fn committed_files(
        &self,
        id: &str,
        config: &ImageConfig,
    ) -> Result<Vec<LayerFile>, Error> {
        let export = || self.export(id, config, id);
        Ok(self.exported.get_or_try_init(export).await?.clone())
    }

    fn tags(&self) -> &[ImageReference] {
        &self.work.prepared.plan.tags
    }

    /// Puts it into the daemon.
    async fn publish(&self, image: &UnfinishedImage, known: &CachedLayer<'_>) -> Result<Placed, Error> {
        let image = self.on_daemon(image).await?;
        let context = self.publish_context();
        Ok(self.work.daemon()?.publish(&image, known.layer, self.tags(), &context).await?.into())
    }

    /// The same image on the base as the daemon has it: a daemon takes layers that it has by their diff IDs.
    async fn on_daemon(&self, image: &UnfinishedImage) -> Result<UnfinishedImage, Error> {
        let BaseLayers::Described(_) = &image.base.layers else { return Ok(image.clone()) };
        let options = ResolveOptions {
            platform: Some(self.stage.platform.clone()),
            pull: self.work.request.pull,
            offline: self.work.request.offline,
            credential_files: self.work.session.host.daemon.credential_files.clone(),
        };
        let reference = self.base_reference().ok_or(Error::NoDaemon)?;
        let reference = match image.base.manifest_digest {
            // The very image that the registry gave, whatever its tag means by now.
            Some(digest) => reference.with_digest(digest),
            None => reference.clone(),
        };
        let found = self.work.daemon()?.resolve(&reference, &options, &self.work.session.events).await?;
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
    async fn push(&self, image: &UnfinishedImage, known: &mut CachedLayer<'_>) -> Result<Placed, Error> {
        let compression = self.work.request.compression;
        let format = image.manifest_format();
        let memo = self.work.session.memo(!self.work.request.ignore_memo)?;
        let known_base = CachedBase::find(memo, &image.base, compression, format);
        let options = PublishOptions {
            known_base: known_base.blob.clone(),
            encode: CompressedLayer::encode(compression, all_cores()),
            known: known.blob(compression, format).map(|blob| (blob.layer, blob.descriptor)),
        };
        let published = self.work.session.registries()?.publish(image, self.tags(), &options).await?;
        known_base.remember(published.base.as_ref(), self.work.prepared.lease.temporary_directory());
        let blob = WrittenBlob { layer: published.layer, descriptor: published.blob };
        known.remember_blob(&blob, compression, format);
        Ok(Placed { layer: Some(blob.layer), manifest_digest: Some(published.manifest.digest) })
    }

    /// The layers of a base that is in a daemon, as files.
    pub(crate) async fn base_files(&self, image: &UnfinishedImage) -> Result<Vec<LayerFile>, Error> {
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
            lease: self.work.prepared.lease.id().to_owned(),
            spool_directory: self.work.prepared.lease.temporary_directory().to_owned(),
            events: self.work.session.events.clone(),
        }
    }
    async fn write_archive(&self, image: &UnfinishedImage, path: &Path) -> Result<WrittenImage, Error> {
        let step = self.work.session.events.start(Step::Write, path.display().to_string(), None);
        let files = match &image.base.layers {
            BaseLayers::Described(_) => self.unpack_for_archive(&image.base).await?,
            _ => self.base_files(image).await?,
        };
        let (image, tags) = (image.clone(), self.tags().to_vec());
        let (path, lease) = (path.to_owned(), self.work.prepared.lease.clone());
        let written = blocking(move || {
            // Opening a pipe waits for its reader.
            let mut out = AtomicFile::create(&path, None, &lease).map_err(Error::Output)?;
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
        let directory = self.work.prepared.lease.temporary_directory().join(format!("layers-{}", self.index));
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
        Ok(self.work.daemon()?.layers(image_id, &wanted, &directory).await?)
    }

    async fn write_committed_archive(
        &self,
        config: &ImageConfig,
        files: Vec<LayerFile>,
        path: &Path,
    ) -> Result<(), Error> {
        let (config, tags) = (config.clone(), self.tags().to_vec());
        let (path, lease) = (path.to_owned(), self.work.prepared.lease.clone());
        blocking(move || {
            let mut out = AtomicFile::create(&path, None, &lease).map_err(Error::Output)?;
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
        let directory = self.work.prepared.lease.temporary_directory().join(format!("push-{}", self.index));
        let written = self.write_committed_layout(config, files, &directory, false).await?;
        let blobs = Layout::open(&directory)?.blobs();
        self.work.session.registries()?.copy(&written.manifest, &blobs, self.tags()).await?;
        Ok(written)
    }
}

/// What one output learned.
pub(crate) struct Placed {
    pub(crate) layer: Option<WrittenLayer>,
    pub(crate) manifest_digest: Option<Digest>,
}

impl From<WrittenImage> for Placed {
    fn from(written: WrittenImage) -> Self {
        Self { layer: written.layer, manifest_digest: None }
    }
}

/// Names the file in an error of writing it.
pub(crate) fn with_path(error: ArchiveError, out: &AtomicFile) -> Error {
    match error {
        ArchiveError::Io(error) => Error::Output(out.error(error)),
        other => other.into(),
    }
}

/// Runs file work beside the event loop.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // The work does not panic by design and is never aborted; if it does, the panic goes on here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
