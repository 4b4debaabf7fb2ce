//! Owns registries as an image source: from a name to a base image. Must not read layers.
//!
//! Every manifest and config is compared with its digest. What the cache has is not requested again. The layers of a base
//! stay in the cache; those of a copied image do not.

use std::sync::Arc;

use super::Registries;
use super::blob::RegistryBlobs;
use super::cached_blobs::CachedBlobs;
use super::error::{Forbidden, RegistryError, RequestError};
use super::mirror::{self, Mirror};
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

#[derive(Clone, Debug, Default)]
pub struct ResolveOptions {
    /// The platform; `None` means this machine's.
    pub platform: Option<Platform>,
    /// With `Never`, only the cache is used. Otherwise, a request to the registry finds the tag's digest.
    pub pull: PullPolicy,
    pub offline: bool,
    /// A manifest or index that the name had before. It is used even if the tag has moved.
    pub pinned: Option<Digest>,
}

/// One image and its name for errors.
struct Lookup<'a> {
    reference: &'a ImageReference,
    image: String,
    /// Why requests to the registry are forbidden.
    forbidden: Option<Forbidden>,
    /// Whether the image is the base of a build. Other images are copied.
    is_base: bool,
}

impl ResolveOptions {
    /// The option that forbids requests to the registry.
    fn forbidden(&self, is_base: bool) -> Option<Forbidden> {
        match self {
            _ if self.offline && is_base => Some(Forbidden::Offline),
            _ if self.offline => Some(Forbidden::OfflineCopy),
            _ if self.pull == PullPolicy::Never => Some(Forbidden::PullNever),
            _ => None,
        }
    }
}

impl Registries {
    /// Resolves `reference` to a base image. Its `manifest_digest` is that of the index, if the name has one.
    ///
    /// # Errors
    /// [`RegistryError::Missing`], [`RegistryError::Platform`], [`RegistryError::Offline`] and others of reading.
    pub async fn resolve(
        &self,
        reference: &ImageReference,
        options: &ResolveOptions,
    ) -> Result<BaseImage, RegistryError> {
        let pinned = options.pinned.map(|digest| reference.with_digest(digest));
        let lookup = Lookup {
            reference: pinned.as_ref().unwrap_or(reference),
            image: reference.familiar(),
            forbidden: options.forbidden(true),
            is_base: true,
        };
        let step = self.shared.events.start(Step::Base, lookup.image.clone(), None);
        if let Some((image, place)) = self.image_in_layout(lookup.reference, options).await {
            step.finish(mirror::from(&place));
            return Ok(image.into_base());
        }
        let image = self.resolve_one(&lookup, options).await?;
        lookup.check_layers(&image)?;
        match (&pinned, &options.platform) {
            (Some(_), Some(platform)) => step.finish(format!("the same, for {platform}")),
            _ if lookup.forbidden.is_some() => step.finish("from the cache"),
            _ => step.finish("from its registry"),
        }
        Ok(image.into_base())
    }

    /// Resolves `reference` to the image for one platform. Its descriptor is that of the image's own manifest, also if the
    /// name has an index.
    pub async fn resolve_image(
        &self,
        reference: &ImageReference,
        options: &ResolveOptions,
    ) -> Result<ResolvedImage, RegistryError> {
        if let Some((image, _)) = self.image_in_layout(reference, options).await {
            return Ok(image);
        }
        let lookup = Lookup::of_copy(reference, options);
        self.resolve_one(&lookup, options).await
    }

    async fn resolve_one(
        &self,
        lookup: &Lookup<'_>,
        options: &ResolveOptions,
    ) -> Result<ResolvedImage, RegistryError> {
        let (root, repository) = self.root(lookup).await?;
        let root_digest = root.digest;
        let platform = options.platform.clone().unwrap_or_else(Platform::host);
        let (manifest, descriptor) = self.for_platform(lookup, root, &repository, &platform).await?;
        let (config, config_bytes) = self.config(lookup, &repository, &manifest).await?;
        let found = config.platform();
        if !platform.matches(&found) {
            return Err(lookup.wrong_platform(&platform, vec![found]));
        }
        Ok(ResolvedImage {
            name: lookup.image.clone(),
            root: Some(root_digest),
            descriptor,
            manifest,
            config_bytes,
            config,
            blobs: self.blobs(lookup, repository),
        })
    }

