//! Owns reading images of `docker save`, `podman save` and b2i, in place. Must not unpack anything.
//!
//! These archives have no manifest, and the digests of the layers only as diff IDs in the config. So b2i makes a manifest,
//! in which the digest of a plain layer is its diff ID. A compressed layer is read once for its digest, and compared with
//! the config.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;

use super::tar_index::{Extent, InvalidTar, TarIndex};
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::blobs::{FileSection, file_stream, read_exactly_at};
use crate::image::compression::{DecompressionLimit, decompress, sniff};
use crate::image::{
    BlobSource, BlobStream, Descriptor, Digest, DigestReader, ImageConfig, ImageManifest, ImageReference,
    LayerCompression, ManifestFormat, OpenBlobError, Platform,
};
use crate::store::resolved::ResolvedImage;

const FORMAT: ManifestFormat = ManifestFormat::Docker;
const MANIFEST: &str = "manifest.json";

/// Largest `manifest.json` and config, in bytes.
const MAXIMUM_DOCUMENT: u64 = 8 << 20;

const MAXIMUM_LAYERS: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub enum ReadArchiveError {
    #[error("`{}` cannot be read", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot read `{}` as an image archive: {source}", path.display())]
    Tar { path: PathBuf, source: InvalidTar },
    #[error("cannot read `{}` as an image archive: {reason}", path.display())]
    Invalid { path: PathBuf, reason: String },
    #[error("the archive `{}` has {found}", path.display())]
    NotFound {
        path: PathBuf,
        /// `no image …`, or how many.
        found: String,
        /// The names in the archive.
        names: Vec<String>,
    },
    #[error("the archive `{}` has no blob {digest}", path.display())]
    Blob { path: PathBuf, digest: Digest },
}

impl Diagnostic for ReadArchiveError {
    fn kind(&self) -> FailureKind {
        FailureKind::Builder
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotFound { names, .. } if !names.is_empty() => {
                vec![format!("it has: {}", names.join(", "))]
            }
            Self::NotFound { .. }
            | Self::Io { .. }
            | Self::Tar { .. }
            | Self::Invalid { .. }
            | Self::Blob { .. } => Vec::new(),
        }
    }
}

/// An entry of `manifest.json`.
#[derive(Debug, Deserialize)]
struct SavedImage {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "RepoTags", default)]
    names: Option<Vec<String>>,
    #[serde(rename = "Layers", default)]
    layers: Vec<String>,
}

#[derive(Debug)]
pub struct DockerArchive {
    path: PathBuf,
    file: Arc<File>,
    index: TarIndex,
    images: Vec<SavedImage>,
}

