//! Owns executing a source stage: `assemble` on its engine, and reading its result. Must not plan it.

use super::Made;
use super::caches::StageCaches;
use super::image::SourceResult;
use super::prepare::PreparedSource;
use crate::assemble::AssembledContainer;
use crate::engine::{Container, ContainerLimits};
use crate::error::Error;
use crate::events::Step;
use crate::fs::Lease;
use crate::image::layer::{Entry, EntryKind, Layer};
use crate::image::{BaseImage, ImageConfig};
use crate::input::{Artifact, FileContent, Origin};
use crate::pipeline::engine::Engines;
use crate::pipeline::script::container_limits;
use crate::plan::{Plan, PlannedProduct, commits_container};
use crate::request::{Request, SourceBuildRequest};
use crate::session::Session;
use crate::source_build::assemble::{SourceRun, assemble};
use crate::source_build::incremental::SavedArtifacts;
use crate::source_build::on_build::{OnBuild, OnBuildRun, execute};
use crate::source_build::produced::{ProducedFile, take_artifact};
use crate::store::daemon::{Daemon, remove_leftovers};

/// A source stage during its execution.
pub(super) struct SourceWork<'a> {
    pub(super) request: &'a Request,
    pub(super) options: &'a SourceBuildRequest,
    pub(super) session: &'a Session,
    pub(super) prepared: &'a PreparedSource,
    pub(super) plan: &'a Plan,
}

