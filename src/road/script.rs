//! Owns running a builder's script: on which engine, by which contract, and what becomes of the change.

use super::Error;
use super::build::{StageResult, Work};
use super::known::KnownLayer;
use crate::assemble::{self, RunResult, ScriptRun, run_script};
use crate::builder::S2iContract;
use crate::engine::docker::DockerEngine;
use crate::engine::{Changes, Container, ContainerLimits, Engine};
use crate::image::ImagePath;
use crate::plan::{EngineKind, KnownValues, PlannedRun};
use crate::request::Limits;
use crate::store::BaseImage;
use crate::store::daemon::Daemon;

/// Where S2I puts the sources unless a label says otherwise.
const DEFAULT_DESTINATION: &str = "/tmp";

impl Work<'_> {
    /// Runs the script and writes what it made.
    pub(super) async fn run(&self, run: &PlannedRun) -> Result<StageResult, Error> {
        match run.engine {
            EngineKind::Docker => self.run_on_docker(run).await,
            EngineKind::Sandbox => self.run_in_sandbox(run).await,
        }
    }

    async fn run_on_docker(&self, run: &PlannedRun) -> Result<StageResult, Error> {
        let daemon = self.daemon()?;
        let engine = DockerEngine::new(daemon.clone());
        engine.check(&container_limits(&run.limits), run.limits.network.as_deref()).await?;
        let base = self.base().await?;
        let contract = contract(run, &base)?;
        let image = daemon.ensure_loaded(&base, self.prepared.lease.id()).await?;
        let user = user(&contract, &base);
        let script = self.script_run(run, &image, &contract, &user);
        let outcome = run_script(&engine, script, self.inputs(), &self.surroundings.events).await?;
        // The container is not needed any more and takes the daemon a while to remove; both at once.
        let finish = self.finish_commit(daemon, &base, &contract, outcome.result);
        let (result, removed) = tokio::join!(finish, outcome.container.remove());
        let result = result?;
        removed?;
        Ok(result)
    }

    async fn run_in_sandbox(&self, run: &PlannedRun) -> Result<StageResult, Error> {
        let base = self.base().await?;
        let contract = contract(run, &base)?;
        let engine = self.sandbox(&base, run.limits.allow_root_sandbox)?;
        engine.check(&container_limits(&run.limits), run.limits.network.as_deref()).await?;
        let user = user(&contract, &base);
        let script = self.script_run(run, &base.name, &contract, &user);
        let outcome = run_script(&engine, script, self.inputs(), &self.surroundings.events).await?;
        let result = self.finish_layer(base, &contract, outcome.result).await;
        // The layer's files are the container's: it goes last.
        outcome.container.remove().await?;
        result
    }

    fn script_run<'a>(
        &'a self,
        run: &'a PlannedRun,
        image: &'a str,
        contract: &'a S2iContract,
        user: &'a str,
    ) -> ScriptRun<'a> {
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
            lease: self.prepared.lease.id(),
        }
    }

    fn values(&self, base: &BaseImage, contract: &S2iContract, result: &RunResult) -> KnownValues {
        let artifact_digest = result.artifact_digest.or(self.prepared.artifact.sha256);
        KnownValues {
            artifact_digest: artifact_digest.map(|digest| digest.to_string()),
            base_digest: base.manifest_digest.map(|digest| digest.to_string()),
            builder_scripts: Some(contract.scripts.to_string()),
        }
    }

    /// Gives the layer that the script made its config and writes both.
    async fn finish_layer(
        &self,
        base: BaseImage,
        contract: &S2iContract,
        result: RunResult,
    ) -> Result<StageResult, Error> {
        self.check_unchanged()?;
        let values = self.values(&base, contract, &result);
        let artifact_digest = result.artifact_digest.or(self.prepared.artifact.sha256);
        let Changes::Layer(layer) = result.changes else { unreachable!("the sandbox gives a layer") };
        let image = self.unfinished(base, layer, values, result.labels);
        let written = self.write(&image, &mut KnownLayer::nothing()).await?;
        Ok(StageResult { artifact_digest, ..written })
    }

    /// Gives what the script left in the daemon its config and publishes it.
    async fn finish_commit(
        &self,
        daemon: &Daemon,
        base: &BaseImage,
        contract: &S2iContract,
        result: RunResult,
    ) -> Result<StageResult, Error> {
        self.check_unchanged()?;
        let values = self.values(base, contract, &result);
        let artifact_digest = result.artifact_digest.or(self.prepared.artifact.sha256);
        let Changes::Committed { image_id, diff_ids } = result.changes else {
            unreachable!("the Docker engine commits")
        };
        let invalid = |source| Error::Config { base: base.name.clone(), source };
        let below = base.config.diff_ids().map_err(invalid)?.len();
        let edits = self.stage.image.resolve(&values);
        let config =
            assemble::finish(&base.config, &edits, &result.labels, &diff_ids[below.min(diff_ids.len())..]);
        let manifest_digest = self.write_committed(daemon, &image_id, &config).await?;
        Ok(StageResult {
            image_id: config.digest(),
            manifest_digest,
            ports: config.exposed_ports(),
            artifact_digest,
            layer_digest: None,
        })
    }
}

pub(super) fn contract(run: &PlannedRun, base: &BaseImage) -> Result<S2iContract, Error> {
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

pub(super) fn container_limits(limits: &Limits) -> ContainerLimits {
    ContainerLimits {
        memory: limits.memory,
        nano_cpus: limits.nano_cpus,
        pids: limits.pids,
        timeout: limits.timeout,
    }
}
