//! Owns archives for `docker load` as an image sink: one image in one file. Must not know the archive's format.

use std::path::PathBuf;
use std::sync::Arc;

use super::write::{BaseLayers, write_image};
use super::{ArchiveError, Form};
use crate::blocking::blocking;
use crate::events::{Events, Step};
use crate::fs::{AtomicFile, Lease, file_size};
use crate::image::ImageReference;
use crate::store::{Content, LayerBlobs, Sink, Written, WrittenImage};

pub struct ArchiveSink {
    /// A pipe is written in one pass.
    pub path: PathBuf,
    pub lease: Arc<Lease>,
    pub events: Events,
}

impl Sink for ArchiveSink {
    type Error = ArchiveError;

    async fn write(
        &self,
        content: Content<'_>,
        names: &[ImageReference],
        _: &LayerBlobs,
    ) -> Result<Written, ArchiveError> {
        let step = self.events.start(Step::Write, self.path.display().to_string(), None);
        let image = content.single_image().clone();
        let (path, lease) = (self.path.clone(), self.lease.clone());
        let names = names.iter().map(ImageReference::familiar).collect::<Vec<_>>();
        let (written, size) = blocking(move || {
            let directory = lease.create_temporary_directory("archive")?;
            // Opening a pipe waits for its reader.
            let mut out = AtomicFile::create(&path, None, &lease)?;
            let written = write_image(&image, BaseLayers::All(&directory), Form::Docker, &names, &mut out);
            let (layers, config) = written.map_err(|error| error.of_file(&out))?;
            for (new, layer) in image.new.iter().zip(&layers) {
                new.remember(*layer);
            }
            out.commit()?;
            let size = file_size(&path);
            let (image_id, blobs) = (config.image_id, Vec::new());
            Ok::<_, ArchiveError>((WrittenImage { image_id, layers, manifest: None, blobs }, size))
        })
        .await?;
        let step = if let Some(size) = size { step.sized(size) } else { step };
        step.finish("");
        Ok(Written { root: None, images: vec![written] })
    }
}
