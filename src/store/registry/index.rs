//! Owns publishing several images, each for another platform, under names that mean all of them: an index.
//!
//! The images get there one after the other, by their digests; the index, and with it the names, comes when all of them
//! are there. With every layer known (a memo), a name that means the index already ends it after one question.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Registries;
use super::content::Progress;
use super::error::RegistryError;
use super::push::{Target, by_repository};
use super::sink::{PublishOptions, Published, Publishing, Under};
use crate::events::Step;
use crate::image::{DescribedPlatform, Descriptor, ImageIndex, ImageReference, ManifestFormat, Platform};
use crate::store::UnfinishedImage;

/// One image of an index.
#[derive(Clone)]
pub struct IndexImage {
    /// The image. Where several have the same layer, copies of it, it is made and sent once.
    pub image: UnfinishedImage,
    /// The platform that the index names it for.
    pub platform: Platform,
    /// How it is published.
    pub options: PublishOptions,
}

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedIndex {
    /// The index, with its digest.
    pub index: Descriptor,
    /// Each image, in the order of the index.
    pub images: Vec<Published>,
}

/// The bytes of an index.
struct MadeIndex {
    bytes: Bytes,
    descriptor: Descriptor,
}

impl Registries {
    /// Publishes `images` and an index of them under every one of `tags`, which may be in several repositories.
    ///
    /// # Errors
    /// As [`Registries::publish`]; a name is written when everything is there.
    pub async fn publish_index(
        &self,
        images: &[IndexImage],
        tags: &[ImageReference],
        annotations: &BTreeMap<String, String>,
    ) -> Result<PublishedIndex, RegistryError> {
        let mut result = None;
        let mut images = images.to_vec();
        for group in by_repository(tags)? {
            let step = self.events().start(Step::Write, group.first.familiar(), None);
            let target = self.target(group, Progress::new(step.clone()))?;
            let (index, published, tags) = publish_in(&target, &mut images, annotations).await?;
            target.publish_manifest(&tags, &index.descriptor, &index.bytes).await?;
            target.progress.finish(step, tags.is_empty());
            // What was learned serves the next repository.
            for (image, published) in images.iter_mut().zip(&published) {
                image.options.known = Some((published.layer, published.blob.clone()));
            }
            result = Some(PublishedIndex { index: index.descriptor, images: published });
        }
        result.ok_or(RegistryError::NoTag { image: String::new() })
    }
}

/// Gets all images into one repository, unless one of the target's tags says that they are there. Gives the index, which
/// is not there yet, and the tags that do not mean it.
async fn publish_in<'a>(
    target: &'a Target<'_>,
    images: &mut [IndexImage],
    annotations: &BTreeMap<String, String>,
) -> Result<(MadeIndex, Vec<Published>, Vec<&'a str>), RegistryError> {
    if let Some((index, published)) = foresee(target, images, annotations).await? {
        let outdated = target.outdated(&index.descriptor.digest).await?;
        if outdated.len() < target.tags.len() {
            return Ok((index, published, outdated));
        }
    }
    let mut entries = Vec::new();
    let mut published: Vec<Published> = Vec::new();
    let mut formats = Vec::new();
    for position in 0..images.len() {
        let (before, rest) = images.split_at_mut(position);
        let IndexImage { image, platform, options } = &mut rest[0];
        let is_same = |other: &IndexImage| {
            other.image.layer.is_same(&image.layer)
                && other.image.manifest_format() == image.manifest_format()
        };
        if let Some(same) = before.iter().position(is_same) {
            options.known = Some((published[same].layer, published[same].blob.clone()));
        }
        let publishing = Publishing::new(target, image, options).await?;
        formats.push(publishing.format);
        let (done, _) = publishing.run(Under::Digest).await?;
        entries.push(entry(platform, &done.manifest));
        published.push(done);
    }
    Ok((make(&formats, entries, annotations), published, target.tags.clone()))
}

/// The index as it will be, if every layer is known.
async fn foresee(
    target: &Target<'_>,
    images: &[IndexImage],
    annotations: &BTreeMap<String, String>,
) -> Result<Option<(MadeIndex, Vec<Published>)>, RegistryError> {
    let mut entries = Vec::new();
    let mut published = Vec::new();
    let mut formats = Vec::new();
    for IndexImage { image, platform, options } in images {
        if options.known.is_none() {
            return Ok(None);
        }
        let publishing = Publishing::new(target, image, options).await?;
        let Some(finished) = publishing.foreseen()? else { return Ok(None) };
        formats.push(publishing.format);
        entries.push(entry(platform, &finished.descriptor));
        published.push(finished.published());
    }
    Ok(Some((make(&formats, entries, annotations), published)))
}

fn entry(platform: &Platform, manifest: &Descriptor) -> Descriptor {
    Descriptor { platform: Some(DescribedPlatform::from(platform)), ..manifest.clone() }
}

/// Docker's own list of manifests holds Docker's manifests alone, and no annotations.
fn make(
    formats: &[ManifestFormat],
    entries: Vec<Descriptor>,
    annotations: &BTreeMap<String, String>,
) -> MadeIndex {
    let is_docker = !formats.is_empty() && formats.iter().all(|format| *format == ManifestFormat::Docker);
    let (format, annotations) = match is_docker {
        true => (ManifestFormat::Docker, BTreeMap::new()),
        false => (ManifestFormat::Oci, annotations.clone()),
    };
    let bytes = Bytes::from(ImageIndex::new(format, entries, annotations).to_bytes());
    MadeIndex { descriptor: Descriptor::of(format.index(), &bytes), bytes }
}
