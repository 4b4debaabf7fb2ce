//! Owns handing images to the sandbox, a base for a script and the result for `--run`: layers as the tars in them.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::build::Work;
use super::layer_memo::CachedLayer;
use super::stage::{Assembled, AssembledImage, StageWork};
use crate::engine::sandbox::{ImageLayer, SandboxEngine, SandboxImage, SandboxSettings};
use crate::error::Error;
use crate::fs::Lease;
use crate::image::compression::{DecompressionLimit, decompress};
use crate::image::layer::{Content, Layer};
use crate::image::{Descriptor, ImageReference, LayerCompression};
use crate::session::Session;
use crate::store::archive::LayerFile;
use crate::store::{BaseImage, BaseLayers, BlobSource, BlockingBlobs};
use crate::stream::{pump, stream_to_reader, writer_to_stream};
use crate::transport::Transport;

impl StageWork<'_> {
    /// Makes the engine for containers of `base`.
    pub(crate) fn sandbox(&self, base: &BaseImage, allow_root: bool) -> Result<SandboxEngine, Error> {
        let Work { session, prepared, .. } = self.work;
        let settings = sandbox_settings(session, &prepared.lease, self.stage.date, allow_root);
        Ok(SandboxEngine::new(settings, sandbox_image(base)?, session.events.clone()))
    }
}

impl Assembled<'_> {
    /// What `--run` starts in the sandbox, if it is asked for and no daemon gets the image.
    pub(crate) async fn runnable(&self, layers: &[CachedLayer<'_>]) -> Result<Option<RunnableImage>, Error> {
        let work = self.stage.work;
        let outputs = &work.prepared.plan.outputs;
        if !work.request.run || outputs.iter().any(|planned| planned.output == Transport::Docker) {
            return Ok(None);
        }
        let (config, below, new_layer) = match &self.image {
            AssembledImage::Unfinished { image, layer } => {
                let written = layers[*layer].layer.ok_or(Error::NoOutput)?;
                let below = match &image.base.layers {
                    BaseLayers::Daemon { .. } => {
                        self.stage.base_files(image).await?.into_iter().map(file_layer).collect()
                    }
                    _ => sandbox_image(&image.base)?.layers,
                };
                let tar = Arc::new(LayerTar(image.layer.clone()));
                ((image.finish)(&written), below, ImageLayer { diff_id: written.diff_id, tar })
            }
            AssembledImage::InContainer { .. } => return Ok(None),
            AssembledImage::Committed { id, config } => {
                let files = self.stage.committed_files(id, config).await?;
                let mut layers: Vec<ImageLayer> = files.into_iter().map(file_layer).collect();
                let new_layer = layers.pop().ok_or(Error::NoOutput)?;
                (config.clone(), layers, new_layer)
            }
        };
        let name = work.prepared.plan.tags.first();
        let name = name.map_or_else(|| config.digest().to_string(), ImageReference::familiar);
        let limits = &work.request.limits;
        Ok(Some(RunnableImage {
            image: SandboxImage { name, config, layers: below },
            new_layer,
            network: limits.network.clone(),
            allow_root: limits.allow_root_sandbox,
        }))
    }
}

/// An image that was built, as the sandbox starts it.
#[derive(Clone, Debug)]
pub struct RunnableImage {
    /// Its config, and the layers that it shares with others.
    pub(crate) image: SandboxImage,
    /// The layer that is its own.
    pub(crate) new_layer: ImageLayer,
    /// Network of the program; none means no network.
    pub(crate) network: Option<String>,
    /// Whether real root may do without a user namespace.
    pub(crate) allow_root: bool,
}

/// How this run uses the sandbox; `date` is that of a script's files.
pub(crate) fn sandbox_settings(
    session: &Session,
    lease: &Lease,
    date: u64,
    allow_root: bool,
) -> SandboxSettings {
    SandboxSettings {
        program: session.host.program.clone(),
        cache: lease.cache().clone(),
        temporary: lease.temporary_directory().to_owned(),
        date,
        allow_root,
    }
}

/// The image as the sandbox takes it.
pub(crate) fn sandbox_image(base: &BaseImage) -> Result<SandboxImage, Error> {
    let invalid = |source| Error::Config { base: base.name.clone(), source };
    let diff_ids = base.config.diff_ids().map_err(invalid)?;
    let tars = tars(&base.layers);
    let layers = diff_ids.into_iter().zip(tars).map(|(diff_id, tar)| ImageLayer { diff_id, tar }).collect();
    Ok(SandboxImage { name: base.name.clone(), config: base.config.clone(), layers })
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
