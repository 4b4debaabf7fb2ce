//! Owns the outputs that are OCI layouts: directories and archives.

use std::path::Path;

use super::layer_memo::CachedLayer;
use super::outputs::{Placed, blocking};
use super::stage::StageWork;
use crate::error::Error;
use crate::events::Step;
use crate::fs::AtomicFile;
use crate::image::compression::WrittenBlob;
use crate::image::{ImageConfig, ManifestFormat};
use crate::store::UnfinishedImage;
use crate::store::archive::LayerFile;
use crate::store::layout::{LayoutImage, LayoutOptions, WrittenLayout, write_layout, write_layout_archive};

impl StageWork<'_> {
    /// Writes an image into a layout.
    pub(crate) async fn write_layout(
        &self,
        image: &UnfinishedImage,
        known: &mut CachedLayer<'_>,
        path: &Path,
        is_archive: bool,
    ) -> Result<Placed, Error> {
        let compression = self.work.request.compression;
        let files = self.base_files(image).await?;
        let image = image.clone();
        let blob = known.blob(compression, ManifestFormat::Oci);
        let written =
            self.lay_out(path, is_archive, blob, files, move |write| write((&image).into())).await?;
        if let Some(blob) = &written.blob {
            known.remember_blob(blob, compression, ManifestFormat::Oci);
        }
        Ok(Placed { layer: written.image.layer, manifest_digest: Some(written.manifest.digest) })
    }

    /// Writes an image that an engine made; `files` are all its layers.
    pub(crate) async fn write_committed_layout(
        &self,
        config: &ImageConfig,
        files: Vec<LayerFile>,
        path: &Path,
        is_archive: bool,
    ) -> Result<WrittenLayout, Error> {
        let (config, annotations) = (config.clone(), self.stage.image.annotations.clone());
        self.lay_out(path, is_archive, None, files, move |write| {
            write(LayoutImage::Committed { config: &config, annotations: &annotations })
        })
        .await
    }

    async fn lay_out(
        &self,
        path: &Path,
        is_archive: bool,
        known: Option<WrittenBlob>,
        files: Vec<LayerFile>,
        with_image: impl FnOnce(&mut Write<'_>) -> Result<WrittenLayout, Error> + Send + 'static,
    ) -> Result<WrittenLayout, Error> {
        let step = self.work.session.events.start(Step::Write, path.display().to_string(), None);
        let options = LayoutOptions {
            tags: self.work.prepared.plan.tags.clone(),
            compression: self.work.request.compression,
            known,
            ..LayoutOptions::default()
        };
        let (path, lease) = (path.to_owned(), self.work.prepared.lease.clone());
        let written = blocking(move || {
            if !is_archive {
                return with_image(&mut |image| Ok(write_layout(image, &files, &options, &path, &lease)?));
            }
            let mut out = AtomicFile::create(&path, None, &lease).map_err(Error::Output)?;
            let written =
                with_image(&mut |image| Ok(write_layout_archive(image, &files, &options, &mut out)?))?;
            out.commit().map_err(Error::Output)?;
            Ok(written)
        });
        let written = written.await?;
        step.sized(written.blob.as_ref().map_or(0, |blob| blob.descriptor.size)).finish("");
        Ok(written)
    }
}

/// Writes the image that it is given.
type Write<'a> = dyn FnMut(LayoutImage<'_>) -> Result<WrittenLayout, Error> + 'a;
