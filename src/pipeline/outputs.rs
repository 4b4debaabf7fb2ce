//! Owns writing the outputs through their sinks. A sink reuses the layer digests of the one before it.
//!
//! Must not decide what an output receives; the plan does.

use std::sync::Arc;

use super::build::{ReportedDigest, Work};
use super::stage::{Assembled, StageResult, StageWork};
use crate::blocking::blocking;
use crate::error::Error;
use crate::events::Step;
use crate::fs::Lease;
use crate::image::{BaseImage, Image, ImageReference, LayerFile, LayerSource};
use crate::plan::{BaseSource, PlannedOutput, Takes};
use crate::session::Session;
use crate::store::archive::{ArchiveError, ArchiveSink};
use crate::store::daemon::{Daemon, DaemonSink, PublishContext, ResolveOptions};
use crate::store::layout::LayoutSink;
use crate::store::registry::RegistrySink;
use crate::store::{Content, LayerBlobs, Sink, Written};
use crate::transport::Transport;

/// Digests of manifests in the outputs.
pub(crate) struct ManifestDigests {
    pub(crate) index: ReportedDigest,
    /// One for each image.
    pub(crate) images: Vec<ReportedDigest>,
}

/// The sinks of one run.
pub(crate) struct Sinks<'a> {
    pub(crate) session: &'a Session,
    pub(crate) lease: &'a Arc<Lease>,
    pub(crate) daemon: Option<&'a Daemon>,
}

impl Sinks<'_> {
    /// Writes to the sink of `transport`.
    pub(crate) async fn write(
        &self,
        transport: &Transport,
        content: Content<'_>,
        names: &[ImageReference],
        blobs: &LayerBlobs,
    ) -> Result<Written, Error> {
        let (lease, events) = (self.lease.clone(), self.session.events.clone());
        Ok(match transport.clone() {
            Transport::Docker => {
                let daemon = self.daemon.ok_or(Error::NoDaemon)?.clone();
                let spool_directory = lease.temporary_directory().to_owned();
                let context = PublishContext { lease: lease.id().to_owned(), spool_directory, events };
                DaemonSink { daemon, context }.write(content, names, blobs).await?
            }
            Transport::Registry => {
                let registries = self.session.registries()?;
                RegistrySink { registries, lease }.write(content, names, blobs).await?
            }
            Transport::DockerArchive { path } => {
                ArchiveSink { path, lease, events }.write(content, names, blobs).await?
            }
            Transport::OciDirectory { path } => {
                let sink = LayoutSink { path, is_archive: false, lease, events };
                sink.write(content, names, blobs).await?
            }
            Transport::OciArchive { path } => {
                let sink = LayoutSink { path, is_archive: true, lease, events };
                sink.write(content, names, blobs).await?
            }
        })
    }
}

