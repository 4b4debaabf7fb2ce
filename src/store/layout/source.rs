//! Owns reading images from a layout: the selection, manifest and config. Must not accept unverified or unbounded data.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::store::Store;
use super::{IMAGE_NAME, INDEX_FILE, LAYOUT_FILE, LayoutError, REF_NAME};
use crate::image::digest::InvalidDigest;
use crate::image::manifest::MAXIMUM_MANIFEST;
use crate::image::{
    BlobSource, Descriptor, Digest, ImageConfig, ImageIndex, ImageManifest, ImageReference, Manifest,
    ManifestFormat, ManifestTree, Platform,
};
use crate::store::resolved::ResolvedImage;

/// Largest config that is read, in bytes. Labels may be long, but not that long.
const MAXIMUM_CONFIG: u64 = 8 << 20;

/// Largest depth of indexes within each other.
const MAXIMUM_DEPTH: usize = 4;

/// An image in a layout: `PATH`, `PATH:TAG` or `PATH@sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutReference {
    pub path: PathBuf,
    /// Its name in the layout's annotations.
    pub tag: Option<String>,
    /// The digest of its manifest, or of an index.
    pub digest: Option<Digest>,
}

impl FromStr for LayoutReference {
    type Err = String;

    /// A tag follows the last colon, unless it contains a `/`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (rest, digest) = match text.rsplit_once('@') {
            Some((rest, digest)) if digest.starts_with("sha256:") => {
                let digest: Result<Digest, InvalidDigest> = digest.parse();
                (rest, Some(digest.map_err(|error| error.to_string())?))
            }
            _ => (text, None),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if !tag.is_empty() && !tag.contains('/') && digest.is_none() => {
                (path, Some(tag))
            }
            _ => (rest, None),
        };
        if path.is_empty() {
            return Err("the path of the layout is missing".to_owned());
        }
        Ok(Self { path: path.into(), tag: tag.map(str::to_owned), digest })
    }
}

#[derive(Debug)]
pub struct Layout {
    store: Arc<Store>,
    index: ImageIndex,
}

impl Layout {
    /// Opens the layout at `path`. Blocks; reads its index, and all headers of a tar.
    pub fn open(path: &Path) -> Result<Self, LayoutError> {
        let store = Store::open(path)?;
        if store.read(LAYOUT_FILE, MAXIMUM_MANIFEST)?.is_none() {
            return Err(store.unreadable("it has no `oci-layout`".into(), None));
        }
        let Some(bytes) = store.read(INDEX_FILE, MAXIMUM_MANIFEST)? else {
            return Err(store.unreadable("it has no `index.json`".into(), None));
        };
        match Manifest::parse(&bytes, Some(ManifestFormat::Oci.index())) {
            Ok(Manifest::Index(index)) => Ok(Self { store: Arc::new(store), index }),
            Ok(Manifest::Image(_)) => Err(store.unreadable("its `index.json` is not an index".into(), None)),
            Err(error) => Err(store.unreadable(format!("its `index.json` is not valid: {error}"), None)),
        }
    }

    pub fn names(&self) -> Vec<String> {
        let name = |entry: &Descriptor| {
            entry.annotations.get(IMAGE_NAME).or(entry.annotations.get(REF_NAME)).cloned()
        };
        self.index.manifests.iter().filter_map(name).collect()
    }

    /// The entry of an image by its public name or its digest, if the layout has it.
    pub fn find(&self, image: &ImageReference) -> Option<LayoutReference> {
        let reference = |tag, digest| LayoutReference { path: self.store.path().to_owned(), tag, digest };
        if let Some(digest) = image.digest() {
            let found = self.index.manifests.iter().any(|entry| entry.digest == digest);
            return found.then(|| reference(None, Some(digest)));
        }
        // A bare tag is not a name.
        let is_it = |name: &&String| {
            name.contains([':', '/']) && name.parse::<ImageReference>().is_ok_and(|name| name == *image)
        };
        let names = self.index.manifests.iter().flat_map(|entry| {
            [IMAGE_NAME, REF_NAME].into_iter().filter_map(|key| entry.annotations.get(key))
        });
        names.into_iter().find(is_it).map(|name| reference(Some(name.clone()), None))
    }

    /// Finds one image and reads its manifest and config. Ignores the path of `reference`. Blocks.
    ///
    /// # Errors
    /// [`LayoutError::NotFound`] if none or several images match; other errors if the image is damaged.
    pub fn resolve(
        &self,
        reference: &LayoutReference,
        platform: &Platform,
    ) -> Result<ResolvedImage, LayoutError> {
        let mut descriptor = self.choose(reference, Some(platform))?;
        let root = descriptor.clone();
        for _ in 0..MAXIMUM_DEPTH {
            let bytes = self.store.read_blob(&descriptor, MAXIMUM_MANIFEST)?;
            let invalid = |source| LayoutError::Manifest {
                digest: descriptor.digest,
                path: self.store.path().to_owned(),
                source,
            };
            match Manifest::parse(&bytes, Some(&descriptor.media_type)).map_err(invalid)? {
                Manifest::Image(manifest) => {
                    return self.image(&root, descriptor, *manifest);
                }
                Manifest::Index(index) => descriptor = self.for_platform(&index, platform)?.clone(),
            }
        }
        Err(self.store.unreadable(format!("its indexes are nested more than {MAXIMUM_DEPTH} deep"), None))
    }

