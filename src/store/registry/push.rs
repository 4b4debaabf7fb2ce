//! Owns one repository as a target: it gets blobs in the cheapest way, then manifests, which are read back.
//!
//! Must not know which image is published.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt};

use super::Registries;
use super::content::{Content, Progress, UploadError};
use super::error::{RegistryError, RequestError};
use super::repository::{Mount, Repository};
use super::speculative::Session;
use super::upload::SMALLEST_PIECE;
use crate::image::{Descriptor, Digest, ImageReference, Manifest};
use crate::network::Retries;
use crate::store::StoredBlob;

const PARALLEL: usize = 4;

/// Most checks of uploaded blobs at once. They have no bodies.
const PARALLEL_CHECKS: usize = 16;

/// How often a manifest is sent again after the registry denied that it has the blobs.
const MANIFEST_RETRIES: u32 = 2;

/// The time for which a registry certainly remembers an upload without bytes.
const REMEMBERED: Duration = Duration::from_secs(60);

/// An upload that began before its blob was known.
pub(super) struct Early {
    session: Session,
    begun: Instant,
}

impl Early {
    /// The upload, if the registry certainly still knows it.
    pub(super) fn session(self) -> Option<Session> {
        (self.begun.elapsed() < REMEMBERED).then_some(self.session)
    }
}

pub(super) struct Target<'a> {
    pub(super) repository: Repository,
    pub(super) tags: Vec<&'a str>,
    pub(super) image: String,
    pub(super) progress: Progress,
    /// Size of the pieces of an upload, in bytes; `None` means one piece.
    pub(super) piece: Option<u64>,
    /// Blobs that this run has placed. Images of one index share some.
    placed: Mutex<BTreeSet<Digest>>,
    /// Blobs that the registry claims to have stored, and that nobody has looked for since.
    claimed: Mutex<BTreeSet<Digest>>,
}

pub(super) struct Group<'a> {
    pub(super) first: &'a ImageReference,
    pub(super) tags: Vec<&'a str>,
}

/// Groups tags by repository, in their order.
pub(super) fn by_repository(references: &[ImageReference]) -> Result<Vec<Group<'_>>, RegistryError> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for reference in references {
        let image = || reference.to_string();
        let tag = reference.tag().ok_or_else(|| RegistryError::NoTag { image: image() })?;
        match groups.iter_mut().find(|group| group.first.name() == reference.name()) {
            Some(group) if group.tags.contains(&tag) => {}
            Some(group) => group.tags.push(tag),
            None => groups.push(Group { first: reference, tags: vec![tag] }),
        }
    }
    if groups.is_empty() {
        return Err(RegistryError::NoTag { image: String::new() });
    }
    Ok(groups)
}

impl Registries {
    pub(super) fn target<'a>(
        &self,
        group: Group<'a>,
        progress: Progress,
    ) -> Result<Target<'a>, RegistryError> {
        let Group { first, tags } = group;
        let image = first.familiar();
        let host = self.host(first.registry()).map_err(|source| RegistryError::Push {
            image: image.clone(),
            registry: first.registry().to_owned(),
            source,
        })?;
        let piece = host.settings.chunk_size.or(self.shared.settings.chunk_size);
        let piece = piece.map(|piece| piece.max(SMALLEST_PIECE));
        let repository = Repository::writing(host, first.repository());
        Ok(Target {
            repository,
            tags,
            image,
            progress,
            piece,
            placed: Mutex::default(),
            claimed: Mutex::default(),
        })
    }
}

