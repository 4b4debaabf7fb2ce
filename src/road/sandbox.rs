//! Owns handing a base image to the sandbox: its layers as the tars that are in them.

use std::io::{self, Read};
use std::sync::Arc;

use super::Error;
use super::stage::StageWork;
use crate::engine::sandbox::{ImageLayer, SandboxEngine, SandboxImage, SandboxSettings};
use crate::image::compression::{DecompressionLimit, decompress};
use crate::image::layer::{Content, Layer};
use crate::image::{Descriptor, LayerCompression};
use crate::store::{BaseImage, BaseLayers, BlobSource, BlockingBlobs};

impl StageWork<'_> {
    /// Makes the engine for containers of `base`.
    pub(super) fn sandbox(&self, base: &BaseImage, allow_root: bool) -> Result<SandboxEngine, Error> {
        let lease = &self.work.prepared.lease;
        let settings = SandboxSettings {
            program: self.work.surroundings.program.clone(),
            cache: lease.cache().clone(),
            temporary: lease.temporary_directory().to_owned(),
            date: self.stage.date,
            allow_root,
        };
        Ok(SandboxEngine::new(settings, sandbox_image(base)?, self.work.surroundings.events.clone()))
    }
}

/// The image as the sandbox takes it.
pub(super) fn sandbox_image(base: &BaseImage) -> Result<SandboxImage, Error> {
    let invalid = |source| Error::Config { base: base.name.clone(), source };
    let diff_ids = base.config.diff_ids().map_err(invalid)?;
    let tars = tars(&base.layers);
    let layers = diff_ids.into_iter().zip(tars).map(|(diff_id, tar)| ImageLayer { diff_id, tar }).collect();
    Ok(SandboxImage { name: base.name.clone(), config: base.config.clone(), layers })
}

fn tars(layers: &BaseLayers) -> Vec<Arc<dyn Content>> {
    match layers {
        BaseLayers::Described(described) => {
            let tar = |blob: &Descriptor| -> Arc<dyn Content> {
                Arc::new(BlobTar { blobs: described.blobs.clone(), blob: blob.clone() })
            };
            described.descriptors.iter().map(tar).collect()
        }
        BaseLayers::BuiltIn(layer) => vec![Arc::new(LayerTar(layer.clone()))],
        BaseLayers::Daemon { .. } | BaseLayers::Scratch => Vec::new(),
    }
}

/// The tar in a blob. It is opened on a thread that may wait.
struct BlobTar {
    blobs: Arc<dyn BlobSource>,
    blob: Descriptor,
}

impl Content for BlobTar {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        let compression = LayerCompression::of_media_type(&self.blob.media_type).ok_or_else(|| {
            let text = format!("`{}` is no layer that can be unpacked", self.blob.media_type);
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        let blob = BlockingBlobs::new(self.blobs.clone())?.open(&self.blob).map_err(io::Error::other)?;
        decompress(compression, blob, DecompressionLimit::default())
    }
}

/// The tar of the built-in base: small, so it is made in memory.
struct LayerTar(Layer);

impl Content for LayerTar {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        let mut tar = Vec::new();
        self.0.write_to(&mut tar)?;
        Ok(Box::new(io::Cursor::new(tar)))
    }
}
