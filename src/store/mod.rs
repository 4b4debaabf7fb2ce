//! The room of stores: where base images come from (sources) and where results go (sinks).
//!
//! Knows images as configs and layers. Knows no plan, no artifact and no builder.

pub mod archive;
pub mod blobs;
pub mod builtin;
pub mod cache;
pub mod credentials;
pub mod daemon;
mod layer_blob;
pub mod layout;
pub mod registry;
pub mod resolved;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use blobs::BlockingBlobs;
pub use blobs::{BlobOrigin, BlobSource, BlobStream, OpenBlobError};
pub use layer_blob::{CompressedLayer, EncodeLayer, LayerBlob, UncompressedLayer};

use crate::image::layer::{Layer, WrittenLayer};
use crate::image::{Descriptor, Digest, ImageConfig, ManifestFormat};

/// A base image that was resolved: its config is known, its layers are opened only on demand.
#[derive(Clone, Debug)]
pub struct BaseImage {
    /// Its name, in full, as the user or the catalog gave it.
    pub name: String,
    /// The digest of its manifest, where its source knows one.
    pub manifest_digest: Option<Digest>,
    /// Its config.
    pub config: ImageConfig,
    /// Where its layers are.
    pub layers: BaseLayers,
}

/// Where the layers of a base image are.
#[derive(Clone, Debug)]
pub enum BaseLayers {
    /// In the daemon, under this image ID.
    Daemon {
        /// The ID (`sha256:…`), which never moves, unlike the name.
        image_id: String,
    },
    /// Blobs that a manifest describes: in a registry, in a layout, in the cache.
    Described(DescribedLayers),
    /// In this program.
    BuiltIn(Layer),
    /// Nowhere: the base is empty.
    Scratch,
}

/// The layers of a base whose manifest is known.
#[derive(Clone)]
pub struct DescribedLayers {
    /// The manifest's layers, lowest first; as many as the config has diff IDs.
    pub descriptors: Vec<Descriptor>,
    /// Whose media types the base uses; what is built on it uses the same.
    pub format: ManifestFormat,
    /// Opens them where they are.
    pub blobs: Arc<dyn BlobSource>,
}

impl std::fmt::Debug for DescribedLayers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.descriptors.iter().map(|layer| &layer.digest)).finish()
    }
}

/// An image whose config is known only when its new layer has been written: the layer's digest and the artifact's
/// stand in it. Sinks write the layer, then ask for the config, so that nothing is read twice.
#[derive(Clone)]
pub struct UnfinishedImage {
    /// What it stands on.
    pub base: BaseImage,
    /// The layer that is added.
    pub layer: Layer,
    /// Annotations of the manifest, where the sink writes one.
    pub annotations: BTreeMap<String, String>,
    /// Makes the config; called with what writing the layer yielded.
    pub finish: Arc<dyn Fn(&WrittenLayer) -> ImageConfig + Send + Sync>,
}

impl UnfinishedImage {
    /// Whose media types its manifest uses: the base's, or OCI's on a base that has no manifest.
    pub fn manifest_format(&self) -> ManifestFormat {
        match &self.base.layers {
            BaseLayers::Described(layers) => layers.format,
            BaseLayers::Daemon { .. } | BaseLayers::BuiltIn(_) | BaseLayers::Scratch => ManifestFormat::Oci,
        }
    }
}

/// What a sink has written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenImage {
    /// Digest of the config: the image's ID in daemons.
    pub image_id: Digest,
    /// The layer that was added; none if the image was committed by an engine.
    #[serde(skip)]
    pub layer: Option<WrittenLayer>,
}
