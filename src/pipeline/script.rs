//! Owns running a builder's script by its contract, and the image of its changes. Must not choose the engine.

use super::build::Work;
use super::engine::{Engines, ReadyEngine};
use super::source::{ScriptDownload, fetched};
use super::stage::{Assembled, StageWork};
use crate::assemble::{RunOutcome, ScriptRun, run_script};
use crate::builder::S2iContract;
use crate::engine::{ChangeLimits, ContainerLimits, Engine};
use crate::error::Error;
use crate::image::{BaseImage, ImagePath, Platform};
use crate::plan::{Assembly, EngineKind, KnownValues, PlannedRun};
use crate::request::Limits;
use crate::sources::scripts::ScriptFile;

/// S2I's default directory for sources.
const DEFAULT_DESTINATION: &str = "/tmp";

impl<'a> StageWork<'a> {
    fn engines(&self, allow_root: bool) -> Engines<'a> {
        let Work { session, prepared, .. } = self.work;
        let (lease, daemon) = (&prepared.lease, prepared.daemon.as_ref());
        Engines { session, lease, daemon, date: self.stage.date, allow_root }
    }

    /// Rejects limits that the daemon does not support, before pulling a base. The sandbox's check needs the base.
    pub(crate) async fn check_engine(&self) -> Result<(), Error> {
        let Assembly::Run(run) = &self.stage.assembly else { return Ok(()) };
        if run.engine == EngineKind::Docker {
            let engine = self.engines(run.limits.allow_root_sandbox).docker()?;
            engine.check(&container_limits(&run.limits), run.limits.network.as_deref()).await?;
        }
        Ok(())
    }

    /// Runs the script on `base`.
    pub(crate) async fn run(&'a self, run: &PlannedRun, base: BaseImage) -> Result<Assembled<'a>, Error> {
        let contract = contract(run, &base)?;
        let user = contract.assemble_user.clone().unwrap_or_else(|| base.config.user().to_owned());
        let scripts = self.fetched_scripts(&contract).await?;
        let ReadyEngine { engine, image } =
            self.engines(run.limits.allow_root_sandbox).ready(run.engine, &base).await?;
        let script = ScriptRun { uploaded: &scripts, ..self.script_run(run, &image, &contract, &user) };
        let RunOutcome { changes, labels, artifact_digest, shell_script, container } =
            run_script(&*engine, script, self.image.inputs(), &self.work.session.events).await?;
        if let Err(error) = self.check_unchanged() {
            container.remove().await?;
            return Err(error);
        }
        let artifact_digest = artifact_digest.or(self.image.artifact().sha256);
        let values = KnownValues {
            artifact_digest: artifact_digest.map(|digest| digest.to_string()),
            builder_scripts: Some(contract.scripts.to_string()),
            shell_script,
            ..KnownValues::of_base(&base)
        };
        let image = self.changed(base, changes, values, labels)?;
        Ok(Assembled { stage: self, image, memo: None, artifact_digest, container: Some(container) })
    }

    /// The scripts that the builder image names and does not have.
    async fn fetched_scripts(&self, contract: &S2iContract) -> Result<Vec<ScriptFile>, Error> {
        let Some(place) = &contract.fetched else { return Ok(Vec::new()) };
        let Work { request, session, prepared, .. } = self.work;
        let download = ScriptDownload { http: &request.input.http, offline: request.offline, limit: None };
        fetched(place, &download, &prepared.lease, session).await
    }

    /// Adds to a script's error that the script is for another platform.
    pub(crate) fn explain(&self, engine: EngineKind, error: Error) -> Error {
        let native = match (engine, &self.work.prepared.daemon) {
            (EngineKind::Docker, Some(daemon)) => daemon.info().platform.clone(),
            _ => Platform::host(),
        };
        let platform = self.stage.platform.clone();
        match error {
            Error::Run(source) if !native.matches(&platform) => {
                Error::ForeignScript { platform, native, source }
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
            uploaded: &[],
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
}

pub(crate) fn contract(run: &PlannedRun, base: &BaseImage) -> Result<S2iContract, Error> {
    let user = run.limits.assemble_user.as_deref();
    Ok(match &run.scripts {
        // The template's own contract: labels of a public base are about other scripts.
        Some(scripts) => S2iContract {
            scripts: scripts.clone(),
            fetched: None,
            destination: ImagePath::new(DEFAULT_DESTINATION).expect("absolute and normal"),
            assemble_user: user.map(str::to_owned).or_else(|| run.user.clone()),
            assemble_input_files: Vec::new(),
            on_build: Vec::new(),
        },
        None => S2iContract::read(&base.name, &base.config, user, run.limits.allow_root)?,
    })
}

pub(crate) fn container_limits(limits: &Limits) -> ContainerLimits {
    ContainerLimits {
        memory: limits.memory,
        nano_cpus: limits.nano_cpus,
        pids: limits.pids,
        timeout: limits.timeout,
        change: ChangeLimits { bytes: limits.change_size, files: limits.change_files },
    }
}
