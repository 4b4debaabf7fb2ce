//! Owns handing images to the sandbox, a base for a script and the result for `--run`: layers as the tars in them.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::build::Work;
use super::{Error, Surroundings};
use crate::engine::sandbox::{ImageLayer, SandboxEngine, SandboxImage, SandboxSettings};
use crate::fs::Lease;
use crate::image::compression::{DecompressionLimit, decompress};
use crate::image::layer::{Content, Layer};
use crate::image::{Descriptor, Digest, ImageConfig, ImageReference, LayerCompression};
use crate::request::Output;
use crate::store::archive::LayerFile;
use crate::store::{BaseImage, BaseLayers, BlobSource, BlockingBlobs, UnfinishedImage};
use crate::stream::{pump, stream_to_reader, writer_to_stream};

impl Work<'_> {
    /// Makes the engine for containers of `base`.
    pub(super) fn sandbox(&self, base: &BaseImage, allow_root: bool) -> Result<SandboxEngine, Error> {
        let settings = sandbox_settings(self.surroundings, &self.prepared.lease, self.stage.date, allow_root);
        let layers = base_layers(base)?;
        let image = SandboxImage { name: base.name.clone(), config: base.config.clone(), layers };
        Ok(SandboxEngine::new(settings, image, self.surroundings.events.clone()))
    }

    /// What `--run` starts in the sandbox, if it is asked for and no daemon gets the image.
    pub(super) async fn runnable(
        &self,
        image: &UnfinishedImage,
        diff_id: Digest,
        config: &ImageConfig,
    ) -> Result<Option<RunnableImage>, Error> {
        if !self.runs_in_sandbox() {
            return Ok(None);
        }
        let layers = match &image.base.layers {
            BaseLayers::Daemon { .. } => self.base_files(image).await?.into_iter().map(file_layer).collect(),
            _ => base_layers(&image.base)?,
        };
        let new_layer = ImageLayer { diff_id, tar: Arc::new(LayerTar(image.layer.clone())) };
        Ok(Some(self.runnable_of(config, layers, new_layer)))
    }

    /// The same of an image whose layers are all files.
    pub(super) fn runnable_files(&self, config: &ImageConfig, files: &[LayerFile]) -> Option<RunnableImage> {
        let (new_layer, below) = files.split_last().filter(|_| self.runs_in_sandbox())?;
        let layers = below.iter().cloned().map(file_layer).collect();
        Some(self.runnable_of(config, layers, file_layer(new_layer.clone())))
    }

    fn runs_in_sandbox(&self) -> bool {
        self.request.run && !self.stage.outputs.contains(&Output::Docker)
    }

    fn runnable_of(
        &self,
        config: &ImageConfig,
        layers: Vec<ImageLayer>,
        new_layer: ImageLayer,
    ) -> RunnableImage {
        let name =
            self.stage.tags.first().map_or_else(|| config.digest().to_string(), ImageReference::familiar);
        let limits = &self.request.limits;
        RunnableImage {
            image: SandboxImage { name, config: config.clone(), layers },
            new_layer,
            network: limits.network.clone(),
            allow_root: limits.allow_root_sandbox,
        }
    }
}

/// An image that was built, as the sandbox starts it.
#[derive(Clone, Debug)]
pub struct RunnableImage {
    /// Its config, and the layers that it shares with others.
    pub(super) image: SandboxImage,
    /// The layer that is its own.
    pub(super) new_layer: ImageLayer,
    /// Network of the program; none means no network.
    pub(super) network: Option<String>,
    /// Whether real root may do without a user namespace.
    pub(super) allow_root: bool,
}

/// How this run uses the sandbox; `date` is that of a script's files.
pub(super) fn sandbox_settings(
    surroundings: &Surroundings,
    lease: &Lease,
    date: u64,
    allow_root: bool,
) -> SandboxSettings {
    SandboxSettings {
        program: surroundings.program.clone(),
        cache: lease.cache().clone(),
        temporary: lease.temporary_directory().to_owned(),
        date,
        allow_root,
    }
}

fn base_layers(base: &BaseImage) -> Result<Vec<ImageLayer>, Error> {
    let invalid = |source| Error::Config { base: base.name.clone(), source };
    let diff_ids = base.config.diff_ids().map_err(invalid)?;
    let tars = tars(&base.layers);
    Ok(diff_ids.into_iter().zip(tars).map(|(diff_id, tar)| ImageLayer { diff_id, tar }).collect())
}

fn file_layer(file: LayerFile) -> ImageLayer {
    ImageLayer { diff_id: file.diff_id, tar: Arc::new(FileTar(file.path)) }
}

/// The tar that a file is.
struct FileTar(PathBuf);

impl Content for FileTar {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(File::open(&self.0)?))
    }
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

/// The tar of a layer that is made when it is read.
struct LayerTar(Layer);

impl Content for LayerTar {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        let (mut writer, stream) = writer_to_stream();
        let (sender, reader) = stream_to_reader();
        let layer = self.0.clone();
        let handle = Handle::try_current().map_err(io::Error::other)?;
        // Ends when nobody reads any more.
        handle.spawn_blocking(move || {
            layer.write_undigested(&mut writer)?;
            writer.finish()
        });
        handle.spawn(pump(stream, sender));
        Ok(Box::new(reader))
    }
}
