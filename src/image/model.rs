//! Owns the image in flight: the base, the new layers, and the config and manifest that follow from what was written.
//!
//! Every sink takes this one type. Must not know where an image goes, and must not write layers.

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

/// An image whose config is known; its layers are opened only on demand.
#[derive(Clone, Debug)]
pub struct BaseImage {
    /// Its name, in full, as the user or the catalog gave it.
    pub name: String,
    /// The digest of its manifest, where its source knows one.
    pub manifest_digest: Option<Digest>,
    pub config: ImageConfig,
    /// Its layers, lowest first; as many as the config has diff IDs.
    pub layers: Vec<LayerSource>,
    /// Whose media types it uses; what is built on it uses the same.
    pub format: ManifestFormat,
    /// Its ID (`sha256:…`) in the daemon that has it, which never moves, unlike the name.
    pub image_id: Option<String>,
}

impl BaseImage {
    /// Nothing, for `platform`.
    pub fn scratch(platform: &Platform) -> Self {
        Self::new("scratch", ImageConfig::empty(platform), Vec::new())
    }

    /// An image without a manifest.
    pub fn new(name: impl Into<String>, config: ImageConfig, layers: Vec<LayerSource>) -> Self {
        let (name, format) = (name.into(), ManifestFormat::Oci);
        Self { name, manifest_digest: None, config, layers, format, image_id: None }
    }

    /// An image whose layers are all in the daemon, and its ID if it is there itself.
    pub fn in_daemon(name: impl Into<String>, image_id: Option<String>, config: ImageConfig) -> Self {
        let count = config.diff_ids().map_or(0, |ids| ids.len());
        let layers = vec![LayerSource::Daemon; count];
        Self { image_id, ..Self::new(name, config, layers) }
    }

    /// The layer that b2i makes of it, if it is built in.
    pub fn built_in(&self) -> Option<&Layer> {
        match &self.layers[..] {
            [LayerSource::New(layer)] => Some(layer.layer()),
            _ => None,
        }
    }

    /// The same image with its layers in `files`, where they are.
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

    /// Compares what was written of one of its layers with its config.
    ///
    /// # Errors
    /// [`InvalidImage::Layers`] if that is another layer.
    pub fn check(&self, diff_id: &Digest, written: &WrittenLayer) -> Result<(), InvalidImage> {
        if written.diff_id == *diff_id {
            return Ok(());
        }
        Err(InvalidImage::Layers { found: vec![*diff_id], expected: vec![written.diff_id] })
    }

    /// The digests of its uncompressed layers, lowest first.
    ///
    /// # Errors
    /// [`InvalidImage::Config`] if its config lists something else.
    pub fn diff_ids(&self) -> Result<Vec<Digest>, InvalidImage> {
        diff_ids(&self.name, &self.config)
    }

    /// Its layers with the diff IDs that its config lists.
    ///
    /// # Errors
    /// As [`BaseImage::diff_ids`]; [`InvalidImage::Count`] if there are more or fewer layers.
    pub fn layers(&self) -> Result<Vec<(Digest, &LayerSource)>, InvalidImage> {
        let ids = self.diff_ids()?;
        if ids.len() != self.layers.len() {
            let (name, listed, layers) = (self.name.clone(), ids.len(), self.layers.len());
            return Err(InvalidImage::Count { name, listed, layers });
        }
        Ok(ids.into_iter().zip(&self.layers).collect())
    }
}

/// An image on its way into a sink.
#[derive(Clone)]
pub struct Image {
    /// What it stands on; all of it, if it has no new layers.
    pub base: BaseImage,
    /// The layers that are added, lowest first.
    pub new: Vec<NewLayer>,
    pub config: Config,
    /// The platform that an index names it for.
    pub platform: Platform,
    /// Annotations of the manifest, where the sink writes one.
    pub annotations: BTreeMap<String, String>,
    /// The manifest that this one is attached to.
    pub subject: Option<Descriptor>,
}

