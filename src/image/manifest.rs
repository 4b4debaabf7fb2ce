//! Owns manifests and indexes, in the formats of OCI and Docker.
//! Must not know where a manifest comes from. Must not serialize a manifest that was read: its digest is of its bytes.
//!
//! Source: OCI image spec v1.1 "manifest.md", "image-index.md"; Docker image manifest version 2, schema 2. `oci-spec` 0.10
//! was weighed: its annotations and labels are a `HashMap`, so the same image would have another digest each time, and it
//! drops unknown fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::descriptor::{DescribedPlatform, Descriptor};
use super::platform::Platform;

/// The limit of a manifest in bytes. Registries have the same.
pub const MAXIMUM_MANIFEST: u64 = 4 << 20;

/// The limit of an index's entries, and of an image's layers.
const MAXIMUM_ENTRIES: usize = 1024;

/// The media types of a manifest. The formats do not differ otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ManifestFormat {
    Oci,
    Docker,
}

impl ManifestFormat {
    pub const fn manifest(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.manifest.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.v2+json",
        }
    }

    pub const fn index(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.index.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }

    pub const fn config(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.config.v1+json",
            Self::Docker => "application/vnd.docker.container.image.v1+json",
        }
    }

    /// Docker has no type for zstd, so all tools write OCI's.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerCompression {
    None,
    /// One or several members.
    Gzip,
    /// One or several frames.
    Zstd,
}

impl LayerCompression {
    /// `None` if the media type is not that of a layer.
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        let prefixes = ["application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs."];
        let rest = prefixes.iter().find_map(|prefix| media_type.strip_prefix(prefix))?;
        [
            (".tar", Self::None),
            ("+gzip", Self::Gzip),
            (".tar.gzip", Self::Gzip),
            ("+zstd", Self::Zstd),
            (".tar.zstd", Self::Zstd),
        ]
        .into_iter()
        .find_map(|(ending, compression)| rest.ends_with(ending).then_some(compression))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    schema_version: u32,
    #[serde(default)]
    pub media_type: String,
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
    /// The media type of an artifact that is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifest to which this one is attached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl ImageManifest {
    /// Docker's format has no annotations, so they are left out.
    pub fn new(
        format: ManifestFormat,
        config: Descriptor,
        layers: Vec<Descriptor>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        let (media_type, annotations) = (format.manifest().into(), allowed(annotations, format));
        let (artifact_type, subject) = (None, None);
        Self { schema_version: 2, media_type, config, layers, artifact_type, subject, annotations }
    }

    /// The bytes from which its digest is computed. Equal manifests have equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }

    pub fn format(&self) -> ManifestFormat {
        match self.media_type == ManifestFormat::Docker.manifest() {
            true => ManifestFormat::Docker,
            false => ManifestFormat::Oci,
        }
    }
}

fn allowed(annotations: BTreeMap<String, String>, format: ManifestFormat) -> BTreeMap<String, String> {
    if format == ManifestFormat::Docker { BTreeMap::new() } else { annotations }
}

fn to_bytes(manifest: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(manifest).expect("strings, numbers and maps with string keys are always JSON")
}

/// Images for several platforms under one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIndex {
    schema_version: u32,
    #[serde(default)]
    pub media_type: String,
    pub manifests: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl ImageIndex {
    /// Docker's format has no annotations, so they are left out.
    pub fn new(
        format: ManifestFormat,
        manifests: Vec<Descriptor>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        let annotations = allowed(annotations, format);
        Self { schema_version: 2, media_type: format.index().into(), manifests, annotations }
    }

    /// The bytes from which its digest is computed. Equal indexes have equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }

    /// The first image for `platform`. An image of the same variant has precedence.
    pub fn for_platform(&self, platform: &Platform) -> Option<&Descriptor> {
        let of = |descriptor: &Descriptor| descriptor.platform.as_ref().map(DescribedPlatform::platform);
        let same = self.manifests.iter().find(|entry| of(entry).as_ref() == Some(platform));
        same.or_else(|| {
            self.manifests.iter().find(|entry| of(entry).is_some_and(|other| platform.matches(&other)))
        })
    }

    /// The platforms of its images, in the order of the index.
    pub fn platforms(&self) -> Vec<Platform> {
        let described = self.manifests.iter().filter_map(|entry| entry.platform.as_ref());
        // Attestations are listed as images for an unknown platform.
        described.map(DescribedPlatform::platform).filter(|platform| platform.os != "unknown").collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest {
    Image(Box<ImageManifest>),
    Index(ImageIndex),
}

/// The error for a manifest that is not valid. Its text is about "it", the manifest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidManifest {
    #[error("it is not an image manifest: {0}")]
    Shape(String),
    #[error("its media type `{0}` is not supported")]
    MediaType(String),
    #[error("its media type is `{actual}`, but `{announced}` was announced")]
    Announced { announced: String, actual: String },
    #[error("it lists {0} entries, more than the limit of {MAXIMUM_ENTRIES}")]
    TooMany(usize),
}

impl Manifest {
    /// Parses `bytes`. `announced` is the media type of the response or the descriptor.
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
            let version = outline.schema_version.map_or("missing".to_owned(), |version| version.to_string());
            return Err(InvalidManifest::Shape(format!("its schema version is {version}, not 2")));
        }
        // Some servers send `application/json` for everything, so other types are ignored.
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
        let own = outline.media_type.filter(|text| !text.is_empty());
        if let (Some(announced), Some(own)) = (announced, &own)
            && announced != own
        {
            return Err(InvalidManifest::Announced { announced: announced.into(), actual: own.clone() });
        }
        let media_type = own.or_else(|| announced.map(str::to_owned)).unwrap_or_else(|| of_shape.into());
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
