//! Owns manifests: what an image or an index of images consists of, by digest.
//!
//! Reads OCI's and Docker's forms and writes either; the bytes of a manifest that was read are kept as they were,
//! because its digest is over these. Must not know where a manifest came from.
//!
//! Source: OCI image spec v1.1 "manifest.md", "image-index.md"; Docker image manifest version 2, schema 2. `oci-spec` 0.10
//! was weighed: its annotations and labels are a `HashMap`, so the same image would have another digest each time, and it
//! drops unknown fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::descriptor::{DescribedPlatform, Descriptor};
use super::platform::Platform;

/// Largest manifest that is read, in bytes; registries refuse larger ones.
pub const MAXIMUM_MANIFEST: u64 = 4 << 20;

/// Most entries of an index, and most layers of an image, that are believed.
const MAXIMUM_ENTRIES: usize = 1024;

/// Whose media types a manifest uses. The two are alike but for these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ManifestFormat {
    /// `application/vnd.oci.image.…`
    Oci,
    /// `application/vnd.docker.…`
    Docker,
}

impl ManifestFormat {
    /// Media type of an image's manifest.
    pub const fn manifest(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.manifest.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.v2+json",
        }
    }

    /// Media type of an index.
    pub const fn index(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.index.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }

    /// Media type of a config.
    pub const fn config(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.config.v1+json",
            Self::Docker => "application/vnd.docker.container.image.v1+json",
        }
    }

    /// Media type of a layer. Docker has none for zstd; OCI's is what everybody writes there.
    pub const fn layer(self, compression: LayerCompression) -> &'static str {
        match (self, compression) {
            (Self::Oci, LayerCompression::None) => "application/vnd.oci.image.layer.v1.tar",
            (Self::Oci, LayerCompression::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            (_, LayerCompression::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
            (Self::Docker, LayerCompression::None) => "application/vnd.docker.image.rootfs.diff.tar",
            (Self::Docker, LayerCompression::Gzip) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
        }
    }
}

/// How the bytes of a layer are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerCompression {
    /// A plain tar.
    None,
    /// One or several gzip members.
    Gzip,
    /// One or several zstd frames.
    Zstd,
}

impl LayerCompression {
    /// Reads it from a layer's media type; none if that is no layer that can be unpacked.
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        let known = ["application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs."];
        if !known.iter().any(|start| media_type.starts_with(start)) {
            return None;
        }
        if media_type.ends_with(".tar") {
            Some(Self::None)
        } else if media_type.ends_with("+gzip") || media_type.ends_with(".tar.gzip") {
            Some(Self::Gzip)
        } else if media_type.ends_with("+zstd") || media_type.ends_with(".tar.zstd") {
            Some(Self::Zstd)
        } else {
            None
        }
    }
}

/// The manifest of one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    schema_version: u32,
    /// Its media type.
    #[serde(default)]
    pub media_type: String,
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
    /// What it is, if it is no image: the media type of an artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifest that it is attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Its annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl ImageManifest {
    /// Makes a manifest. Docker's form has no annotations; there they are left out.
    pub fn new(
        format: ManifestFormat,
        config: Descriptor,
        layers: Vec<Descriptor>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        let annotations = match format {
            ManifestFormat::Oci => annotations,
            ManifestFormat::Docker => BTreeMap::new(),
        };
        let (artifact_type, subject) = (None, None);
        let media_type = format.manifest().into();
        Self { schema_version: 2, media_type, config, layers, artifact_type, subject, annotations }
    }

    /// The bytes that its digest is over; equal manifests give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings, numbers and maps with string keys are always JSON")
    }

    /// Whose media types it uses.
    pub fn format(&self) -> ManifestFormat {
        if self.media_type == ManifestFormat::Docker.manifest() {
            ManifestFormat::Docker
        } else {
            ManifestFormat::Oci
        }
    }
}

