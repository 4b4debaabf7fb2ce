//! Owns registries as an image source: from a name to a base image, whose layers are opened only on demand.
//!
//! Whatever is named by a digest is verified over its bytes. What the cache has is not asked for again.

use std::sync::Arc;

use super::Registries;
use super::blob::RegistryBlobs;
use super::error::{RegistryError, RequestError};
use super::repository::{FetchedManifest, Repository};
use super::request::send_and_read;
use crate::events::Step;
use crate::image::{
    BaseImage, BlobOrigin, BlobSource, Descriptor, Digest, ImageConfig, ImageManifest, ImageReference,
    Manifest, ManifestTree, Platform, PullPolicy, manifest::MAXIMUM_MANIFEST,
};
use crate::store::cache::KnownName;
use crate::store::resolved::ResolvedImage;

/// Largest config that is read, in bytes.
const MAXIMUM_CONFIG: u64 = 8 << 20;

/// How an image is looked for.
#[derive(Clone, Debug, Default)]
pub struct ResolveOptions {
    /// The platform that it has to be for; none means the one of this machine.
    pub platform: Option<Platform>,
    /// Whether the registry may be asked: `Never` takes what the cache has, the others ask for what a tag means.
    pub pull: PullPolicy,
    /// Whether the network is forbidden.
    pub offline: bool,
    /// What the name was found to mean before: a manifest or an index, which is taken whatever the name means by now.
    pub pinned: Option<Digest>,
}

/// A manifest, and where it was read.
struct Found {
    manifest: FetchedManifest,
    repository: Repository,
}

/// The manifest of one image.
struct FoundImage {
    manifest: ImageManifest,
    bytes: Vec<u8>,
    digest: Digest,
}

/// Names one image in errors.
struct Asked<'a> {
    reference: &'a ImageReference,
    image: String,
}

impl Registries {
    /// Resolves `reference` to a base image. Its `manifest_digest` is of what the name means: of the index, if it is
    /// one.
    ///
    /// # Errors
    /// [`RegistryError::Missing`], [`RegistryError::Platform`], [`RegistryError::Offline`] and others of reading.
    pub async fn resolve(
        &self,
        reference: &ImageReference,
        options: &ResolveOptions,
    ) -> Result<BaseImage, RegistryError> {
        let pinned = options.pinned.map(|digest| reference.with_digest(digest));
        let asked = Asked { reference: pinned.as_ref().unwrap_or(reference), image: reference.familiar() };
        let step = self.events().start(Step::Base, asked.image.clone(), None);
        let image = self.resolve_asked(&asked, options).await?;
        asked.check_layers(&image)?;
        match (&pinned, &options.platform) {
            (Some(_), Some(platform)) => step.finish(format!("the same, for {platform}")),
            _ => step.finish("from its registry"),
        }
        Ok(image.into_base())
    }

    /// Resolves `reference` to the image for one platform, known down to its blobs. Its descriptor is of the image's
    /// own manifest, also if the name means an index.
    ///
    /// # Errors
    /// As [`Registries::resolve`].
    pub async fn resolve_image(
        &self,
        reference: &ImageReference,
        options: &ResolveOptions,
    ) -> Result<ResolvedImage, RegistryError> {
        let asked = Asked { reference, image: reference.familiar() };
        self.resolve_asked(&asked, options).await
    }

    async fn resolve_asked(
        &self,
        asked: &Asked<'_>,
        options: &ResolveOptions,
    ) -> Result<ResolvedImage, RegistryError> {
        let root = self.root(asked, options).await?;
        let root_digest = root.manifest.digest;
        let wanted = options.platform.clone().unwrap_or_else(Platform::host);
        let (image, repository) = self.for_platform(asked, root, &wanted, options).await?;
        let (config, config_bytes) = self.config(asked, &repository, &image.manifest, options).await?;
        let found = config.platform();
        if !wanted.matches(&found) {
            let (image, available) = (asked.image.clone(), vec![found]);
            return Err(RegistryError::Platform { image, wanted: Box::new(wanted), available });
        }
        let size = image.bytes.len() as u64;
        Ok(ResolvedImage {
            name: asked.image.clone(),
            root: Some(root_digest),
            descriptor: Descriptor::new(&image.manifest.media_type, image.digest, size),
            manifest: image.manifest,
            config_bytes,
            config,
            blobs: self.blobs(asked.reference, repository),
        })
    }