impl Work<'_> {
    /// Writes every output in one pass. A sink reads a layer with a known digest only if it lacks the layer.
    pub(crate) async fn write(&self, assembled: &[Assembled<'_>]) -> Result<ManifestDigests, Error> {
        let mut digests = ManifestDigests { index: ReportedDigest::default(), images: Vec::new() };
        digests.images.resize_with(assembled.len(), ReportedDigest::default);
        // Naming a committed image in the daemon replaces the unnamed one, so the daemon comes last.
        let is_last = |planned: &&PlannedOutput| match planned.takes {
            Takes::Image { stage } => planned.output.is_daemon() && assembled[stage].committed_id().is_some(),
            Takes::Index => false,
        };
        let (last, first): (Vec<_>, Vec<_>) = self.prepared.plan.outputs.iter().partition(is_last);
        let temporary = self.prepared.lease.temporary_directory().to_owned();
        let memo = self.session.memo(!self.request.ignore_memo)?;
        let blobs = LayerBlobs::new(self.request.compression).with_memo(memo, temporary);
        for PlannedOutput { output, takes } in first.into_iter().chain(last) {
            let chosen = match *takes {
                Takes::Image { stage } => &assembled[stage..=stage],
                Takes::Index => assembled,
            };
            let written = self.write_output(output, chosen, &blobs).await?;
            let root = written.root.map(|root| root.digest);
            match *takes {
                Takes::Image { stage } => digests.images[stage].update(output, root),
                Takes::Index => {
                    digests.index.update(output, root);
                    for (digest, image) in digests.images.iter_mut().zip(&written.images) {
                        digest.update(output, image.manifest.as_ref().map(|manifest| manifest.digest));
                    }
                }
            }
            assembled.iter().for_each(Assembled::remember);
        }
        for one in assembled {
            one.remove_unpublished().await?;
            one.measure().await?;
        }
        Ok(digests)
    }

    async fn write_output(
        &self,
        output: &Transport,
        chosen: &[Assembled<'_>],
        blobs: &LayerBlobs,
    ) -> Result<Written, Error> {
        let mut images = Vec::new();
        for one in chosen {
            match &one.image {
                StageResult::InContainer { .. } => {
                    one.commit_as_image().await?;
                    return Ok(Written { root: None, images: Vec::new() });
                }
                StageResult::Image(image) if output.is_daemon() => {
                    images.push(one.stage.on_daemon(image).await?);
                }
                StageResult::Image(image) => images.push(one.stage.with_files(image).await?),
            }
        }
        let (session, lease) = (self.session, &self.prepared.lease);
        let sinks = Sinks { session, lease, daemon: self.prepared.daemon.as_ref() };
        sinks.write(output, Content::Images(&images), &self.prepared.plan.tags, blobs).await
    }
}

impl Assembled<'_> {
    /// Computes the digests of layers that no output has received: the image is only run.
    async fn measure(&self) -> Result<(), Error> {
        let StageResult::Image(image) = &self.image else { return Ok(()) };
        for layer in image.new.iter().filter(|layer| layer.written().is_none()) {
            let unwritten = layer.clone();
            let written = blocking(move || unwritten.layer().write_to(std::io::sink())).await;
            layer.remember(written.map_err(ArchiveError::from)?);
        }
        Ok(())
    }

    fn committed_id(&self) -> Option<&str> {
        match &self.image {
            StageResult::Image(image) => image.committed_id(),
            StageResult::InContainer { .. } => None,
        }
    }

    /// Removes a committed image from the daemon if the daemon is not an output.
    async fn remove_unpublished(&self) -> Result<(), Error> {
        let Some(id) = self.committed_id() else { return Ok(()) };
        let here = Takes::Image { stage: self.stage.index };
        let mut outputs = self.stage.work.prepared.plan.outputs.iter();
        if !outputs.any(|planned| planned.output.is_daemon() && planned.takes == here) {
            self.stage.work.daemon()?.remove_image(id).await?;
        }
        Ok(())
    }

    /// Commits the container as the image in the daemon.
    async fn commit_as_image(&self) -> Result<(), Error> {
        let StageResult::InContainer { commit, id, .. } = &self.image else { return Err(Error::NoOutput) };
        let work = self.stage.work;
        let tags = &work.prepared.plan.tags;
        let subject = tags.first().map_or_else(String::new, ImageReference::familiar);
        let step = work.session.events.start(Step::Write, subject, None);
        let committed = commit.commit(tags, &self.stage.stage.image.edits.history).await?;
        step.finish("committed by the daemon");
        id.get_or_init(|| committed);
        Ok(())
    }
}

impl StageWork<'_> {
    /// Moves the image to the daemon's copy of the base. The daemon finds its layers by their diff IDs.
    async fn on_daemon(&self, image: &Image) -> Result<Image, Error> {
        let is_blob = |layer: &LayerSource| matches!(layer, LayerSource::Blob(..));
        // The daemon does not have the image of a file, nor that of a layout among the mirrors.
        if self.stage.builder.base_source != BaseSource::Registry || !image.base.layers.iter().any(is_blob) {
            return Ok(image.clone());
        }
        let options = ResolveOptions {
            platform: Some(self.stage.platform.clone()),
            pull: self.work.request.pull,
            offline: self.work.request.offline,
            credential_files: self.work.session.host.daemon.credential_files.clone(),
        };
        let base = self.image.selection.base();
        let reference = base.reference().ok_or(Error::NoDaemon)?;
        let reference = match image.base.manifest_digest {
            // The exact image from the registry: its tag may have moved.
            Some(digest) => reference.with_digest(digest),
            None => reference.clone(),
        };
        let found = self.work.daemon()?.resolve(&reference, &options, &self.work.session.events).await?;
        if image.base.diff_ids()? != found.diff_ids()? {
            return Err(Error::OtherBase { base: image.base.name.clone() });
        }
        let base = BaseImage { layers: found.layers, image_id: found.image_id, ..image.base.clone() };
        Ok(Image { base, ..image.clone() })
    }

    /// Exports the daemon's layers of the base to files.
    pub(crate) async fn with_files(&self, image: &Image) -> Result<Image, Error> {
        let Some(image_id) = &image.base.image_id else { return Ok(image.clone()) };
        let files = self.exported.get_or_try_init(|| self.export(image_id, &image.base)).await?;
        Ok(Image { base: image.base.clone().with_files(files), ..image.clone() })
    }

    async fn export(&self, image_id: &str, base: &BaseImage) -> Result<Vec<LayerFile>, Error> {
        let name = format!("layers-{}", self.index);
        let directory = self.work.prepared.lease.create_temporary_directory(&name)?;
        let found = self.work.session.found_daemon();
        let daemon = self.work.prepared.daemon.as_ref().or(found.as_ref()).ok_or(Error::NoDaemon)?;
        Ok(daemon.layers(image_id, &base.diff_ids()?, &directory).await?)
    }
}
