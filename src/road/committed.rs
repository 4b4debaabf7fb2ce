//! Owns where an image goes that an engine committed: its layers are in the daemon, and leave it as files.

use std::path::Path;
use std::sync::Arc;

use super::Error;
use super::build::Work;
use super::outputs::{blocking, with_path};
use crate::events::Step;
use crate::fs::AtomicFile;
use crate::image::{Digest, ImageConfig, ImageReference};
use crate::request::Output;
use crate::store::archive::{LayerFile, write_from_files};
use crate::store::daemon::Daemon;
use crate::store::layout::{
    Layout, LayoutImage, LayoutOptions, WrittenLayout, write_layout, write_layout_archive,
};

impl Work<'_> {
    /// Writes a committed image with its final config to every output, and gives the digest of its manifest, if one
    /// was written.
    pub(super) async fn write_committed(
        &self,
        daemon: &Daemon,
        image_id: &str,
        config: &ImageConfig,
    ) -> Result<Option<Digest>, Error> {
        let mut manifest_digest = None;
        // The daemon last: publishing there removes the committed image.
        for output in self.stage.outputs.iter().filter(|output| **output != Output::Docker) {
            let files = self.export(image_id, config, image_id).await?;
            let written = match output {
                Output::Docker => None,
                Output::DockerArchive { path } => {
                    self.write_committed_archive(config, files, path).await?;
                    None
                }
                Output::OciDirectory { path } => {
                    Some(self.write_committed_layout(config, files, path, Form::Directory).await?)
                }
                Output::OciArchive { path } => {
                    Some(self.write_committed_layout(config, files, path, Form::Archive).await?)
                }
                Output::Registry => Some(self.push_committed(config, files).await?),
            };
            manifest_digest = written.map(|written| written.manifest.digest).or(manifest_digest);
        }
        if self.stage.outputs.contains(&Output::Docker) {
            let context = self.publish_context();
            daemon.publish_committed(image_id, config, &self.stage.tags, &context).await?;
        } else {
            daemon.remove_image(image_id).await?;
        }
        Ok(manifest_digest)
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

    async fn write_committed_layout(
        &self,
        config: &ImageConfig,
        files: Vec<LayerFile>,
        path: &Path,
        form: Form,
    ) -> Result<WrittenLayout, Error> {
        let step = self.surroundings.events.start(Step::Write, path.display().to_string(), None);
        let options = LayoutOptions {
            tags: self.stage.tags.clone(),
            compression: self.request.compression,
            ..LayoutOptions::default()
        };
        let (config, annotations) = (config.clone(), self.stage.image.annotations.clone());
        let (path, lease) = (path.to_owned(), Arc::clone(&self.prepared.lease));
        let written = blocking(move || {
            let image = LayoutImage::Committed { config: &config, annotations: &annotations };
            if form == Form::Directory {
                return Ok(write_layout(image, &files, &options, &path, &lease)?);
            }
            let mut out = AtomicFile::create(&path, None, &lease).map_err(Error::Output)?;
            let written = write_layout_archive(image, &files, &options, &mut out)?;
            out.commit().map_err(Error::Output)?;
            Ok(written)
        });
        let written = written.await?;
        step.finish("");
        Ok(written)
    }

    /// Pushes it by way of a layout: a registry wants digests before bytes, and its layers are files anyway.
    async fn push_committed(
        &self,
        config: &ImageConfig,
        files: Vec<LayerFile>,
    ) -> Result<WrittenLayout, Error> {
        let path = self.prepared.lease.temporary_directory().join("pushed");
        let written = self.write_committed_layout(config, files, &path, Form::Directory).await?;
        let layout = blocking(move || Ok(Layout::open(&path)?)).await?;
        self.surroundings.registries()?.copy(&written.manifest, &layout.blobs(), &self.stage.tags).await?;
        Ok(written)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Directory,
    Archive,
}
