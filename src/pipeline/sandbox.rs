//! Owns handing images to the sandbox, a base for a script and the result for `--run`: layers as the tars in them.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::stage::{Assembled, AssembledImage};
use crate::engine::sandbox::{ImageLayer, SandboxImage, SandboxSettings};
use crate::error::Error;
use crate::fs::Lease;
use crate::image::compression::{DecompressionLimit, decompress};
use crate::image::layer::{Content, Layer};
use crate::image::{
    BaseImage, BlobSource, BlockingBlobs, Descriptor, Digest, ImageReference, LayerCompression, LayerSource,
};
use crate::session::Session;
use crate::stream::{pump, stream_to_reader, writer_to_stream};

impl Assembled<'_> {
    /// What `--run` starts in the sandbox, if it is asked for and no daemon gets the image.
    pub(crate) async fn runnable(&self) -> Result<Option<RunnableImage>, Error> {
        let work = self.stage.work;
        if !work.request.run || work.prepared.plan.writes_to_daemon() {
            return Ok(None);
        }
        let AssembledImage::Image(image) = &self.image else { return Ok(None) };
        let config = image.finish(&image.written().ok_or(Error::NoOutput)?)?;
        let image = self.stage.with_files(image).await?;
        let new = image.new.into_iter().map(LayerSource::New);
        let sources = image.base.layers.into_iter().chain(new);
        let mut layers = sandbox_layers(&config.diff_ids, sources);
        let new_layer = layers.pop().ok_or(Error::NoOutput)?;
        let name = work.prepared.plan.tags.first();
        let name = name.map_or_else(|| config.image_id.to_string(), ImageReference::familiar);
        let limits = &work.request.limits;
        Ok(Some(RunnableImage {
            image: SandboxImage { name, config: config.config, layers },
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
    let layers = sandbox_layers(&base.diff_ids()?, base.layers.iter().cloned());
    Ok(SandboxImage { name: base.name.clone(), config: base.config.clone(), layers })
}

/// Layers as the tars in them; those of a daemon are not to be had.
fn sandbox_layers(diff_ids: &[Digest], sources: impl Iterator<Item = LayerSource>) -> Vec<ImageLayer> {
    let layer = |(diff_id, source): (&Digest, LayerSource)| {
        let tar: Arc<dyn Content> = match source {
            LayerSource::New(layer) => Arc::new(LayerTar(layer.layer().clone())),
            LayerSource::Blob(blob, blobs) => Arc::new(BlobTar { blobs, blob }),
            LayerSource::File(file) => Arc::new(FileTar(file.path)),
            LayerSource::Daemon => return None,
        };
        Some(ImageLayer { diff_id: *diff_id, tar })
    };
    diff_ids.iter().zip(sources).filter_map(layer).collect()
}

/// The tar that a file is.
struct FileTar(PathBuf);

impl Content for FileTar {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(File::open(&self.0)?))
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
        let blob = BlockingBlobs::new().open(&self.blobs, &self.blob).map_err(io::Error::other)?;
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