impl DockerArchive {
    /// Opens the archive at `path`. Blocks; reads its headers and its list of images.
    pub fn open(path: &Path) -> Result<Self, ReadArchiveError> {
        let failed = |source| ReadArchiveError::Io { path: path.to_owned(), source };
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            let reason = "it is not a regular file".to_owned();
            return Err(ReadArchiveError::Invalid { path: path.to_owned(), reason });
        }
        let file = File::open(path).map_err(failed)?;
        let tar = |source| ReadArchiveError::Tar { path: path.to_owned(), source };
        let index = TarIndex::scan(&file).map_err(tar)?;
        let bytes = index.read(&file, MANIFEST, MAXIMUM_DOCUMENT).map_err(tar)?;
        let invalid = |reason| ReadArchiveError::Invalid { path: path.to_owned(), reason };
        let bytes = bytes.ok_or_else(|| invalid(format!("it has no `{MANIFEST}`")))?;
        let images = serde_json::from_slice(&bytes);
        let images =
            images.map_err(|error| invalid(format!("its `{MANIFEST}` is not a list of images: {error}")))?;
        Ok(Self { path: path.to_owned(), file: Arc::new(file), index, images })
    }

    pub fn names(&self) -> Vec<String> {
        self.images.iter().flat_map(|image| image.names.iter().flatten()).cloned().collect()
    }

    /// Finds the image `name`, or the only one for `platform`, and reads its config. Blocks; reads compressed layers.
    ///
    /// # Errors
    /// [`ReadArchiveError::NotFound`] if none or several images match; others if the image is damaged.
    pub fn resolve(
        &self,
        name: Option<&ImageReference>,
        platform: &Platform,
    ) -> Result<ResolvedImage, ReadArchiveError> {
        let mut found = Vec::new();
        for image in self.images.iter().filter(|image| name.is_none_or(|name| image.is_named(name))) {
            let (bytes, config) = self.config(image)?;
            if platform.matches(&config.platform()) {
                found.push((image, bytes, config));
            }
        }
        match found.len() {
            1 => {
                let (image, bytes, config) = found.remove(0);
                self.image(image, bytes, config)
            }
            count => {
                let named =
                    name.map_or("without a name".into(), |name| format!("named `{}`", name.familiar()));
                let count = if count == 0 { "no image".into() } else { format!("{count} images") };
                let found = format!("{count} for {platform} {named}");
                Err(ReadArchiveError::NotFound { path: self.path.clone(), found, names: self.names() })
            }
        }
    }

    fn config(&self, image: &SavedImage) -> Result<(Vec<u8>, ImageConfig), ReadArchiveError> {
        let tar = |source| ReadArchiveError::Tar { path: self.path.clone(), source };
        let bytes = self.index.read(&self.file, &image.config, MAXIMUM_DOCUMENT).map_err(tar)?;
        let bytes = bytes.ok_or_else(|| self.invalid(format!("its config `{}` is missing", image.config)))?;
        let config = ImageConfig::parse(&bytes);
        let config =
            config.map_err(|error| self.invalid(format!("its config `{}`: {error}", image.config)))?;
        Ok((bytes, config))
    }

    fn image(
        &self,
        image: &SavedImage,
        config_bytes: Vec<u8>,
        config: ImageConfig,
    ) -> Result<ResolvedImage, ReadArchiveError> {
        let ids =
            config.diff_ids().map_err(|error| self.invalid(format!("its config is not valid: {error}")))?;
        if ids.len() != image.layers.len() || ids.len() > MAXIMUM_LAYERS {
            let (listed, layers) = (image.layers.len(), ids.len());
            return Err(self.invalid(format!("an image has {listed} layers, but its config has {layers}")));
        }
        let mut blobs = ArchiveBlobs {
            path: self.path.clone(),
            file: self.file.clone(),
            layers: HashMap::new(),
            documents: HashMap::new(),
        };
        let mut layers: Vec<Descriptor> = Vec::new();
        let mut known: HashMap<Digest, Descriptor> = HashMap::new();
        for (name, diff_id) in image.layers.iter().zip(ids) {
            let descriptor = match known.get(&diff_id) {
                Some(descriptor) => descriptor.clone(),
                None => {
                    let (descriptor, extent) = self.layer(name, diff_id)?;
                    blobs.layers.insert(descriptor.digest, extent);
                    descriptor
                }
            };
            known.insert(diff_id, descriptor.clone());
            layers.push(descriptor);
        }
        let config_descriptor = Descriptor::of(FORMAT.config(), &config_bytes);
        let manifest =
            ImageManifest::new(FORMAT, config_descriptor.clone(), layers, std::collections::BTreeMap::new());
        let manifest_bytes = manifest.to_bytes();
        let descriptor = Descriptor::of(FORMAT.manifest(), &manifest_bytes);
        blobs.documents.insert(config_descriptor.digest, config_bytes.clone().into());
        blobs.documents.insert(descriptor.digest, manifest_bytes.into());
        let name = image.names.iter().flatten().next().cloned();
        Ok(ResolvedImage {
            name: name.unwrap_or_else(|| config_descriptor.digest.to_string()),
            root: None,
            descriptor,
            manifest,
            config_bytes,
            config,
            blobs: Arc::new(blobs),
        })
    }

    /// Describes the layer in the file `name`. A plain one is verified later, when it is read.
    fn layer(&self, name: &str, diff_id: Digest) -> Result<(Descriptor, Extent), ReadArchiveError> {
        let name = crate::fs::unpack::member_path(name).map_err(|error| self.invalid(error.to_string()))?;
        let missing = || self.invalid(format!("the layer `{name}` is missing"));
        let extent = self.index.find(&name).ok_or_else(missing)?;
        let failed = |source| ReadArchiveError::Io { path: self.path.clone(), source };
        let mut start = [0; 6];
        let length = start.len().min(usize::try_from(extent.length).unwrap_or(usize::MAX));
        read_exactly_at(&self.file, &mut start[..length], extent.start).map_err(failed)?;
        let compression = sniff(&start[..length]);
        let media_type = FORMAT.layer(compression);
        if compression == LayerCompression::None {
            return Ok((Descriptor::new(media_type, diff_id, extent.length), extent));
        }
        let mut file = DigestReader::new(FileSection::new(self.file.clone(), extent.start, extent.length));
        let read = self.digest_of_tar(compression, &mut file);
        let found =
            read.map_err(|error| self.invalid(format!("the layer `{name}` cannot be unpacked: {error}")))?;
        if found != diff_id {
            let difference = format!("has the digest {found} unpacked, but its config says {diff_id}");
            return Err(self.invalid(format!("the layer `{name}` {difference}")));
        }
        let (digest, size) = file.finish();
        Ok((Descriptor::new(media_type, digest, size), extent))
    }

    fn digest_of_tar(
        &self,
        compression: LayerCompression,
        file: &mut (impl Read + Send),
    ) -> io::Result<Digest> {
        let mut tar = DigestReader::new(decompress(compression, &mut *file, DecompressionLimit::default())?);
        io::copy(&mut tar, &mut io::sink())?;
        let digest = tar.finish().0;
        // The digest of the file includes its last bytes.
        io::copy(file, &mut io::sink())?;
        Ok(digest)
    }

    fn invalid(&self, reason: String) -> ReadArchiveError {
        ReadArchiveError::Invalid { path: self.path.clone(), reason }
    }
}

impl SavedImage {
    fn is_named(&self, name: &ImageReference) -> bool {
        let names = self.names.iter().flatten();
        // Podman saves `localhost/app:1` under its full name, Docker saves `app:1` under its short one.
        names.filter_map(|text| text.parse::<ImageReference>().ok()).any(|found| found == *name)
    }
}

struct ArchiveBlobs {
    path: PathBuf,
    file: Arc<File>,
    layers: HashMap<Digest, Extent>,
    documents: HashMap<Digest, bytes::Bytes>,
}

impl BlobSource for ArchiveBlobs {
    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream, OpenBlobError>> {
        async move {
            if let Some(document) = self.documents.get(&blob.digest) {
                let document = document.clone();
                return Ok(futures_util::stream::iter([Ok(document)]).boxed());
            }
            match self.layers.get(&blob.digest) {
                Some(extent) => Ok(file_stream(self.file.clone(), extent.start, extent.length, blob)),
                None => {
                    let error = ReadArchiveError::Blob { path: self.path.clone(), digest: blob.digest };
                    Err(OpenBlobError::new(error))
                }
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