    /// Reads the manifest or index of `reference`, with all its platforms, for copying.
    pub async fn open(
        &self,
        reference: &ImageReference,
        options: &ResolveOptions,
    ) -> Result<ManifestTree, RegistryError> {
        if let Some(tree) = self.tree_in_layout(reference).await {
            return Ok(tree);
        }
        let lookup = Lookup::of_copy(reference, options);
        let (manifest, repository) = self.root(&lookup).await?;
        let parsed = lookup.parse(&manifest)?;
        let media_type = match &parsed {
            Manifest::Image(image) => &image.media_type,
            Manifest::Index(index) => &index.media_type,
        };
        let descriptor = Descriptor::new(media_type, manifest.digest, manifest.bytes.len() as u64);
        let (blobs, name) = (self.blobs(&lookup, repository), lookup.image);
        Ok(ManifestTree { root: descriptor, blobs, name, is_raw: false })
    }

    fn blobs(&self, lookup: &Lookup<'_>, repository: Repository) -> Arc<dyn BlobSource> {
        let reference = lookup.reference;
        let origin = BlobOrigin {
            registry: reference.registry().to_owned(),
            repository: reference.repository().to_owned(),
        };
        Arc::new(CachedBlobs {
            remote: RegistryBlobs { repository, origin, maximum: self.shared.settings.maximum_blob },
            cache: self.cache.clone(),
            is_kept: lookup.is_base,
            forbidden: lookup.forbidden,
            image: lookup.image.clone(),
        })
    }

    /// The manifest or index of the name, and where it was read.
    async fn root(&self, lookup: &Lookup<'_>) -> Result<(FetchedManifest, Repository), RegistryError> {
        let reference = lookup.reference;
        let name = reference.to_string();
        let known = self.known_name(&name);
        let digest = reference.digest().or(known.as_ref().map(|known| known.digest));
        if let Some(digest) = digest
            && let Some(bytes) = self.cached(&digest, MAXIMUM_MANIFEST)
        {
            let repository = self.reading(lookup)?;
            let is_current = reference.digest().is_some()
                || lookup.forbidden.is_some()
                || repository
                    .manifest_digest(&target_of(reference))
                    .await
                    .map_err(|error| lookup.pull(error))?
                    == Some(digest);
            if is_current {
                let media_type = known.map(|known| known.media_type);
                return Ok((FetchedManifest { bytes, digest, media_type }, repository));
            }
        }
        lookup.allow()?;
        let (manifest, repository) = self.fetch(lookup).await?;
        self.keep(&manifest.bytes);
        if let Some(media_type) = manifest.media_type.clone() {
            self.remember_name(&name, &KnownName { digest: manifest.digest, media_type });
        }
        Ok((manifest, repository))
    }

    fn reading(&self, lookup: &Lookup<'_>) -> Result<Repository, RegistryError> {
        let reference = lookup.reference;
        let host = self.host(reference.registry()).map_err(|error| lookup.pull(error))?;
        Ok(Repository::reading(host, reference.repository()))
    }

    /// Reads the manifest from the first mirror that has it, else from the registry.
    async fn fetch(&self, lookup: &Lookup<'_>) -> Result<(FetchedManifest, Repository), RegistryError> {
        let reference = lookup.reference;
        let own = self.reading(lookup)?;
        for mirror in own.host.settings.mirrors.iter().filter_map(Mirror::prefix) {
            let host = self.host(mirror.registry()).map_err(|error| lookup.pull(error))?;
            let repository = Repository::reading(host, &mirror.within(reference.repository()));
            let error = match repository.manifest(&target_of(reference)).await {
                Ok(manifest) => match lookup.verified(manifest) {
                    Ok(manifest) => return Ok((manifest, repository)),
                    Err(error) => error.to_string(),
                },
                Err(error) => error.to_string(),
            };
            let message = format!("the mirror `{mirror}` failed for `{}`: {error}", lookup.image);
            self.shared.events.note(message);
        }
        let manifest = own.manifest(&target_of(reference)).await.map_err(|error| lookup.pull(error))?;
        Ok((lookup.verified(manifest)?, own))
    }