    /// Reads what `reference` means, with all its platforms: what copying needs.
    ///
    /// # Errors
    /// As [`Registries::resolve`].
    pub async fn open(
        &self,
        reference: &ImageReference,
        options: &ResolveOptions,
    ) -> Result<ManifestTree, RegistryError> {
        let asked = Asked { reference, image: reference.familiar() };
        let Found { manifest, repository } = self.root(&asked, options).await?;
        let parsed = asked.parse(&manifest)?;
        let media_type = match &parsed {
            Manifest::Image(image) => &image.media_type,
            Manifest::Index(index) => &index.media_type,
        };
        let descriptor = Descriptor::new(media_type, manifest.digest, manifest.bytes.len() as u64);
        let (blobs, name) = (self.blobs(reference, repository), asked.image);
        Ok(ManifestTree { root: descriptor, blobs, name, is_raw: false })
    }

    fn blobs(&self, reference: &ImageReference, repository: Repository) -> Arc<dyn BlobSource> {
        let origin = BlobOrigin {
            registry: reference.registry().to_owned(),
            repository: reference.repository().to_owned(),
        };
        Arc::new(RegistryBlobs { repository, origin, maximum: self.settings().maximum_blob })
    }

    /// The manifest or index that the name means.
    async fn root(&self, asked: &Asked<'_>, options: &ResolveOptions) -> Result<Found, RegistryError> {
        let reference = asked.reference;
        let name = reference.to_string();
        let known = match reference.digest() {
            Some(digest) => Some(digest),
            None => self.known_name(&name).map(|known| known.digest),
        };
        let cached = known.and_then(|digest| Some((digest, self.cached(&digest, MAXIMUM_MANIFEST)?)));
        if let Some((digest, bytes)) = cached {
            let repository = self.reading(asked)?;
            let asks_nothing = reference.digest().is_some() || asked.forbidden(options).is_some();
            let current = if asks_nothing {
                Some(digest)
            } else {
                repository.manifest_digest(&target_of(reference)).await.map_err(|error| asked.pull(error))?
            };
            if current == Some(digest) {
                let media_type = self.known_name(&name).map(|known| known.media_type);
                return Ok(Found { manifest: FetchedManifest { bytes, digest, media_type }, repository });
            }
        }
        if let Some(reason) = asked.forbidden(options) {
            return Err(RegistryError::Offline { image: asked.image.clone(), reason });
        }
        let found = self.fetch(asked).await?;
        self.keep(&found.manifest.bytes);
        if let Some(media_type) = &found.manifest.media_type {
            let known = KnownName { digest: found.manifest.digest, media_type: media_type.clone() };
            self.remember_name(&name, &known);
        }
        Ok(found)
    }

    fn reading(&self, asked: &Asked<'_>) -> Result<Repository, RegistryError> {
        let reference = asked.reference;
        let host = self.host(reference.registry()).map_err(|error| asked.pull(error))?;
        Ok(Repository::reading(host, reference.repository()))
    }

    /// Reads the manifest from the first mirror that has it, else from the registry.
    async fn fetch(&self, asked: &Asked<'_>) -> Result<Found, RegistryError> {
        let reference = asked.reference;
        let own = self.reading(asked)?;
        for mirror in &own.host.settings.mirrors {
            let host = self.host(mirror.registry()).map_err(|error| asked.pull(error))?;
            let repository = Repository::reading(host, &mirror.within(reference.repository()));
            let error = match repository.manifest(&target_of(reference)).await {
                Ok(manifest) => match asked.verified(manifest) {
                    Ok(manifest) => return Ok(Found { manifest, repository }),
                    Err(error) => error.to_string(),
                },
                Err(error) => error.to_string(),
            };
            let message = format!("the mirror `{mirror}` does not give `{}`: {error}", asked.image);
            self.events().note(message);
        }
        let manifest = own.manifest(&target_of(reference)).await.map_err(|error| asked.pull(error))?;
        Ok(Found { manifest: asked.verified(manifest)?, repository: own })
    }

    /// Goes from an index to the image for `wanted`.
    async fn for_platform(
        &self,
        asked: &Asked<'_>,
        root: Found,
        wanted: &Platform,
        options: &ResolveOptions,
    ) -> Result<(FoundImage, Repository), RegistryError> {
        let Found { manifest, repository } = root;
        let index = match asked.parse(&manifest)? {
            Manifest::Image(image) => {
                let FetchedManifest { bytes, digest, .. } = manifest;
                return Ok((FoundImage { manifest: *image, bytes, digest }, repository));
            }
            Manifest::Index(index) => index,
        };
        let Some(entry) = index.for_platform(wanted) else {
            let (image, available) = (asked.image.clone(), index.platforms());
            return Err(RegistryError::Platform { image, wanted: Box::new(wanted.clone()), available });
        };
        let bytes = match self.cached(&entry.digest, MAXIMUM_MANIFEST) {
            Some(bytes) => bytes,
            None => {
                asked.allow(options)?;
                let fetched = repository.manifest(&entry.digest.to_string()).await;
                let fetched = fetched.map_err(|error| asked.pull(error))?;
                asked.compare("the manifest", entry.digest, fetched.digest)?;
                self.keep(&fetched.bytes);
                fetched.bytes
            }
        };
        let media_type = Some(entry.media_type.clone()).filter(|media_type| !media_type.is_empty());
        let fetched = FetchedManifest { bytes, digest: entry.digest, media_type };
        match asked.parse(&fetched)? {
            Manifest::Image(image) => {
                let FetchedManifest { bytes, digest, .. } = fetched;
                Ok((FoundImage { manifest: *image, bytes, digest }, repository))
            }
            Manifest::Index(_) => Err(asked.invalid("it is an index within an index".into())),
        }
    }