impl SourceWork<'_> {
    pub(super) fn engines(&self) -> Engines<'_> {
        let PreparedSource { lease, daemon, stage, .. } = self.prepared;
        let (session, allow_root) = (self.session, stage.limits.allow_root_sandbox);
        Engines { session, lease, daemon: daemon.as_ref(), date: self.date(), allow_root }
    }

    pub(super) fn date(&self) -> u64 {
        self.request.date.unwrap_or(crate::plan::FIXED_DATE)
    }

    /// Runs `assemble`, and reads the artifact or the changes.
    pub(super) async fn run(&self) -> Result<Made, Error> {
        let ready = self.engines().ready(self.prepared.stage.engine, &self.prepared.base).await?;
        let (engine, image) = (&*ready.engine, &ready.image);
        let caches = self.caches(engine).await?;
        let stage = &self.prepared.stage;
        let events = &self.session.events;
        let limits = container_limits(&stage.limits);
        engine.check(&limits, stage.limits.network.as_deref()).await?;
        let cache = self.artifact_cache().await;
        let assembled = match &self.prepared.on_build {
            Some(on_build) => {
                execute(engine, self.on_build_run(on_build, image, limits, &caches), events).await?
            }
            None => {
                let saved = self.saved(cache.as_ref()).await;
                assemble(engine, self.source_run(image, limits, &caches, &saved), events).await?
            }
        };
        if let Some(runtime) = &stage.runtime {
            return Ok(Made::Image(Box::new(self.fill_runtime(runtime, assembled, cache).await?)));
        }
        if stage.product == PlannedProduct::Image {
            let base = self.prepared.base.clone();
            return Ok(Made::Image(Box::new(self.made(base, assembled).await?)));
        }
        let container = assembled.container;
        let taken = self.take(&*container).await;
        let removed = container.remove().await;
        let artifact = taken?;
        removed?;
        Ok(Made::Artifact(Box::new(artifact)))
    }

    /// The template's mount points of build caches, if the container becomes the image.
    pub(super) fn cache_places(&self) -> Option<Layer> {
        let PreparedSource { stage, template_entries, .. } = self.prepared;
        let is_image = stage.product == PlannedProduct::Image && stage.runtime.is_none();
        let is_place = |entry: &&Entry| {
            matches!(entry.kind, EntryKind::Directory)
                && stage.caches.iter().any(|cache| cache.path == entry.path)
        };
        let entries: Vec<Entry> =
            template_entries.iter().filter(|_| is_image).filter(is_place).cloned().collect();
        // Paths of a template are unique.
        Layer::new(entries, self.date()).ok().filter(|layer| !layer.entries().is_empty())
    }

    /// Whether the container itself becomes the image.
    pub(super) fn commits_container(&self) -> bool {
        commits_container(self.request, &self.prepared.stage, &self.plan.outputs)
    }

    /// The config for a container on `base` that becomes the image.
    pub(super) fn commit_config(&self, base: &BaseImage) -> Option<ImageConfig> {
        self.commits_container().then(|| base.config.clone())
    }

    /// Reads the changes of a container on `base`, unless the container becomes the image.
    pub(super) async fn made(
        &self,
        base: BaseImage,
        assembled: AssembledContainer,
    ) -> Result<SourceResult, Error> {
        let AssembledContainer { container, labels, shell_script } = assembled;
        let taken = match self.commits_container() {
            true => Ok(None),
            false => container.take_changes(&self.session.events).await.map(Some),
        };
        match taken {
            Ok(changes) => Ok(SourceResult { base, changes, labels, shell_script, container }),
            Err(error) => {
                // Report the first error; the lease's clean-up removes the container otherwise.
                let _ = container.remove().await;
                Err(error.into())
            }
        }
    }

    fn source_run<'a>(
        &'a self,
        image: &'a str,
        limits: ContainerLimits,
        caches: &StageCaches,
        saved: &'a SavedArtifacts,
    ) -> SourceRun<'a> {
        let prepared = self.prepared;
        SourceRun {
            stage: &prepared.stage,
            assemble: prepared.stage.scripts.assemble.as_ref().expect("builders without it are refused"),
            image,
            template: &prepared.template_entries,
            tree: &prepared.tree,
            scripts: &prepared.scripts,
            template_environment: &prepared.template_environment,
            saved,
            ephemeral: &prepared.ephemeral,
            build_environment: &self.options.build_environment,
            limits,
            places: self.cache_places().filter(|_| !caches.mounts.is_empty()),
            mounts: caches.mounts.clone(),
            commit_config: self.commit_config(&prepared.base).filter(|_| prepared.stage.runtime.is_none()),
            date: self.date(),
            lease: prepared.lease.id(),
        }
    }

    fn on_build_run<'a>(
        &'a self,
        on_build: &'a OnBuild,
        image: &'a str,
        limits: ContainerLimits,
        caches: &StageCaches,
    ) -> OnBuildRun<'a> {
        let prepared = self.prepared;
        OnBuildRun {
            on_build,
            stage: &prepared.stage,
            image,
            build_environment: &self.options.build_environment,
            ephemeral: &prepared.ephemeral,
            limits,
            mounts: caches.mounts.clone(),
            date: self.date(),
            lease: prepared.lease.id(),
        }
    }

    /// Copies the artifact out of the assembled container.
    async fn take(&self, container: &dyn Container) -> Result<Artifact, Error> {
        let PlannedProduct::Artifact { places, .. } = &self.prepared.stage.product else {
            unreachable!("only a stage with an artifact has something to take out")
        };
        let step = self.session.events.start(Step::Fetch, "the artifact", None);
        let directory = self.prepared.lease.temporary_directory();
        let limit = self.request.input.max_size;
        let ProducedFile { name, path, size, digest, file } =
            take_artifact(container, places, limit, directory).await?;
        step.made(name.clone()).sized(size).finish(format!("built at {path}"));
        let added = crate::input::added(&self.request.input.added).await?;
        Ok(Artifact {
            name,
            size,
            sha256: Some(digest),
            origin: Origin::Sources { location: self.prepared.tree.info.location.clone() },
            content: FileContent::temporary(file),
            tree_path: None,
            added,
            left_out: 0,
            has_other_platforms: false,
        })
    }

    /// After a failure, removes the containers and images of this run from the daemon.
    pub(super) async fn clean_up(&self, failed: bool) {
        if let Some(daemon) = self.prepared.daemon.as_ref().filter(|_| failed) {
            remove_leftovers_of(&self.prepared.lease, daemon, self.session).await;
        }
    }
}

/// Removes the containers and images of a run. A later run removes the rest.
pub(super) async fn remove_leftovers_of(lease: &Lease, daemon: &Daemon, session: &Session) {
    if let Err(error) = remove_leftovers(daemon, &[lease.id().to_owned()]).await {
        tracing::warn!(%error, "something of this run stays in the daemon; a later run removes it");
        session.keep_lease();
    }
}
