//! Owns filling the runtime image of an extended build, as the plan says. Must not plan it.

use super::image::MadeImage;
use super::run::SourceWork;
use super::saved_artifacts::KeptArtifacts;
use crate::assemble::RunError;
use crate::engine::docker::DockerEngine;
use crate::engine::sandbox::SandboxEngine;
use crate::engine::{Container, Engine};
use crate::error::Error;
use crate::pipeline::sandbox::sandbox_image;
use crate::pipeline::script::container_limits;
use crate::pipeline::stage::UsedContainer;
use crate::plan::{EngineKind, PlannedRuntime};
use crate::source_build::assemble::AssembledSources;
use crate::source_build::assemble_runtime::{RuntimeRun, assemble_runtime};
use crate::source_build::incremental::SaveError;
use crate::source_build::runtime_artifacts::{RuntimeArtifactError, RuntimeArtifacts};

impl SourceWork<'_> {
    /// Takes the artifacts out of the assembled builder, which saves what the next build can use and goes then, and fills the runtime image with them.
    pub(super) async fn fill_runtime<C: Container>(
        &self,
        runtime: &PlannedRuntime,
        assembled: AssembledSources<C>,
        kept: Option<KeptArtifacts>,
    ) -> Result<MadeImage, Error>
    where
        Error: From<RuntimeArtifactError<C::Error>> + From<SaveError<C::Error>> + From<C::Error>,
    {
        let prepared = self.prepared;
        let AssembledSources { container, labels } = assembled;
        let directory = prepared.lease.temporary_directory();
        let limit = self.request.input.max_size;
        let taken = RuntimeArtifacts::take(&container, &runtime.artifacts, limit, directory).await;
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
        let made = match prepared.stage.engine {
            EngineKind::Docker => {
                let daemon = prepared.daemon.as_ref().ok_or(Error::NoDaemon)?;
                let engine = DockerEngine::new(daemon.clone(), directory.to_owned());
                let image = daemon.ensure_loaded(base, prepared.lease.id()).await?;
                self.fill_on(&engine, &image, runtime, &artifacts, UsedContainer::Docker).await?
            }
            EngineKind::Sandbox => {
                let events = self.session.events.clone();
                let engine = SandboxEngine::new(self.sandbox_settings(), sandbox_image(base)?, events);
                self.fill_on(&engine, &base.name, runtime, &artifacts, UsedContainer::Sandbox).await?
            }
        };
        // What the later script says counts.
        let mut all = labels;
        all.extend(made.labels);
        Ok(MadeImage { labels: all, ..made })
    }

    async fn fill_on<E: Engine>(
        &self,
        engine: &E,
        image: &str,
        runtime: &PlannedRuntime,
        artifacts: &RuntimeArtifacts,
        used: impl FnOnce(E::Container) -> UsedContainer,
    ) -> Result<MadeImage, Error>
    where
        E::Container: Container<Error = E::Error>,
        Error: From<RunError<E::Error>> + From<E::Error>,
    {
        let prepared = self.prepared;
        let run = RuntimeRun {
            stage: &prepared.stage,
            runtime,
            image,
            artifacts,
            scripts: &prepared.scripts,
            limits: container_limits(&prepared.stage.limits),
            commit_config: prepared.runtime.as_ref().and_then(|base| self.commit_config(base)),
            date: self.date(),
            lease: prepared.lease.id(),
        };
        let assembled = assemble_runtime(engine, run, &self.session.events).await?;
        let base = prepared.runtime.clone().expect("a runtime image that is planned was found");
        self.made(base, assembled, used).await
    }
}