    async fn config(
        &self,
        asked: &Asked<'_>,
        repository: &Repository,
        manifest: &ImageManifest,
        options: &ResolveOptions,
    ) -> Result<(ImageConfig, Vec<u8>), RegistryError> {
        let descriptor = &manifest.config;
        if descriptor.size > MAXIMUM_CONFIG {
            let size = descriptor.size;
            return Err(
                asked.invalid(format!("its config has {size} bytes; at most {MAXIMUM_CONFIG} are read"))
            );
        }
        let bytes = match self.cached(&descriptor.digest, MAXIMUM_CONFIG) {
            Some(bytes) => bytes,
            None => {
                asked.allow(options)?;
                let call = repository.call(http::Method::GET, &format!("blobs/{}", descriptor.digest));
                let sent =
                    send_and_read(&repository.host, &call, http::StatusCode::OK, descriptor.size).await;
                let (_, bytes) = sent.map_err(|error| asked.pull(error))?;
                asked.compare("the config", descriptor.digest, Digest::of(&bytes))?;
                self.keep(&bytes);
                bytes
            }
        };
        let image = || asked.image.clone();
        let config = ImageConfig::parse(&bytes);
        Ok((config.map_err(|source| RegistryError::Config { image: image(), source })?, bytes))
    }
}

impl Asked<'_> {
    /// What forbids asking the registry.
    fn forbidden(&self, options: &ResolveOptions) -> Option<&'static str> {
        if options.offline {
            Some("the network is not used (`--offline`)")
        } else if options.pull == PullPolicy::Never {
            Some("pulling is switched off (`--pull never`)")
        } else {
            None
        }
    }

    fn allow(&self, options: &ResolveOptions) -> Result<(), RegistryError> {
        let image = self.image.clone();
        self.forbidden(options).map_or(Ok(()), |reason| Err(RegistryError::Offline { image, reason }))
    }

    fn verified(&self, manifest: FetchedManifest) -> Result<FetchedManifest, RegistryError> {
        if let Some(digest) = self.reference.digest() {
            self.compare("the manifest", digest, manifest.digest)?;
        }
        Ok(manifest)
    }

    fn compare(&self, what: &'static str, expected: Digest, found: Digest) -> Result<(), RegistryError> {
        if expected == found {
            return Ok(());
        }
        Err(RegistryError::Digest { image: self.image.clone(), what, expected, found })
    }

    fn pull(&self, source: RequestError) -> RegistryError {
        let (image, registry) = (self.image.clone(), self.reference.registry().to_owned());
        if source.is_missing() {
            RegistryError::Missing { image, registry, source }
        } else {
            RegistryError::Pull { image, registry, source }
        }
    }

    fn invalid(&self, reason: String) -> RegistryError {
        RegistryError::Invalid { image: self.image.clone(), reason }
    }

    fn parse(&self, manifest: &FetchedManifest) -> Result<Manifest, RegistryError> {
        let parsed = Manifest::parse(&manifest.bytes, manifest.media_type.as_deref());
        parsed.map_err(|source| RegistryError::Manifest { image: self.image.clone(), source })
    }

    /// A base's manifest has as many layers as its config has diff IDs.
    fn check_layers(&self, image: &ResolvedImage) -> Result<(), RegistryError> {
        let invalid = |source| RegistryError::Config { image: self.image.clone(), source };
        let (layers, ids) = (image.manifest.layers.len(), image.config.diff_ids().map_err(invalid)?.len());
        if layers != ids {
            return Err(self.invalid(format!("its manifest has {layers} layers, and its config {ids}")));
        }
        Ok(())
    }
}

/// What to ask the registry for: the digest counts more than the tag.
fn target_of(reference: &ImageReference) -> String {
    match reference.digest() {
        Some(digest) => digest.to_string(),
        None => reference.tag().unwrap_or("latest").to_owned(),
    }
}
