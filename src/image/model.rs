//! Owns the image on its way to a sink: base, new layers, config and manifest.
//! Must not know where an image goes, nor write layers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::blobs::BlobSource;
use super::config::{ImageConfig, InvalidConfig};
use super::descriptor::Descriptor;
use super::digest::Digest;
use super::layer::{Layer, WrittenLayer};
use super::layer_source::{LayerFile, LayerSource, NewLayer};
use super::manifest::{ImageManifest, ManifestFormat};
use super::platform::Platform;
use crate::diagnostic::{Diagnostic, FailureKind};

/// An image with its config. Its layers are opened on demand.
#[derive(Clone, Debug)]
pub struct BaseImage {
    /// In full.
    pub name: String,
    /// The digest of its manifest, if its source has one.
    pub manifest_digest: Option<Digest>,
    pub config: ImageConfig,
    /// The layers, lowest first, one for each diff ID of the config.
    pub layers: Vec<LayerSource>,
    /// The format of the image, and of images that are built on it.
    pub format: ManifestFormat,
    /// Its ID (`sha256:…`) in the daemon. Unlike the name, it always means the same image.
    pub image_id: Option<String>,
}

impl BaseImage {
    pub fn scratch(platform: &Platform) -> Self {
        Self::new("scratch", ImageConfig::empty(platform), Vec::new())
    }

    /// An image without a manifest.
    pub fn new(name: impl Into<String>, config: ImageConfig, layers: Vec<LayerSource>) -> Self {
        let (name, format) = (name.into(), ManifestFormat::Oci);
        Self { name, manifest_digest: None, config, layers, format, image_id: None }
    }

    /// An image whose layers are all in the daemon.
    pub fn in_daemon(name: impl Into<String>, image_id: Option<String>, config: ImageConfig) -> Self {
        let layers = vec![LayerSource::Daemon; config.diff_ids().map_or(0, |ids| ids.len())];
        Self { image_id, ..Self::new(name, config, layers) }
    }

    /// The layer of a built-in base.
    pub fn built_in(&self) -> Option<&Layer> {
        match &self.layers[..] {
            [LayerSource::New(layer)] => Some(layer.layer()),
            _ => None,
        }
    }

    /// Replaces the layers that are in `files`.
    #[must_use]
    pub fn with_files(mut self, files: &[LayerFile]) -> Self {
        let ids = self.config.diff_ids().unwrap_or_default();
        for (layer, id) in self.layers.iter_mut().zip(ids) {
            if let Some(file) = files.iter().find(|file| file.diff_id == id) {
                *layer = LayerSource::File(file.clone());
            }
        }
        self
    }

    /// Compares a written layer of the image with the diff ID in the config.
    pub fn check(&self, diff_id: &Digest, written: &WrittenLayer) -> Result<(), InvalidImage> {
        if written.diff_id == *diff_id {
            return Ok(());
        }
        Err(InvalidImage::Layers { listed: vec![*diff_id], written: vec![written.diff_id] })
    }

    /// The digests of its uncompressed layers, lowest first.
    pub fn diff_ids(&self) -> Result<Vec<Digest>, InvalidImage> {
        diff_ids(&self.name, &self.config)
    }

    /// Its layers with their diff IDs.
    pub fn layers(&self) -> Result<Vec<(Digest, &LayerSource)>, InvalidImage> {
        let ids = self.diff_ids()?;
        if ids.len() != self.layers.len() {
            let (name, listed, layers) = (self.name.clone(), ids.len(), self.layers.len());
            return Err(InvalidImage::Count { name, listed, layers });
        }
        Ok(ids.into_iter().zip(&self.layers).collect())
    }
}

/// An image on its way to a sink.
#[derive(Clone)]
pub struct Image {
    pub base: BaseImage,
    /// Lowest first.
    pub new: Vec<NewLayer>,
    pub config: Config,
    /// The platform in an index.
    pub platform: Platform,
    /// Annotations of the manifest, if the sink writes one.
    pub annotations: BTreeMap<String, String>,
    /// The manifest to which this one is attached.
    pub subject: Option<Descriptor>,
}

#[derive(Clone)]
pub enum Config {
    Bytes(Vec<u8>),
    /// Made from the digests of the new layers and of the artifact. Sinks write the layers first, so that each file is
    /// read once.
    After(MakeConfig),
}

/// Makes a config from the written new layers, lowest first.
pub type MakeConfig = Arc<dyn Fn(&[WrittenLayer]) -> ImageConfig + Send + Sync>;