/// Several images for several platforms under one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIndex {
    schema_version: u32,
    /// Its media type.
    #[serde(default)]
    pub media_type: String,
    /// The images.
    pub manifests: Vec<Descriptor>,
    /// Its annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl ImageIndex {
    /// Makes an index. Docker's form has no annotations; there they are left out.
    pub fn new(
        format: ManifestFormat,
        manifests: Vec<Descriptor>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        let annotations = match format {
            ManifestFormat::Oci => annotations,
            ManifestFormat::Docker => BTreeMap::new(),
        };
        Self { schema_version: 2, media_type: format.index().into(), manifests, annotations }
    }

    /// The bytes that its digest is over; equal indexes give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings, numbers and maps with string keys are always JSON")
    }

    /// The image for `platform`: the first that fits, one with the very same variant before others.
    pub fn for_platform(&self, platform: &Platform) -> Option<&Descriptor> {
        let of = |descriptor: &Descriptor| descriptor.platform.as_ref().map(DescribedPlatform::platform);
        let same = self.manifests.iter().find(|entry| of(entry).as_ref() == Some(platform));
        same.or_else(|| {
            self.manifests.iter().find(|entry| of(entry).is_some_and(|found| platform.matches(&found)))
        })
    }

    /// The platforms that it has images for, in its order.
    pub fn platforms(&self) -> Vec<Platform> {
        let described = self.manifests.iter().filter_map(|entry| entry.platform.as_ref());
        // Attestations stand in an index as images for an unknown platform.
        described.map(DescribedPlatform::platform).filter(|platform| platform.os != "unknown").collect()
    }
}

/// A manifest of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// One image.
    Image(Box<ImageManifest>),
    /// Several.
    Index(ImageIndex),
}

/// Bytes that are no manifest which b2i understands.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidManifest {
    #[error("it is no image manifest: {0}")]
    Shape(String),
    /// Schema 1, an artifact, something newer.
    #[error("its media type is `{0}`, which b2i does not read")]
    MediaType(String),
    #[error("it was announced as `{announced}`, but says `{found}` of itself")]
    Announced {
        /// What the header said.
        announced: String,
        /// What the manifest says.
        found: String,
    },
    #[error("it lists {0} entries; at most {MAXIMUM_ENTRIES} are read")]
    TooMany(usize),
}

impl Manifest {
    /// Parses `bytes`, which came with the media type `announced` if their source had one to say.
    ///
    /// # Errors
    /// [`InvalidManifest`] if they are not a manifest of a kind that b2i reads.
    pub fn parse(bytes: &[u8], announced: Option<&str>) -> Result<Self, InvalidManifest> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Outline {
            media_type: Option<String>,
            schema_version: Option<u64>,
            #[serde(default)]
            manifests: Option<Vec<Value>>,
            #[serde(default)]
            layers: Option<Vec<Value>>,
        }
        let shape = |error: serde_json::Error| InvalidManifest::Shape(error.to_string());
        let outline: Outline = serde_json::from_slice(bytes).map_err(shape)?;
        if outline.schema_version != Some(2) {
            let found = outline.schema_version.map_or("none".to_owned(), |version| version.to_string());
            return Err(InvalidManifest::Shape(format!("its schema version is {found}, not 2")));
        }
        // Only these are believed as an announcement: some servers send `application/json` for everything.
        let announced = announced.map(|text| text.split(';').next().unwrap_or_default().trim());
        let announced = announced.filter(|text| is_image(text) || is_index(text));
        let entries = outline.manifests.as_ref().or(outline.layers.as_ref()).map_or(0, Vec::len);
        if entries > MAXIMUM_ENTRIES {
            return Err(InvalidManifest::TooMany(entries));
        }
        let of_shape = match (&outline.manifests, &outline.layers) {
            (Some(_), None) => ManifestFormat::Oci.index(),
            _ => ManifestFormat::Oci.manifest(),
        };
        let stated = outline.media_type.filter(|text| !text.is_empty());
        if let (Some(announced), Some(stated)) = (announced, &stated)
            && announced != stated
        {
            return Err(InvalidManifest::Announced { announced: announced.into(), found: stated.clone() });
        }
        let media_type = stated.or_else(|| announced.map(str::to_owned)).unwrap_or_else(|| of_shape.into());
        if is_index(&media_type) {
            let index: ImageIndex = serde_json::from_slice(bytes).map_err(shape)?;
            Ok(Self::Index(ImageIndex { media_type, ..index }))
        } else if is_image(&media_type) {
            let manifest: ImageManifest = serde_json::from_slice(bytes).map_err(shape)?;
            Ok(Self::Image(Box::new(ImageManifest { media_type, ..manifest })))
        } else {
            Err(InvalidManifest::MediaType(media_type))
        }
    }
}

