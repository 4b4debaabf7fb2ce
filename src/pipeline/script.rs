//! Owns running a builder's script: on which engine, by which contract, and the image that the change becomes.

use super::stage::{Assembled, AssembledImage, StageWork, UsedContainer};
use crate::assemble::{self, RunResult, ScriptRun, run_script};
use crate::builder::S2iContract;
use crate::engine::docker::DockerEngine;
use crate::engine::{ContainerLimits, Diff, Engine};
use crate::error::Error;
use crate::image::{BaseImage, ImagePath, Platform};
use crate::plan::{Assembly, EngineKind, KnownValues, PlannedRun};
use crate::request::Limits;

/// Where S2I puts the sources unless a label says otherwise.
const DEFAULT_DESTINATION: &str = "/tmp";

impl<'a> StageWork<'a> {
    /// Refuses what the daemon cannot do for a script, before a base is pulled for it. The sandbox depends on the base.
    pub(crate) async fn check_engine(&self) -> Result<(), Error> {
        let Assembly::Run(run) = &self.stage.assembly else { return Ok(()) };
        if run.engine == EngineKind::Docker {
            let temporary = self.work.prepared.lease.temporary_directory().to_owned();
            let engine = DockerEngine::new(self.work.daemon()?.clone(), temporary);
            engine.check(&container_limits(&run.limits), run.limits.network.as_deref()).await?;
        }
        Ok(())
    }

    /// Runs the script on `base`.
    pub(crate) async fn run(&'a self, run: &PlannedRun, base: BaseImage) -> Result<Assembled<'a>, Error> {
        let contract = contract(run, &base)?;
        let user = user(&contract, &base);
        let events = &self.work.session.events;
        match run.engine {
            EngineKind::Docker => {
                let daemon = self.work.daemon()?;
                let temporary = self.work.prepared.lease.temporary_directory().to_owned();
                let engine = DockerEngine::new(daemon.clone(), temporary);
                let image = daemon.ensure_loaded(&base, self.work.prepared.lease.id()).await?;
                let script = self.script_run(run, &image, &contract, &user);
                let outcome = run_script(&engine, script, self.image.inputs(), events).await?;
                let container = UsedContainer::Docker(outcome.container);
                self.finish_commit(&base, &contract, outcome.result, container)
            }
            EngineKind::Sandbox => {
                let engine = self.sandbox(&base, run.limits.allow_root_sandbox)?;
                engine.check(&container_limits(&run.limits), run.limits.network.as_deref()).await?;
                let script = self.script_run(run, &base.name, &contract, &user);
                let outcome = run_script(&engine, script, self.image.inputs(), events).await?;
                let container = UsedContainer::Sandbox(outcome.container);
                self.finish_layer(base, &contract, outcome.result, container).await
            }
        }
    }

    /// Says of a script that failed that it was one for another platform.
    pub(crate) fn explain(&self, engine: EngineKind, error: Error) -> Error {
        let native = match (engine, &self.work.prepared.daemon) {
            (EngineKind::Docker, Some(daemon)) => daemon.info().platform.clone(),
            _ => Platform::host(),
        };
        let platform = self.stage.platform.clone();
        match error {
            Error::Run(_) | Error::RunInSandbox(_) if !native.matches(&platform) => {
                Error::ForeignScript { platform, native, source: Box::new(error) }
            }
            other => other,
        }
    }

    fn script_run<'b>(
        &'b self,
        run: &'b PlannedRun,
        image: &'b str,
        contract: &'b S2iContract,
        user: &'b str,
    ) -> ScriptRun<'b> {
        ScriptRun {
            image,
            builder: &self.stage.builder.name,
            scripts: &contract.scripts,
            needs_run: self.stage.image.later_cmd.is_some(),
            destination: &contract.destination,
            user,
            entries: &run.entries,
            sources: &run.sources,
            environment: &run.environment,
            limits: container_limits(&run.limits),
            network: run.limits.network.as_deref(),
            date: self.stage.date,
            lease: self.work.prepared.lease.id(),
        }
    }

    fn values(&self, base: &BaseImage, contract: &S2iContract, result: &RunResult) -> KnownValues {
        let artifact_digest = result.artifact_digest.or(self.image.artifact().sha256);
        KnownValues {
            artifact_digest: artifact_digest.map(|digest| digest.to_string()),
            base_digest: base.manifest_digest.map(|digest| digest.to_string()),
            builder_scripts: Some(contract.scripts.to_string()),
            ..KnownValues::default()
        }
    }

    /// Gives the layer that the script made its config.
    async fn finish_layer(
        &'a self,
        base: BaseImage,
        contract: &S2iContract,
        result: RunResult,
        container: UsedContainer,
    ) -> Result<Assembled<'a>, Error> {
        let layer = match (self.check_unchanged(), &result.changes) {
            (Ok(()), Diff::Layer(layer)) => layer.clone(),
            (Ok(()), Diff::Committed { .. }) => unreachable!("the sandbox gives a layer"),
            (Err(error), _) => {
                container.remove().await?;
                return Err(error);
            }
        };
        let values = self.values(&base, contract, &result);
        let artifact_digest = result.artifact_digest.or(self.image.artifact().sha256);
        let image = AssembledImage::Image(self.on_base(base, layer.into(), values, result.labels));
        Ok(Assembled { stage: self, image, memo: None, artifact_digest, container: Some(container) })
    }

    /// Gives what the script left in the daemon its config.
    fn finish_commit(
        &'a self,
        base: &BaseImage,
        contract: &S2iContract,
        result: RunResult,
        container: UsedContainer,
    ) -> Result<Assembled<'a>, Error> {
        self.check_unchanged()?;
        let values = self.values(base, contract, &result);
        let artifact_digest = result.artifact_digest.or(self.image.artifact().sha256);
        let Diff::Committed { image_id, diff_ids } = result.changes else {
            unreachable!("the Docker engine commits")
        };
        let invalid = |source| Error::Config { base: base.name.clone(), source };
        let below = base.config.diff_ids().map_err(invalid)?.len();
        let edits = self.stage.image.resolve(&values);
        let config =
            assemble::finish(&base.config, &edits, &result.labels, &diff_ids[below.min(diff_ids.len())..]);
        let image = self.committed(image_id, config);
        Ok(Assembled { stage: self, image, memo: None, artifact_digest, container: Some(container) })
    }
}

pub(crate) fn contract(run: &PlannedRun, base: &BaseImage) -> Result<S2iContract, Error> {
    let asked = run.limits.assemble_user.as_deref();
    Ok(match &run.scripts {
        // The template's own contract; a label of the public base means another image's scripts.
        Some(scripts) => S2iContract {
            scripts: scripts.clone(),
            destination: ImagePath::new(DEFAULT_DESTINATION).expect("absolute and normal"),
            assemble_user: asked.map(str::to_owned).or_else(|| run.user.clone()),
            assemble_input_files: Vec::new(),
            on_build: Vec::new(),
        },
        None => S2iContract::read(&base.name, &base.config, asked, run.limits.allow_root)?,
    })
}

fn user(contract: &S2iContract, base: &BaseImage) -> String {
    contract.assemble_user.clone().unwrap_or_else(|| base.config.user().to_owned())
}

pub(crate) fn container_limits(limits: &Limits) -> ContainerLimits {
    ContainerLimits {
        memory: limits.memory,
        nano_cpus: limits.nano_cpus,
        pids: limits.pids,
        timeout: limits.timeout,
    }
}