#[derive(Clone, Debug)]
pub struct FinishedConfig {
    pub bytes: Vec<u8>,
    /// The image's ID in daemons: the digest of `bytes`.
    pub image_id: Digest,
    pub config: ImageConfig,
    /// The digests of all uncompressed layers, lowest first.
    pub diff_ids: Vec<Digest>,
}

impl FinishedConfig {
    pub fn new(name: &str, bytes: Vec<u8>, config: ImageConfig) -> Result<Self, InvalidImage> {
        let diff_ids = diff_ids(name, &config)?;
        Ok(Self { image_id: Digest::of(&bytes), bytes, config, diff_ids })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidImage {
    #[error("the config of the image `{name}` is not valid")]
    Config { name: String, source: InvalidConfig },
    #[error("the image config lists the layers {listed:?}, but {written:?} were written")]
    Layers { listed: Vec<Digest>, written: Vec<Digest> },
    #[error("the config of the image `{name}` lists {listed} layers, but it has {layers}")]
    Count { name: String, listed: usize, layers: usize },
}

impl Diagnostic for InvalidImage {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Config { .. } | Self::Count { .. } => FailureKind::Builder,
            Self::Layers { .. } => FailureKind::Unexpected,
        }
    }
}

impl Image {
    /// New layers on a base, with a config that depends on them.
    pub fn new(
        base: BaseImage,
        new: Vec<NewLayer>,
        make: impl Fn(&[WrittenLayer]) -> ImageConfig + Send + Sync + 'static,
    ) -> Self {
        Self { new, config: Config::After(Arc::new(make)), ..Self::unchanged(base, Vec::new()) }
    }

    /// A base without new layers.
    pub fn unchanged(base: BaseImage, config: Vec<u8>) -> Self {
        let (platform, annotations) = (base.config.platform(), BTreeMap::new());
        let config = Config::Bytes(config);
        Self { base, new: Vec::new(), config, platform, annotations, subject: None }
    }

    /// The ID of the image that an engine committed in the daemon. Its config is not final.
    pub fn committed_id(&self) -> Option<&str> {
        self.base.image_id.as_deref().filter(|_| self.new.is_empty())
    }

    /// The results of writing the new layers; `None` if one is not known yet.
    pub fn written(&self) -> Option<Vec<WrittenLayer>> {
        self.new.iter().map(NewLayer::written).collect()
    }

    /// Makes the config, and checks that it lists exactly the layers of the base and the written ones.
    pub fn finish(&self, written: &[WrittenLayer]) -> Result<FinishedConfig, InvalidImage> {
        let name = &self.base.name;
        let (bytes, config) = match &self.config {
            Config::Bytes(bytes) => {
                let invalid = |source| InvalidImage::Config { name: name.clone(), source };
                (bytes.clone(), ImageConfig::parse(bytes).map_err(invalid)?)
            }
            Config::After(make) => {
                let config = make(written);
                (config.to_bytes(), config)
            }
        };
        let finished = FinishedConfig::new(name, bytes, config)?;
        let mut expected = self.base.diff_ids()?;
        expected.extend(written.iter().map(|layer| layer.diff_id));
        if finished.diff_ids != expected {
            return Err(InvalidImage::Layers { listed: finished.diff_ids, written: expected });
        }
        Ok(finished)
    }

    pub fn manifest(
        &self,
        format: ManifestFormat,
        config: Descriptor,
        layers: Vec<Descriptor>,
    ) -> (Descriptor, Vec<u8>) {
        let mut manifest = ImageManifest::new(format, config, layers, self.annotations.clone());
        manifest.subject.clone_from(&self.subject);
        let bytes = manifest.to_bytes();
        (Descriptor::of(format.manifest(), &bytes), bytes)
    }
}

fn diff_ids(name: &str, config: &ImageConfig) -> Result<Vec<Digest>, InvalidImage> {
    config.diff_ids().map_err(|source| InvalidImage::Config { name: name.to_owned(), source })
}

/// An image or an index, whose bytes are copied as they are.
#[derive(Clone)]
pub struct ManifestTree {
    /// The manifest or the index.
    pub root: Descriptor,
    /// Opens the blobs and manifests below it.
    pub blobs: Arc<dyn BlobSource>,
    /// The name in errors.
    pub name: String,
    /// Whether it comes from a daemon: it has no manifest of its own, and copying compresses its plain layers.
    pub is_raw: bool,
}