impl Target<'_> {
    pub(super) fn push(&self, source: RequestError) -> RegistryError {
        let (image, registry) = (self.image.clone(), self.repository.host.name.clone());
        RegistryError::Push { image, registry, source }
    }

    /// The tags that have another digest.
    pub(super) async fn outdated(&self, digest: &Digest) -> Result<Vec<&str>, RegistryError> {
        // Boxed, and in a list: a future that borrows through a stream's closure cannot move between threads.
        let checks: Vec<_> = self.tags.iter().map(|tag| self.is_outdated(tag, digest).boxed()).collect();
        let answers: Vec<bool> = futures_util::stream::iter(checks).buffered(PARALLEL).try_collect().await?;
        let outdated = self.tags.iter().zip(answers).filter(|(_, is_outdated)| *is_outdated);
        Ok(outdated.map(|(tag, _)| *tag).collect())
    }

    async fn is_outdated(&self, tag: &str, digest: &Digest) -> Result<bool, RegistryError> {
        // A registry may deny reading and allow writing.
        let found = match self.repository.manifest_digest(tag).await {
            Err(error) if error.is_refusal() => None,
            found => found.map_err(|error| self.push(error))?,
        };
        Ok(found != Some(*digest))
    }

    pub(super) async fn place_all(&self, blobs: Vec<Content>) -> Result<(), RegistryError> {
        let (mut digests, mut once) = (BTreeSet::new(), blobs);
        once.retain(|content| content.known().is_none_or(|known| digests.insert(known.descriptor.digest)));
        let placements: Vec<_> = once.iter().map(|content| self.place(content).boxed()).collect();
        let placements = futures_util::stream::iter(placements);
        placements.buffer_unordered(PARALLEL).try_collect::<Vec<()>>().await?;
        Ok(())
    }

    pub(super) fn note_placed(&self, digest: Digest) {
        self.placed.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
    }

    /// Places a blob in the repository in the cheapest way.
    pub(super) async fn place(&self, content: &Content) -> Result<(), RegistryError> {
        let Some(known) = content.known() else { return self.upload(content, None).await.map(drop) };
        let digest = known.descriptor.digest;
        if self.placed.lock().unwrap_or_else(PoisonError::into_inner).contains(&digest) {
            return Ok(());
        }
        self.place_known(content, &known).await?;
        self.note_placed(digest);
        Ok(())
    }

    /// Finds, mounts or uploads a blob whose digest is known.
    async fn place_known(&self, content: &Content, known: &StoredBlob) -> Result<(), RegistryError> {
        let repository = &self.repository;
        let digest = &known.descriptor.digest;
        let origin = match content {
            Content::Blob(source, _) => {
                source.origin().filter(|origin| origin.registry == repository.host.name)
            }
            Content::Bytes(..) | Content::Layer(..) => None,
        };
        let mut begun = None;
        if let Some(origin) = origin {
            // A base in this repository was just read, but only its manifest.
            if origin.repository == repository.name && self.has_blob(digest).await? {
                return Ok(());
            }
            match repository.mount(digest, &origin.repository).await.map_err(|error| self.push(error))? {
                // Confirmed now, while other blobs are sent. A blob that is missing can still be uploaded.
                Mount::Mounted if matches!(repository.shows_blob(digest).await, Ok(true)) => return Ok(()),
                Mount::Mounted => {}
                Mount::Session(session) => begun = Some(session),
                Mount::Refused => {}
            }
        }
        if self.has_blob(digest).await? {
            return Ok(());
        }
        self.send(content, begun, known.descriptor.size).await.map(drop)
    }

    async fn has_blob(&self, digest: &Digest) -> Result<bool, RegistryError> {
        self.repository.has_blob(digest).await.map_err(|error| self.push(error))
    }

    pub(super) async fn begin(&self) -> Result<Session, RegistryError> {
        self.repository.begin().await.map_err(|error| self.push(error))
    }

    /// Begins an upload for a blob that is not known yet. After a failure the upload begins later, and reports the reason.
    pub(super) async fn begin_early(&self) -> Option<Early> {
        let session = self.repository.begin_once().await?;
        Some(Early { session, begun: Instant::now() })
    }

    /// Uploads a blob without looking for it.
    pub(super) async fn upload(
        &self,
        content: &Content,
        begun: Option<Session>,
    ) -> Result<StoredBlob, RegistryError> {
        let uploaded = self.send(content, begun, content.size().unwrap_or_default()).await?;
        self.note_placed(uploaded.descriptor.digest);
        Ok(uploaded)
    }
    async fn send(
        &self,
        content: &Content,
        begun: Option<Session>,
        size: u64,
    ) -> Result<StoredBlob, RegistryError> {
        self.progress.expect(size);
        let uploaded = self.repository.upload(content, begun, self.piece, &self.progress).await;
        let uploaded = uploaded.map_err(|error| self.upload_error(error, content))?;
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(uploaded.descriptor.digest);
        Ok(uploaded)
    }

    /// Looks for all blobs that the registry claims to have stored, at once. A manifest may follow only then.
    async fn confirm_uploads(&self) -> Result<(), RegistryError> {
        let claimed = std::mem::take(&mut *self.claimed.lock().unwrap_or_else(PoisonError::into_inner));
        let checks: Vec<_> = claimed.into_iter().map(|digest| self.confirm(digest).boxed()).collect();
        let checks = futures_util::stream::iter(checks).buffer_unordered(PARALLEL_CHECKS);
        checks.try_collect::<Vec<()>>().await.map(drop)
    }

    async fn confirm(&self, digest: Digest) -> Result<(), RegistryError> {
        match self.repository.shows_blob(&digest).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(RegistryError::LostBlob { image: self.image.clone(), digest }),
            Err(error) => Err(self.push(error)),
        }
    }

    fn upload_error(&self, error: UploadError, content: &Content) -> RegistryError {
        let image = self.image.clone();
        match (error, content) {
            (UploadError::Request(error), _) => self.push(error),
            (UploadError::Open(source), Content::Blob(_, blob)) => {
                RegistryError::BaseLayer { image, digest: blob.digest, source }
            }
            (UploadError::Read(source), Content::Blob(_, blob)) => {
                RegistryError::BaseBytes { image, digest: blob.digest, source }
            }
            (UploadError::Read(source), _) => RegistryError::Content { image, source },
            (UploadError::Open(source), _) => {
                RegistryError::Content { image, source: std::io::Error::other(source) }
            }
        }
    }

    /// Publishes a manifest under `references` after its blobs are placed, and reads it back under each.
    pub(super) async fn publish_manifest(
        &self,
        references: &[&str],
        descriptor: &Descriptor,
        bytes: &Bytes,
    ) -> Result<(), RegistryError> {
        let repository = &self.repository;
        self.confirm_uploads().await?;
        for reference in references {
            self.put_manifest(reference, descriptor, bytes).await?;
            let found = match repository.manifest_digest(reference).await {
                Ok(Some(found)) => Some(found),
                // Without the header, the digest is computed from the bytes.
                Ok(None) => match repository.manifest(reference).await {
                    Ok(manifest) => Some(manifest.digest),
                    Err(error) if error.is_missing() => None,
                    Err(error) => return Err(self.push(error)),
                },
                Err(error) => return Err(self.push(error)),
            };
            if found != Some(descriptor.digest) {
                let (image, expected) = (self.image.clone(), descriptor.digest);
                return Err(RegistryError::ReadBack { image, expected, found });
            }
        }
        Ok(())
    }

    /// Puts a manifest. Under parallel pushes of the same blobs, some registries reject it although they have all blobs:
    /// b2i then looks for the blobs and sends it again.
    async fn put_manifest(
        &self,
        reference: &str,
        descriptor: &Descriptor,
        bytes: &Bytes,
    ) -> Result<(), RegistryError> {
        let host = &self.repository.host;
        let mut retries = Retries::new(host.network.retries.min(MANIFEST_RETRIES), host.network.retry_pause);
        loop {
            let put = self.repository.put_manifest(reference, &descriptor.media_type, bytes.clone()).await;
            let error = match put {
                Ok(()) => return Ok(()),
                Err(error) if error.denies_blobs() => error,
                Err(error) => return Err(self.push(error)),
            };
            let reason = "the registry answered that a blob is missing".to_owned();
            if host.pause(&mut retries, reference, reason, None).await.is_err() {
                return Err(self.push(error));
            }
            self.confirm_blobs_of(bytes).await?;
        }
    }

    /// Looks for everything that an image's manifest names.
    async fn confirm_blobs_of(&self, manifest: &Bytes) -> Result<(), RegistryError> {
        if let Ok(Manifest::Image(manifest)) = Manifest::parse(manifest, None) {
            let named = std::iter::once(&manifest.config).chain(&manifest.layers);
            self.claimed.lock().unwrap_or_else(PoisonError::into_inner).extend(named.map(|blob| blob.digest));
        }
        self.confirm_uploads().await
    }
}