    /// The manifest or index of `reference`, with all its platforms, for copying.
    ///
    /// # Errors
    /// [`LayoutError::NotFound`] if nothing or several entries match.
    pub fn tree(&self, reference: &LayoutReference) -> Result<ManifestTree, LayoutError> {
        let root = self.choose(reference, None)?;
        Ok(ManifestTree { name: self.name_of(&root), root, blobs: self.blobs(), is_raw: false })
    }

    /// The source of its blobs and of the manifests that its indexes name.
    pub fn blobs(&self) -> Arc<dyn BlobSource> {
        self.store.clone()
    }

    fn choose(
        &self,
        reference: &LayoutReference,
        platform: Option<&Platform>,
    ) -> Result<Descriptor, LayoutError> {
        let matches = |entry: &&Descriptor| match (&reference.digest, &reference.tag) {
            (Some(digest), _) => entry.digest == *digest,
            (None, Some(tag)) => is_named(entry, tag),
            (None, None) => true,
        };
        let found: Vec<&Descriptor> = self.index.manifests.iter().filter(matches).collect();
        let clause = || match (&reference.digest, &reference.tag) {
            (Some(digest), _) => format!("has the digest {digest}"),
            (None, Some(tag)) => format!("is named `{tag}`"),
            (None, None) => "matches without a name".into(),
        };
        match found[..] {
            [] => Err(self.not_found("no image", clause())),
            [first, ..] if found.iter().all(|entry| entry.digest == first.digest) => Ok(first.clone()),
            // The layout has one name for several platforms, without an index.
            [..] if let Some(platform) = platform
                && found.iter().all(|entry| entry.platform.is_some() && same_name(entry, found[0])) =>
            {
                let mut index = self.index.clone();
                index.manifests = found.into_iter().cloned().collect();
                self.for_platform(&index, platform).cloned()
            }
            [..] => Err(self.ambiguous(&found, reference)),
        }
    }

    /// Several entries match; the hint names each by its digest.
    fn ambiguous(&self, found: &[&Descriptor], reference: &LayoutReference) -> LayoutError {
        let path = self.store.path();
        let by_digest =
            |entry: &&Descriptor| format!("{} (`{}@{}`)", self.name_of(entry), path.display(), entry.digest);
        LayoutError::NotFound {
            path: path.to_owned(),
            criterion: match &reference.tag {
                Some(tag) => format!("are named `{tag}`"),
                None => "match; the reference has no tag".into(),
            },
            found: format!("{} images", found.len()),
            names: found.iter().map(by_digest).collect(),
        }
    }

    fn for_platform<'a>(
        &self,
        index: &'a ImageIndex,
        platform: &Platform,
    ) -> Result<&'a Descriptor, LayoutError> {
        if let [only] = &index.manifests[..]
            && only.platform.is_none()
        {
            return Ok(only);
        }
        index.for_platform(platform).ok_or_else(|| {
            let platforms: Vec<String> = index.platforms().iter().map(ToString::to_string).collect();
            self.not_found("no image", format!("is for {platform} (it has: {})", platforms.join(", ")))
        })
    }

    fn name_of(&self, root: &Descriptor) -> String {
        let name = root.annotations.get(IMAGE_NAME).or(root.annotations.get(REF_NAME));
        let name = name.map_or_else(|| root.digest.to_string(), Clone::clone);
        name.parse::<ImageReference>().map_or(name, |reference| reference.familiar())
    }

    fn not_found(&self, found: &str, criterion: String) -> LayoutError {
        LayoutError::NotFound {
            path: self.store.path().to_owned(),
            criterion,
            found: found.to_owned(),
            names: self.names(),
        }
    }

    fn image(
        &self,
        root: &Descriptor,
        descriptor: Descriptor,
        manifest: ImageManifest,
    ) -> Result<ResolvedImage, LayoutError> {
        let config_bytes = self.store.read_blob(&manifest.config, MAXIMUM_CONFIG)?;
        let bad_config = |reason| LayoutError::Blob {
            digest: manifest.config.digest,
            path: self.store.path().to_owned(),
            reason,
        };
        let invalid = |error| bad_config(format!("is not a valid config: {error}"));
        let config = ImageConfig::parse(&config_bytes).map_err(invalid)?;
        let (ids, layers) = (config.diff_ids().map_err(invalid)?.len(), manifest.layers.len());
        if ids != layers {
            return Err(bad_config(format!("has {ids} layers, but the manifest has {layers}")));
        }
        Ok(ResolvedImage {
            // The name is not the path: images contain the names of their bases.
            name: self.name_of(root),
            root: Some(root.digest),
            descriptor,
            manifest,
            config_bytes,
            config,
            blobs: self.store.clone(),
        })
    }
}

impl std::fmt::Display for LayoutReference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.path.display())?;
        match (&self.digest, &self.tag) {
            (Some(digest), _) => write!(formatter, "@{digest}"),
            (None, Some(tag)) => write!(formatter, ":{tag}"),
            (None, None) => Ok(()),
        }
    }
}

/// Whether an entry has this name: the tag, or the full name in any spelling.
fn is_named(entry: &Descriptor, name: &str) -> bool {
    let annotation = |key| entry.annotations.get(key).map(String::as_str);
    let full = || name.parse::<ImageReference>().map(|reference| reference.to_string()).ok();
    annotation(REF_NAME) == Some(name)
        || annotation(IMAGE_NAME).is_some_and(|found| found == name || full().as_deref() == Some(found))
}

fn same_name(one: &Descriptor, other: &Descriptor) -> bool {
    [REF_NAME, IMAGE_NAME].iter().all(|key| one.annotations.get(*key) == other.annotations.get(*key))
}