fn is_image(media_type: &str) -> bool {
    [ManifestFormat::Oci, ManifestFormat::Docker].iter().any(|format| format.manifest() == media_type)
}

fn is_index(media_type: &str) -> bool {
    [ManifestFormat::Oci, ManifestFormat::Docker].iter().any(|format| format.index() == media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> ImageManifest {
        let config = Descriptor::of(ManifestFormat::Oci.config(), b"{}");
        let layer = Descriptor::of(ManifestFormat::Oci.layer(LayerCompression::Gzip), b"layer");
        ImageManifest::new(ManifestFormat::Oci, config, vec![layer], BTreeMap::new())
    }

    #[test]
    fn what_was_written_is_read() {
        let written = manifest();
        let parsed = Manifest::parse(&written.to_bytes(), Some(ManifestFormat::Oci.manifest()));
        assert_eq!(parsed, Ok(Manifest::Image(Box::new(written))));
        let announced = Manifest::parse(&manifest().to_bytes(), Some(ManifestFormat::Docker.manifest()));
        assert!(matches!(announced, Err(InvalidManifest::Announced { .. })));
    }

    #[test]
    fn an_index_is_told_by_its_shape_and_gives_the_platforms_image() {
        let text = r#"{"schemaVersion":2,"manifests":[
            {"mediaType":"a","digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
             "size":1,"platform":{"architecture":"arm","os":"linux","variant":"v6"}},
            {"mediaType":"b","digest":"sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
             "size":2,"platform":{"architecture":"arm","os":"linux","variant":"v7"},"urls":["http://x"]}]}"#;
        let Ok(Manifest::Index(index)) = Manifest::parse(text.as_bytes(), Some("application/json")) else {
            panic!("an index")
        };
        let find = |text: &str| index.for_platform(&text.parse().expect("valid")).map(|found| found.size);
        assert_eq!((find("linux/arm/v7"), find("linux/arm"), find("linux/amd64")), (Some(2), Some(1), None));
        assert_eq!(index.manifests[1].rest["urls"][0], "http://x");
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        for text in [
            "",
            "[]",
            r#"{"schemaVersion":1}"#,
            r#"{"schemaVersion":2}"#,
            r#"{"schemaVersion":2,"layers":3}"#,
        ] {
            assert!(
                matches!(Manifest::parse(text.as_bytes(), None), Err(InvalidManifest::Shape(_))),
                "{text}"
            );
        }
        let other = r#"{"schemaVersion":2,"mediaType":"application/vnd.other","layers":[]}"#;
        assert!(matches!(Manifest::parse(other.as_bytes(), None), Err(InvalidManifest::MediaType(_))));
        let many = vec!["{}"; MAXIMUM_ENTRIES + 1].join(",");
        let many = format!(r#"{{"schemaVersion":2,"manifests":[{many}]}}"#);
        assert!(matches!(Manifest::parse(many.as_bytes(), None), Err(InvalidManifest::TooMany(_))));
    }

    #[test]
    fn compression_is_read_from_media_types() {
        for format in [ManifestFormat::Oci, ManifestFormat::Docker] {
            for compression in [LayerCompression::None, LayerCompression::Gzip, LayerCompression::Zstd] {
                let media_type = format.layer(compression);
                assert_eq!(LayerCompression::of_media_type(media_type), Some(compression), "{media_type}");
            }
        }
        assert_eq!(LayerCompression::of_media_type("application/json"), None);
        let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        assert_eq!(LayerCompression::of_media_type(foreign), Some(LayerCompression::Gzip));
    }
}