    /// Selects the image for `platform` from `root`, if that is an index.
    async fn for_platform(
        &self,
        lookup: &Lookup<'_>,
        root: FetchedManifest,
        repository: &Repository,
        platform: &Platform,
    ) -> Result<(ImageManifest, Descriptor), RegistryError> {
        let described = |manifest: Box<ImageManifest>, digest, bytes: &[u8]| {
            let descriptor = Descriptor::new(&manifest.media_type, digest, bytes.len() as u64);
            (*manifest, descriptor)
        };
        let index = match lookup.parse(&root)? {
            Manifest::Image(image) => return Ok(described(image, root.digest, &root.bytes)),
            Manifest::Index(index) => index,
        };
        let Some(entry) = index.for_platform(platform) else {
            return Err(lookup.wrong_platform(platform, index.platforms()));
        };
        let bytes = match self.cached(&entry.digest, MAXIMUM_MANIFEST) {
            Some(bytes) => bytes,
            None => {
                lookup.allow()?;
                let fetched = repository.manifest(&entry.digest.to_string()).await;
                let fetched = fetched.map_err(|error| lookup.pull(error))?;
                lookup.compare("the manifest", entry.digest, fetched.digest)?;
                self.keep(&fetched.bytes);
                fetched.bytes
            }
        };
        let media_type = Some(entry.media_type.clone());
        let fetched = FetchedManifest { bytes, digest: entry.digest, media_type };
        match lookup.parse(&fetched)? {
            Manifest::Image(image) => Ok(described(image, fetched.digest, &fetched.bytes)),
            Manifest::Index(_) => Err(lookup.invalid("it is an index within an index".into())),
        }
    }

    async fn config(
        &self,
        lookup: &Lookup<'_>,
        repository: &Repository,
        manifest: &ImageManifest,
    ) -> Result<(ImageConfig, Vec<u8>), RegistryError> {
        let descriptor = &manifest.config;
        if descriptor.size > MAXIMUM_CONFIG {
            let size = descriptor.size;
            return Err(lookup.invalid(format!("its config has {size} bytes; the limit is {MAXIMUM_CONFIG}")));
        }
        let bytes = match self.cached(&descriptor.digest, MAXIMUM_CONFIG) {
            Some(bytes) => bytes,
            None => {
                lookup.allow()?;
                let call = repository.call(http::Method::GET, &format!("blobs/{}", descriptor.digest));
                let sent =
                    send_and_read(&repository.host, &call, http::StatusCode::OK, descriptor.size).await;
                let (_, bytes) = sent.map_err(|error| lookup.pull(error))?;
                lookup.compare("the config", descriptor.digest, Digest::of(&bytes))?;
                self.keep(&bytes);
                bytes
            }
        };
        let config = ImageConfig::parse(&bytes);
        let invalid = |source| RegistryError::Config { image: lookup.image.clone(), source };
        Ok((config.map_err(invalid)?, bytes))
    }
}

impl<'a> Lookup<'a> {
    fn of_copy(reference: &'a ImageReference, options: &ResolveOptions) -> Self {
        let forbidden = options.forbidden(false);
        Self { reference, image: reference.familiar(), forbidden, is_base: false }
    }

    /// Fails if the options forbid a request to the registry.
    fn allow(&self) -> Result<(), RegistryError> {
        match self.forbidden {
            Some(forbidden) => {
                Err(RegistryError::Offline { image: self.image.clone(), part: None, forbidden })
            }
            None => Ok(()),
        }
    }

    fn wrong_platform(&self, platform: &Platform, available: Vec<Platform>) -> RegistryError {
        let (image, platform) = (self.image.clone(), Box::new(platform.clone()));
        RegistryError::Platform { image, platform, available }
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

    /// Checks that the manifest has as many layers as the config.
    fn check_layers(&self, image: &ResolvedImage) -> Result<(), RegistryError> {
        let invalid = |source| RegistryError::Config { image: self.image.clone(), source };
        let (layers, ids) = (image.manifest.layers.len(), image.config.diff_ids().map_err(invalid)?.len());
        if layers != ids {
            return Err(self.invalid(format!("its manifest has {layers} layers, its config has {ids}")));
        }
        Ok(())
    }
}

fn target_of(reference: &ImageReference) -> String {
    match reference.digest() {
        Some(digest) => digest.to_string(),
        None => reference.tag().unwrap_or("latest").to_owned(),
    }
}
