//! Owns the second half of the road: base, assemble, finish. Where results go is `outputs`, how scripts run `script`.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::known::KnownLayer;
use super::prepare::{Prepared, prepare, prepare_artifact};
use super::{Built, Error, Surroundings};
use crate::assemble::{self, Inputs};
use crate::builder::{BaseName, Selection};
use crate::image::layer::{Layer, WrittenLayer};
use crate::image::{Digest, ImageReference};
use crate::input::Artifact;
use crate::plan::{Assembly, BaseSource, KnownValues, PlannedEntry, SourceStage, Stage};
use crate::request::Request;
use crate::store::archive::LayerFile;
use crate::store::builtin::static_base;
use crate::store::daemon::{Daemon, ResolveOptions, remove_leftovers};
use crate::store::{BaseImage, UnfinishedImage, registry};

/// Builds an image.
///
/// # Errors
/// [`Error`] of the step that failed; nothing half-made stays behind.
pub async fn build(request: &Request, surroundings: &Surroundings) -> Result<Built, Error> {
    if let Some(wanted) = &request.source_build {
        return super::source::build(request, wanted, surroundings).await;
    }
    build_prepared(request, prepare(request, surroundings).await?, surroundings).await
}

/// Builds the image of an artifact that was built from sources.
pub(super) async fn build_artifact(
    request: &Request,
    artifact: Artifact,
    source: &SourceStage,
    surroundings: &Surroundings,
) -> Result<Built, Error> {
    let mut prepared = prepare_artifact(request, artifact, source, surroundings).await?;
    prepared.plan.source = Some(source.clone());
    build_prepared(request, prepared, surroundings).await
}

async fn build_prepared(
    request: &Request,
    prepared: Prepared,
    surroundings: &Surroundings,
) -> Result<Built, Error> {
    let stage = prepared.plan.stages.first().expect("a plan for a finished artifact has one stage");
    let work = Work { request, surroundings, prepared: &prepared, stage, exported: OnceCell::new() };
    let result = work.build().await;
    work.clean_up(result.is_err()).await;
    let result = result?;
    let daemon = prepared.daemon.as_ref().map(|daemon| daemon.info().flavour.command().to_owned());
    Ok(Built {
        image_id: result.image_id,
        manifest_digest: result.manifest_digest,
        tags: stage.tags.clone(),
        outputs: stage.outputs.clone(),
        daemon,
        ports: result.ports,
        builder: stage.builder.name.clone(),
        assembly: stage.assembly.kind(),
        assembly_reason: stage.assembly_reason.clone(),
        artifact_digest: result.artifact_digest.or(prepared.artifact.sha256),
        layer_digest: result.layer_digest,
    })
}

/// One stage on its way.
pub(super) struct Work<'a> {
    pub(super) request: &'a Request,
    pub(super) surroundings: &'a Surroundings,
    pub(super) prepared: &'a Prepared,
    pub(super) stage: &'a Stage,
    /// The layers that the daemon gave: several outputs read the same files.
    pub(super) exported: OnceCell<Vec<LayerFile>>,
}

pub(super) struct StageResult {
    pub(super) image_id: Digest,
    pub(super) manifest_digest: Option<Digest>,
    pub(super) ports: Vec<String>,
    pub(super) artifact_digest: Option<Digest>,
    pub(super) layer_digest: Option<Digest>,
}

impl Work<'_> {
    pub(super) fn daemon(&self) -> Result<&Daemon, Error> {
        self.prepared.daemon.as_ref().ok_or(Error::NoDaemon)
    }

    async fn build(&self) -> Result<StageResult, Error> {
        match &self.stage.assembly {
            Assembly::Place { entries } => self.place(entries).await,
            Assembly::Run(run) => self.run(run).await,
        }
    }

    /// Removes what the daemon holds for this run alone: the built-in base that a script ran on, and after an error
    /// what was committed or loaded and never got its name.
    async fn clean_up(&self, failed: bool) {
        let may_hold = failed || matches!(self.stage.assembly, Assembly::Run { .. });
        let Some(daemon) = self.prepared.daemon.as_ref().filter(|_| may_hold) else { return };
        let lease = self.prepared.lease.id().to_owned();
        if let Err(error) = remove_leftovers(daemon, &[lease]).await {
            tracing::warn!(%error, "something of this run stays in the daemon; a later run removes it");
            self.surroundings.keep_lease();
        }
    }

    pub(super) async fn base(&self) -> Result<BaseImage, Error> {
        let Some(reference) = self.base_reference() else { return Ok(static_base(&self.stage.platform)) };
        let platform = Some(self.stage.platform.clone());
        let (pull, offline) = (self.request.pull, self.request.offline);
        if self.stage.builder.base_source == BaseSource::Registry {
            let options = registry::ResolveOptions { platform, pull, offline };
            return Ok(self.surroundings.registries()?.resolve(reference, &options).await?);
        }
        let credential_files = self.surroundings.daemon.credential_files.clone();
        let options = ResolveOptions { platform, pull, offline, credential_files };
        Ok(self.daemon()?.resolve(reference, &options, &self.surroundings.events).await?)
    }

    /// The base's name; none for the built-in one.
    pub(super) fn base_reference(&self) -> Option<&ImageReference> {
        match &self.prepared.selection {
            Selection::Template(choice) => match &choice.base.image {
                BaseName::BuiltInStatic => None,
                BaseName::Image(reference) => Some(reference),
            },
            Selection::Image(choice) => Some(&choice.reference),
        }
    }

    pub(super) fn inputs(&self) -> Inputs<'_> {
        Inputs { artifact: &self.prepared.artifact, template: &self.prepared.template_entries }
    }

    /// Performs the placement: one layer, one config, written to every output in one pass each.
    async fn place(&self, entries: &[PlannedEntry]) -> Result<StageResult, Error> {
        let memo = self.surroundings.memo(self.request.use_memo)?;
        let mut known = KnownLayer::find(&memo, self.prepared, entries, self.stage.date);
        let base = self.base().await?;
        let layer = assemble::layer(entries, self.inputs(), self.stage.date)?;
        let values = KnownValues {
            artifact_digest: self.prepared.artifact.sha256.map(|digest| digest.to_string()),
            base_digest: base.manifest_digest.map(|digest| digest.to_string()),
            builder_scripts: None,
        };
        let image = self.unfinished(base, layer, values, Vec::new());
        self.write(&image, &mut known).await
    }

    /// Puts together what sinks write; `labels` are those that a script left.
    pub(super) fn unfinished(
        &self,
        base: BaseImage,
        layer: Layer,
        values: KnownValues,
        labels: Vec<(String, String)>,
    ) -> UnfinishedImage {
        let planned = self.stage.image.clone();
        let base_config = base.config.clone();
        let finish = move |written: &WrittenLayer| {
            let mut values = values.clone();
            if let Some(digest) = written.watched {
                values.artifact_digest = Some(digest.to_string());
            }
            assemble::finish(&base_config, &planned.resolve(&values), &labels, &[written.diff_id])
        };
        let annotations = self.stage.image.annotations.clone();
        UnfinishedImage { base, layer, annotations, finish: Arc::new(finish) }
    }

    /// An artifact that was written to while it was read may be in the image half old and half new.
    pub(super) fn check_unchanged(&self) -> Result<(), Error> {
        let content = &self.prepared.artifact.content;
        let changed = content.changed().unwrap_or(true);
        if changed {
            return Err(crate::input::InputError::Changed { path: content.path().to_owned() }.into());
        }
        Ok(())
    }
}