/// The config of an image in flight.
#[derive(Clone)]
pub enum Config {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What follows from the new layers: their digests and the artifact's stand in it. Sinks write the layers, then ask
    /// for the config, so that nothing is read twice.
    After(MakeConfig),
}

/// Makes a config of what writing the new layers yielded, lowest first.
pub type MakeConfig = Arc<dyn Fn(&[WrittenLayer]) -> ImageConfig + Send + Sync>;

/// A config that is made, with what it lists.
#[derive(Clone, Debug)]
pub struct FinishedConfig {
    /// The config's bytes, which its digest is over.
    pub bytes: Vec<u8>,
    /// The image's ID in daemons: the digest of the config.
    pub image_id: Digest,
    /// The config, read.
    pub config: ImageConfig,
    /// The digests of all uncompressed layers, lowest first.
    pub diff_ids: Vec<Digest>,
}

impl FinishedConfig {
    /// `config`, whose bytes these are, of the image `name`.
    ///
    /// # Errors
    /// [`InvalidImage::Config`] if it lists something else than layers.
    pub fn new(name: &str, bytes: Vec<u8>, config: ImageConfig) -> Result<Self, InvalidImage> {
        let diff_ids = diff_ids(name, &config)?;
        Ok(Self { image_id: Digest::of(&bytes), bytes, config, diff_ids })
    }
}

/// Parts that make no image.
#[derive(Debug, thiserror::Error)]
pub enum InvalidImage {
    #[error("the config of the image `{name}` is not valid")]
    Config { name: String, source: InvalidConfig },
    #[error("the image config lists the layers {found:?}, but {expected:?} were written")]
    Layers {
        /// What the config lists.
        found: Vec<Digest>,
        /// What was written.
        expected: Vec<Digest>,
    },
    #[error("the config of the image `{name}` lists {listed} layers, but it has {layers}")]
    Count {
        name: String,
        /// How many the config lists.
        listed: usize,
        /// How many there are.
        layers: usize,
    },
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
    /// `new` on `base`, with the config that `make` makes.
    pub fn new(
        base: BaseImage,
        new: Vec<NewLayer>,
        make: impl Fn(&[WrittenLayer]) -> ImageConfig + Send + Sync + 'static,
    ) -> Self {
        Self { new, config: Config::After(Arc::new(make)), ..Self::unchanged(base, Vec::new()) }
    }

    /// `base` as it is, with these bytes as its config.
    pub fn unchanged(base: BaseImage, config: Vec<u8>) -> Self {
        let (platform, annotations) = (base.config.platform(), BTreeMap::new());
        let config = Config::Bytes(config);
        Self { base, new: Vec::new(), config, platform, annotations, subject: None }
    }

    /// The ID of what an engine committed in the daemon as the image, with another config than it is to have.
    pub fn committed_id(&self) -> Option<&str> {
        self.base.image_id.as_deref().filter(|_| self.new.is_empty())
    }

    /// What the new layers are known to yield; none if one of them is not computed yet.
    pub fn written(&self) -> Option<Vec<WrittenLayer>> {
        self.new.iter().map(NewLayer::written).collect()
    }

    /// Makes the config, and checks that it lists exactly the base's layers and those that were written.
    ///
    /// # Errors
    /// [`InvalidImage::Config`] and [`InvalidImage::Layers`].
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
            return Err(InvalidImage::Layers { found: finished.diff_ids, expected });
        }
        Ok(finished)
    }

    /// Makes the manifest of the image.
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

/// An image or an index as it is at its source; copying keeps every byte of it that the destination can have.
#[derive(Clone)]
pub struct ManifestTree {
    /// Describes the manifest or the index.
    pub root: Descriptor,
    /// Opens everything below it, manifests too.
    pub blobs: Arc<dyn BlobSource>,
    /// How it is named in errors.
    pub name: String,
    /// Whether it comes from a daemon's world: without a manifest of its own, and with plain layers, which are compressed on
    /// the way.
    pub is_raw: bool,
}
