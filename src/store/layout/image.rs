//! Owns what an image in a layout consists of: where the bytes of each layer come from, and the config and manifest
//! that follow from them. Must not know whether the layout is a directory or a tar.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};

use super::{LayoutOptions, WrittenLayout};
use crate::image::compression::{WrittenBlob, compress_tar, write_layer};
use crate::image::layer::{Layer, WrittenLayer};
use crate::image::{
    Descriptor, Digest, ImageConfig, ImageManifest, LayerCompression, ManifestFormat, Platform,
};
use crate::store::archive::{ArchiveError, LayerFile};
use crate::store::blobs::BlockingBlobs;
use crate::store::{BaseImage, BaseLayers, UnfinishedImage, WrittenImage};

const FORMAT: ManifestFormat = ManifestFormat::Oci;

/// Where the bytes of a layer come from.
#[derive(Clone, Copy)]
pub(super) enum Piece<'a> {
    /// Made here; for the built-in base, with the diff ID that its config says.
    Made(&'a Layer, Option<Digest>),
    /// A file that a daemon gave.
    File(&'a LayerFile),
    /// A blob, as its manifest describes it.
    Blob(&'a Descriptor),
}

/// What is written into a layout.
#[derive(Clone, Copy)]
pub enum LayoutImage<'a> {
    /// An image whose new layer is made on the way.
    Unfinished(&'a UnfinishedImage),
    /// An image that an engine made: its layers are files that a daemon gave.
    Committed {
        /// Its config.
        config: &'a ImageConfig,
        /// Annotations of its manifest.
        annotations: &'a BTreeMap<String, String>,
    },
}

impl<'a> From<&'a UnfinishedImage> for LayoutImage<'a> {
    fn from(image: &'a UnfinishedImage) -> Self {
        Self::Unfinished(image)
    }
}

impl<'a> LayoutImage<'a> {
    /// The config that says what is below the new layer, or all of it.
    fn known_config(self) -> &'a ImageConfig {
        match self {
            Self::Unfinished(image) => &image.base.config,
            Self::Committed { config, .. } => config,
        }
    }

    /// For errors.
    fn name(self) -> &'a str {
        match self {
            Self::Unfinished(image) => &image.base.name,
            Self::Committed { .. } => "the committed image",
        }
    }
}

/// Makes the blobs of an image.
pub(super) struct Pieces<'a> {
    image: LayoutImage<'a>,
    options: &'a LayoutOptions,
    base_ids: Vec<Digest>,
    blobs: Option<BlockingBlobs>,
}

/// A config and a manifest with all that they name.
pub(super) struct Finished {
    pub(super) config_bytes: Vec<u8>,
    pub(super) config: Descriptor,
    pub(super) manifest_bytes: Vec<u8>,
    pub(super) written: WrittenLayout,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(image: LayoutImage<'a>, options: &'a LayoutOptions) -> Result<Self, ArchiveError> {
        let base_ids = diff_ids(image.name(), image.known_config())?;
        let blobs = match image {
            LayoutImage::Unfinished(UnfinishedImage {
                base: BaseImage { layers: BaseLayers::Described(layers), .. },
                ..
            }) => Some(BlockingBlobs::new(layers.blobs.clone())?),
            LayoutImage::Unfinished(_) | LayoutImage::Committed { .. } => None,
        };
        Ok(Self { image, options, base_ids, blobs })
    }

    /// What the image runs on.
    pub(super) fn platform(&self) -> Platform {
        self.image.known_config().platform()
    }

