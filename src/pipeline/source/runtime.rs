//! Owns copying artifacts into the runtime image of an extended build. Must not plan it.

use super::image::SourceResult;
use super::run::SourceWork;
use super::saved_artifacts::ArtifactCache;
use crate::assemble::AssembledContainer;
use crate::error::Error;
use crate::pipeline::engine::ReadyEngine;
use crate::pipeline::script::container_limits;
use crate::plan::PlannedRuntime;
use crate::source_build::assemble_runtime::{RuntimeRun, assemble_runtime};
use crate::source_build::runtime_artifacts::RuntimeArtifacts;

impl SourceWork<'_> {
    /// Takes the artifacts out of the builder container and saves the cache for the next build, if there is one. Then removes
    /// the container, and adds the artifacts to the runtime image.
    pub(super) async fn fill_runtime(
        &self,
        runtime: &PlannedRuntime,
        assembled: AssembledContainer,
        cache: Option<ArtifactCache>,
    ) -> Result<SourceResult, Error> {
        let prepared = self.prepared;
        let AssembledContainer { container, labels, .. } = assembled;
        let directory = prepared.lease.temporary_directory();
        let limit = self.request.input.max_size;
        let taken = RuntimeArtifacts::take(&*container, &runtime.artifacts, limit, directory).await;
        let removed = match cache.filter(|_| taken.is_ok()) {
            Some(cache) => {
                self.save(container, &cache).await;
                Ok(())
            }
            None => container.remove().await,
        };
        let artifacts = taken?;
        removed?;
        let base = prepared.runtime.as_ref().expect("a runtime image that is planned was found");
        let ReadyEngine { engine, image } = self.engines().ready(prepared.stage.engine, base).await?;
        let run = RuntimeRun {
            stage: &prepared.stage,
            runtime,
            image: &image,
            artifacts: &artifacts,
            scripts: &prepared.scripts,
            limits: container_limits(&prepared.stage.limits),
            commit_config: self.commit_config(base),
            date: self.date(),
            lease: prepared.lease.id(),
        };
        let assembled = assemble_runtime(&*engine, run, &self.session.events).await?;
        let made = self.made(base.clone(), assembled).await?;
        // Labels of the later script replace earlier ones.
        let mut all = labels;
        all.extend(made.labels);
        Ok(SourceResult { labels: all, ..made })
    }
}
