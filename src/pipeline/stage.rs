//! Owns assembling one stage: its base and its image. Must not run scripts; `script` does.

use std::sync::OnceLock;

use tokio::sync::OnceCell;

use super::base::BaseOptions;
use super::build::Work;
use super::layer_memo::CachedLayer;
use super::prepare::StageInputs;
use crate::assemble;
use crate::builder::Selection;
use crate::engine::docker::PlannedCommit;
use crate::engine::{Container, Diff};
use crate::error::Error;
use crate::image::layer::WrittenLayer;
use crate::image::{BaseImage, Digest, Image, ImageConfig, ImageReference, LayerFile, NewLayer};
use crate::plan::{Assembly, KnownValues, PlannedEntry, Stage};
use crate::store::cache::Memo;

/// One stage during its execution.
pub(crate) struct StageWork<'a> {
    pub(crate) work: &'a Work<'a>,
    /// Its position in the plan.
    pub(crate) index: usize,
    pub(crate) stage: &'a Stage,
    pub(crate) image: &'a StageInputs,
    /// The layers from the daemon, which outputs share.
    pub(crate) exported: OnceCell<Vec<LayerFile>>,
}

/// The image of a stage, for the outputs.
pub(crate) struct Assembled<'a> {
    pub(crate) stage: &'a StageWork<'a>,
    pub(crate) image: StageResult,
    /// The layer's entry in the memo. None if the layer is not predictable, or belongs to another stage.
    pub(crate) memo: Option<CachedLayer<'a>>,
    /// The artifact's digest, if running a script computed it.
    pub(crate) artifact_digest: Option<Digest>,
    pub(crate) container: Option<Box<dyn Container>>,
}

/// The result of assembling.
#[expect(clippy::large_enum_variant, reason = "there are as many as platforms, and most are images")]
pub(crate) enum StageResult {
    /// An image for sinks.
    Image(Image),
    /// A container that the daemon commits as the image. No other output receives it.
    InContainer {
        commit: PlannedCommit,
        /// The config without the layer, whose digest only the daemon knows.
        config: ImageConfig,
        /// The image's ID, after the commit.
        id: OnceLock<Digest>,
    },
}

impl Assembled<'_> {
    /// Takes the container if the image no longer needs it.
    pub(crate) fn take_unneeded(&mut self) -> Option<Box<dyn Container>> {
        match &self.image {
            StageResult::Image(image) if image.new.is_empty() => self.container.take(),
            StageResult::Image(_) | StageResult::InContainer { .. } => None,
        }
    }

    /// Stores the digests of the layer in the memo.
    pub(crate) fn remember(&self) {
        if let (StageResult::Image(image), Some(memo)) = (&self.image, &self.memo)
            && let Some(written) = image.new.first().and_then(NewLayer::written)
        {
            memo.remember(written);
        }
    }

    pub(crate) async fn remove_container(&mut self) -> Result<(), Error> {
        if let Some(container) = self.container.take() {
            container.remove().await?;
        }
        Ok(())
    }
}

impl<'a> StageWork<'a> {
    pub(crate) fn new(work: &'a Work<'a>, index: usize, stage: &'a Stage, image: &'a StageInputs) -> Self {
        Self { work, index, stage, image, exported: OnceCell::new() }
    }

    /// Resolves the base; `others` are the bases of earlier stages.
    pub(crate) async fn base(&self, others: &[BaseImage]) -> Result<BaseImage, Error> {
        let base = self.image.selection.base();
        let source = self.stage.builder.base_source;
        let seen = self.work.prepared.user_bases.iter();
        let mut seen = seen.filter(|seen| seen.fits(&base, source, &self.stage.platform));
        if let Some(image) = seen.find_map(|seen| seen.image.clone()) {
            return Ok(image);
        }
        // A tag may move between two requests: all platforms come from one index.
        let name = base.reference().map(ImageReference::familiar);
        let same = others.iter().find(|other| Some(&other.name) == name.as_ref());
        let options = BaseOptions {
            platform: self.stage.platform.clone(),
            pull: self.work.request.pull,
            pinned: same.and_then(|other| other.manifest_digest),
            may_be_local: matches!(self.image.selection, Selection::Image(_))
                || self.work.request.base.is_some(),
        };
        self.work.bases.resolve_base(&base, source, options).await
    }

