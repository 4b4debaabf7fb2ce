//! Owns one repository as the place where something is published: blobs get there in the cheapest way, manifests
//! last, and what was published is read back.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt};

use super::Registries;
use super::content::{Content, ContentError, Progress, Uploaded};
use super::error::{RegistryError, RequestError};
use super::repository::{Mount, Repository};
use super::speculative::Session;
use super::upload::{SMALLEST_PIECE, UploadError};
use crate::image::{Descriptor, Digest, ImageReference};

/// How many blobs move at once.
const PARALLEL: usize = 4;

/// How long a registry is trusted to remember an upload of which it got nothing yet.
const REMEMBERED: Duration = Duration::from_secs(60);

/// An upload that was begun before it was known what it is.
pub(super) struct Early {
    session: Session,
    begun: Instant,
}

impl Early {
    /// The upload, if the registry can be trusted to know it still.
    pub(super) fn session(self) -> Option<Session> {
        (self.begun.elapsed() < REMEMBERED).then_some(self.session)
    }
}

/// A repository to publish in.
pub(super) struct Target<'a> {
    pub(super) repository: Repository,
    pub(super) tags: Vec<&'a str>,
    /// How it is named to people.
    pub(super) image: String,
    pub(super) progress: Progress,
    /// Size of the pieces, if blobs have to go in pieces.
    pub(super) piece: Option<u64>,
    /// Blobs that this run got there already: images of one index share some.
    placed: Mutex<BTreeSet<Digest>>,
}

/// Tags of one repository.
pub(super) struct Group<'a> {
    pub(super) first: &'a ImageReference,
    pub(super) tags: Vec<&'a str>,
}

/// Puts the tags of one repository together, in the order in which they come.
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
    /// Prepares to publish under the tags of `group`.
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
        let piece = host.settings.chunk_size.or(self.settings().chunk_size);
        let piece = piece.map(|piece| piece.max(SMALLEST_PIECE));
        let repository = Repository::writing(host, first.repository());
        Ok(Target { repository, tags, image, progress, piece, placed: Mutex::default() })
    }
}

impl Target<'_> {
    pub(super) fn push(&self, source: RequestError) -> RegistryError {
        let (image, registry) = (self.image.clone(), self.repository.host.name.clone());
        RegistryError::Push { image, registry, source }
    }

    /// Names the tags that do not have `digest` yet.
    pub(super) async fn outdated(&self, digest: &Digest) -> Result<Vec<&str>, RegistryError> {
        // Boxed, and in a list: a future that borrows through a stream's closure cannot move between threads.
        let checks: Vec<_> = self.tags.iter().map(|tag| self.is_outdated(tag, digest).boxed()).collect();
        let answers: Vec<bool> = futures_util::stream::iter(checks).buffered(PARALLEL).try_collect().await?;
        let outdated = self.tags.iter().zip(answers).filter(|(_, is_outdated)| *is_outdated);
        Ok(outdated.map(|(tag, _)| *tag).collect())
    }

    async fn is_outdated(&self, tag: &str, digest: &Digest) -> Result<bool, RegistryError> {
        // Who may not look may still be allowed to write; writing will tell.
        let found = match self.repository.manifest_digest(tag).await {
            Err(error) if error.is_refusal() => None,
            found => found.map_err(|error| self.push(error))?,
        };
        Ok(found != Some(*digest))
    }

    /// Gets all of `blobs` into the repository, each once.
    pub(super) async fn place_all(&self, blobs: Vec<Content>) -> Result<(), RegistryError> {
        let mut seen: Vec<Digest> = Vec::new();
        let mut once = blobs;
        once.retain(|content| match content.known() {
            Some(known) if seen.contains(&known.descriptor.digest) => false,
            Some(known) => {
                seen.push(known.descriptor.digest);
                true
            }
            None => true,
        });
        let placements: Vec<_> = once.iter().map(|content| self.place(content).boxed()).collect();
        let placements = futures_util::stream::iter(placements);
        placements.buffer_unordered(PARALLEL).try_collect::<Vec<()>>().await?;
        Ok(())
    }

    /// Remembers that a blob is there.
    pub(super) fn note_placed(&self, digest: Digest) {
        self.placed.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
    }

    /// Gets a blob into the repository in the cheapest way.
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

    /// A blob whose digest is known is there, or is mounted, or is uploaded.
    async fn place_known(&self, content: &Content, known: &Uploaded) -> Result<(), RegistryError> {
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
            if origin.repository == repository.name {
                return Ok(());
            }
            match repository.mount(digest, &origin.repository).await.map_err(|error| self.push(error))? {
                Mount::Mounted => return Ok(()),
                Mount::Session(session) => begun = Some(session),
                Mount::Refused => {}
            }
        }
        if repository.has_blob(digest).await.map_err(|error| self.push(error))? {
            return Ok(());
        }
        self.progress.expect(known.descriptor.size);
        let uploaded = repository.upload(content, begun, self.piece, &self.progress).await;
        uploaded.map(drop).map_err(|error| self.upload_error(error, content))
    }

    /// Begins an upload.
    pub(super) async fn begin(&self) -> Result<Session, RegistryError> {
        self.repository.begin().await.map_err(|error| self.push(error))
    }

    /// Begins an upload before it is known what it is. Who gets none begins one later, and is told then what is wrong.
    pub(super) async fn begin_early(&self) -> Option<Early> {
        let session = self.repository.begin_once().await?;
        Some(Early { session, begun: Instant::now() })
    }

    /// Uploads a blob without asking whether it is there.
    pub(super) async fn upload(
        &self,
        content: &Content,
        begun: Option<Session>,
    ) -> Result<Uploaded, RegistryError> {
        self.progress.expect(content.size().unwrap_or_default());
        let uploaded = self.repository.upload(content, begun, self.piece, &self.progress).await;
        let uploaded = uploaded.map_err(|error| self.upload_error(error, content))?;
        self.note_placed(uploaded.descriptor.digest);
        Ok(uploaded)
    }

    fn upload_error(&self, error: UploadError, content: &Content) -> RegistryError {
        let image = self.image.clone();
        match (error, content) {
            (UploadError::Request(error), _) => self.push(error),
            (UploadError::Content(ContentError::Open(source)), Content::Blob(_, blob)) => {
                RegistryError::BaseLayer { image, digest: blob.digest, source }
            }
            (UploadError::Content(ContentError::Read(source)), Content::Blob(_, blob)) => {
                RegistryError::BaseBytes { image, digest: blob.digest, source }
            }
            (UploadError::Content(ContentError::Read(source)), _) => RegistryError::Content { image, source },
            (UploadError::Content(ContentError::Open(source)), _) => {
                RegistryError::Content { image, source: std::io::Error::other(source) }
            }
        }
    }

    /// Publishes a manifest whose blobs are all there under these references, and reads it back under each.
    pub(super) async fn publish_manifest(
        &self,
        references: &[&str],
        descriptor: &Descriptor,
        bytes: &Bytes,
    ) -> Result<(), RegistryError> {
        let repository = &self.repository;
        for reference in references {
            let put = repository.put_manifest(reference, &descriptor.media_type, bytes.clone()).await;
            put.map_err(|error| self.push(error))?;
            let found = match repository.manifest_digest(reference).await {
                Ok(Some(found)) => Some(found),
                // The registry does not say; then its bytes have to.
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
}

/// Bytes that are a blob.
pub(super) fn bytes(media_type: &str, bytes: Vec<u8>) -> Content {
    let descriptor = Descriptor::of(media_type, &bytes);
    Content::Bytes(bytes.into(), descriptor)
}