    /// The layer that is made, if one is.
    pub(super) fn new_layer(&self) -> Option<Piece<'a>> {
        match self.image {
            LayoutImage::Unfinished(image) => Some(Piece::Made(&image.layer, None)),
            LayoutImage::Committed { .. } => None,
        }
    }

    /// The layers below it, lowest first.
    pub(super) fn base(&self, files: &'a [LayerFile]) -> Result<Vec<Piece<'a>>, ArchiveError> {
        let mismatch = |found: Vec<Digest>| ArchiveError::Layers { found, expected: self.base_ids.clone() };
        let LayoutImage::Unfinished(image) = self.image else { return self.files(files) };
        match &image.base.layers {
            BaseLayers::Described(described) if described.descriptors.len() == self.base_ids.len() => {
                Ok(described.descriptors.iter().map(Piece::Blob).collect())
            }
            BaseLayers::Described(described) => {
                Err(mismatch(described.descriptors.iter().map(|layer| layer.digest).collect()))
            }
            BaseLayers::Daemon { .. } => self.files(files),
            BaseLayers::BuiltIn(layer) => match self.base_ids[..] {
                [id] => Ok(vec![Piece::Made(layer, Some(id))]),
                _ => Err(mismatch(Vec::new())),
            },
            BaseLayers::Scratch => Ok(Vec::new()),
        }
    }

    fn files(&self, files: &'a [LayerFile]) -> Result<Vec<Piece<'a>>, ArchiveError> {
        let name = self.image.name();
        let missing = |id: &Digest| ArchiveError::MissingLayer { name: name.to_owned(), diff_id: *id };
        let file = |id: &Digest| files.iter().find(|file| file.diff_id == *id).ok_or_else(|| missing(id));
        self.base_ids.iter().map(|id| file(id).map(Piece::File)).collect()
    }

    /// The descriptor of a piece, if that is known before its bytes are made.
    pub(super) fn known(&self, piece: Piece<'_>) -> Option<Descriptor> {
        match piece {
            Piece::Blob(blob) => Some(in_layout(blob)),
            Piece::Made(_, Some(_)) | Piece::File(_) => None,
            Piece::Made(_, None) => self.options.known.as_ref().map(|known| in_layout(&known.descriptor)),
        }
    }

    /// Writes the bytes of a piece; nothing else may have the same `out`.
    pub(super) fn write(
        &self,
        piece: Piece<'_>,
        out: impl Write,
    ) -> Result<(Descriptor, Option<WrittenLayer>), ArchiveError> {
        let (compression, threads) = (self.options.compression, self.options.threads);
        match piece {
            Piece::Made(layer, expected) => {
                let content = |error: io::Error| match error.kind() {
                    io::ErrorKind::InvalidData => ArchiveError::Content(error),
                    _ => error.into(),
                };
                let method = compression.method_for(layer).map_err(ArchiveError::Content)?;
                let written = write_layer(layer, method, FORMAT, threads, out).map_err(content)?;
                let found = written.layer.diff_id;
                match expected {
                    Some(expected) if expected != found => {
                        Err(ArchiveError::BuiltInLayer { found, expected: vec![expected] })
                    }
                    _ => Ok((written.descriptor, Some(written.layer))),
                }
            }
            Piece::File(file) => {
                let failed = |source| {
                    let (diff_id, path) = (file.diff_id, file.path.clone());
                    ArchiveError::BaseLayer { diff_id, path, source }
                };
                let tar = File::open(&file.path).map_err(failed)?;
                let method = compression.method_for_base();
                Ok((compress_tar(tar, file.size, method, FORMAT, threads, out)?, None))
            }
            Piece::Blob(blob) => {
                let blobs = self.blobs.as_ref().expect("only a described base has blobs");
                copy_blob(blobs, self.image.name(), blob, out)?;
                Ok((in_layout(blob), None))
            }
        }
    }

    /// Makes config and manifest of what was written.
    pub(super) fn finish(
        &self,
        base: Vec<Descriptor>,
        new: Option<(Descriptor, WrittenLayer)>,
    ) -> Result<Finished, ArchiveError> {
        let (config, annotations) = match (self.image, &new) {
            (LayoutImage::Unfinished(image), Some((_, layer))) => ((image.finish)(layer), &image.annotations),
            (LayoutImage::Unfinished(image), None) => (image.base.config.clone(), &image.annotations),
            (LayoutImage::Committed { config, annotations }, _) => (config.clone(), annotations),
        };
        let new_id = new.as_ref().map(|(_, layer)| layer.diff_id);
        let expected: Vec<Digest> = self.base_ids.iter().copied().chain(new_id).collect();
        let found = diff_ids(self.image.name(), &config)?;
        if found != expected {
            return Err(ArchiveError::Layers { found, expected });
        }
        let config_bytes = config.to_bytes();
        let config = Descriptor::of(FORMAT.config(), &config_bytes);
        let layers = base.into_iter().chain(new.iter().map(|(descriptor, _)| descriptor.clone())).collect();
        let manifest = ImageManifest::new(FORMAT, config.clone(), layers, annotations.clone());
        let manifest_bytes = manifest.to_bytes();
        let manifest = Descriptor::of(FORMAT.manifest(), &manifest_bytes);
        let blob = new.map(|(descriptor, layer)| WrittenBlob { layer, descriptor });
        let image = WrittenImage { image_id: config.digest, layer: blob.as_ref().map(|blob| blob.layer) };
        let written = WrittenLayout { image, manifest, blob };
        Ok(Finished { config_bytes, config, manifest_bytes, written })
    }
}

/// Copies a blob of the image `name`. That it is the described one, its source sees to; its length is compared here.
fn copy_blob(
    blobs: &BlockingBlobs,
    name: &str,
    blob: &Descriptor,
    mut out: impl Write,
) -> Result<(), ArchiveError> {
    let mut reader = blobs.open(blob)?;
    let (name, digest) = (name.to_owned(), blob.digest);
    let failed = |source| ArchiveError::ReadBlob { name, digest, source };
    let mut copied = 0;
    let mut buffer = vec![0; 64 * 1024];
    let result = loop {
        match io::Read::read(&mut reader, &mut buffer) {
            Ok(0) => break Ok(()),
            Ok(count) => {
                copied += count as u64;
                if copied > blob.size {
                    break Ok(());
                }
                // Errors of writing stay apart from those of reading.
                out.write_all(&buffer[..count])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    let complete = result.and_then(|()| {
        if copied == blob.size {
            return Ok(());
        }
        let text = format!("it has {copied} bytes or more, and its manifest says {}", blob.size);
        Err(io::Error::new(io::ErrorKind::InvalidData, text))
    });
    complete.map_err(failed)
}

/// A descriptor as a layout has it: with OCI's media type.
fn in_layout(blob: &Descriptor) -> Descriptor {
    let compression = LayerCompression::of_media_type(&blob.media_type);
    let media_type = compression.map_or(blob.media_type.as_str(), |found| FORMAT.layer(found));
    Descriptor::new(media_type, blob.digest, blob.size)
}

fn diff_ids(name: &str, config: &ImageConfig) -> Result<Vec<Digest>, ArchiveError> {
    config.diff_ids().map_err(|source| ArchiveError::Config { name: name.to_owned(), source })
}