    /// Performs the placement: one layer, one config. Equal placements of two stages share the layer.
    pub(crate) fn place(
        &'a self,
        entries: &'a [PlannedEntry],
        base: BaseImage,
        memo: &'a Memo,
        before: &[Assembled<'_>],
    ) -> Result<Assembled<'a>, Error> {
        let same = before.iter().find_map(|other| match (&other.stage.stage.assembly, &other.image) {
            (Assembly::Place { entries: others }, StageResult::Image(image))
                if others == entries && self.image.places_the_same(other.stage.image) =>
            {
                image.new.first().cloned()
            }
            _ => None,
        });
        let (layer, memo) = match same {
            Some(same) => (same, None),
            None => {
                let date = self.stage.date;
                let cached = CachedLayer::find(memo, self.image, entries, date, &self.work.prepared.lease);
                let layer = assemble::layer(entries, self.image.inputs(), date)?;
                (NewLayer::new(layer, cached.layer), Some(cached))
            }
        };
        let values = KnownValues {
            artifact_digest: self.image.artifact().sha256.map(|digest| digest.to_string()),
            ..KnownValues::of_base(&base)
        };
        let image = StageResult::Image(self.on_base(base, layer, values, Vec::new()));
        Ok(Assembled { stage: self, image, memo, artifact_digest: None, container: None })
    }

    /// Makes an image of the changes of scripts on `base`, with the labels of the scripts.
    pub(crate) fn changed(
        &self,
        base: BaseImage,
        changes: Diff,
        values: KnownValues,
        labels: Vec<(String, String)>,
    ) -> Result<StageResult, Error> {
        match changes {
            Diff::Layer(layer) => Ok(StageResult::Image(self.on_base(base, layer.into(), values, labels))),
            Diff::Committed { image_id, diff_ids } => {
                let invalid = |source| Error::Config { base: base.name.clone(), source };
                let below = base.config.diff_ids().map_err(invalid)?.len().min(diff_ids.len());
                let edits = self.stage.image.resolve(&values);
                let config = assemble::finish(&base.config, &edits, &labels, &diff_ids[below..]);
                Ok(self.committed(image_id, config))
            }
        }
    }

    /// Makes the image for sinks, with the labels of scripts.
    pub(crate) fn on_base(
        &self,
        base: BaseImage,
        layer: NewLayer,
        values: KnownValues,
        labels: Vec<(String, String)>,
    ) -> Image {
        let planned = self.stage.image.clone();
        let base_config = base.config.clone();
        let config = move |written: &[WrittenLayer]| {
            let mut values = values.clone();
            if let Some(digest) = written.iter().find_map(|layer| layer.watched) {
                values.artifact_digest = Some(digest.to_string());
            }
            let ids: Vec<Digest> = written.iter().map(|layer| layer.diff_id).collect();
            assemble::finish(&base_config, &planned.resolve(&values), &labels, &ids)
        };
        self.named(Image::new(base, vec![layer], config))
    }

    /// The daemon's commit `image_id`, with its final config.
    pub(crate) fn committed(&self, image_id: String, config: ImageConfig) -> StageResult {
        let bytes = config.to_bytes();
        let base = BaseImage::in_daemon(image_id.clone(), Some(image_id), config);
        StageResult::Image(self.named(Image::unchanged(base, bytes)))
    }

    /// The image with annotations and platform of the plan. Without a variant in the plan, the base's stays.
    fn named(&self, mut image: Image) -> Image {
        image.annotations.clone_from(&self.stage.image.annotations);
        if self.stage.platform.variant.is_some() {
            image.platform.clone_from(&self.stage.platform);
        }
        image
    }

    /// Rejects an artifact that changed while b2i read it: the image may have half of each version.
    pub(crate) fn check_unchanged(&self) -> Result<(), Error> {
        let content = &self.image.artifact().content;
        let changed = content.changed().unwrap_or(true);
        if changed {
            return Err(crate::input::InputError::Changed { path: content.path().to_owned() }.into());
        }
        Ok(())
    }
}
