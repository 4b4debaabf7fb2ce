//! Owns filling the runtime image of an extended build, as the plan says. Must not plan it.

use super::image::SourceResult;
use super::run::SourceWork;
use super::saved_artifacts::KeptArtifacts;
use crate::assemble::AssembledContainer;
use crate::error::Error;
use crate::pipeline::engine::ReadyEngine;
use crate::pipeline::script::container_limits;
use crate::plan::PlannedRuntime;
use crate::source_build::assemble_runtime::{RuntimeRun, assemble_runtime};
use crate::source_build::runtime_artifacts::RuntimeArtifacts;

impl SourceWork<'_> {
    /// Takes the artifacts out of the assembled builder, which saves what the next build can use and goes then, and fills the runtime image with them.
    pub(super) async fn fill_runtime(
        &self,
        runtime: &PlannedRuntime,
        assembled: AssembledContainer,
        kept: Option<KeptArtifacts>,
    ) -> Result<SourceResult, Error> {
        let prepared = self.prepared;
        let AssembledContainer { container, labels } = assembled;
        let directory = prepared.lease.temporary_directory();
        let limit = self.request.input.max_size;
        let taken = RuntimeArtifacts::take(&*container, &runtime.artifacts, limit, directory).await;
        let removed = match kept.filter(|_| taken.is_ok()) {
            Some(kept) => {
                self.keep(container, &kept).await;
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
        // What the later script says counts.
        let mut all = labels;
        all.extend(made.labels);
        Ok(SourceResult { labels: all, ..made })
    }
}
