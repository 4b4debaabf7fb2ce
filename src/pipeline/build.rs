//! Owns executing a plan: assembles each stage, then writes the outputs. Must not know how; `stage`, `script` and
//! `outputs` do.

use super::base::BaseResolver;
use super::prepare::{Prepared, Purpose, prepare, prepare_artifact};
use super::sandbox::SandboxRun;
use super::source::SourceResult;
use super::stage::{Assembled, StageResult, StageWork};
use super::{Built, BuiltImage, BuiltSources, overwrite_check};
use crate::error::Error;
use crate::image::{BaseImage, Digest, Platform};
use crate::input::Artifact;
use crate::plan::{Assembly, Plan, SourceStage, Stage, Takes};
use crate::request::Request;
use crate::session::Session;
use crate::store::daemon::{Daemon, remove_leftovers};
use crate::transport::Transport;

/// Builds an image, or one for each platform and an index of them.
///
/// # Errors
/// [`Error`] of the step that failed; partial results are removed.
pub async fn build(request: &Request, session: &Session) -> Result<Built, Error> {
    // Before any download or build. The default output is checked when it is planned.
    overwrite_check::check(request, &request.outputs)?;
    if let Some(options) = &request.source_build {
        return super::source::build(request, options, session).await;
    }
    build_prepared(request, prepare(request, Purpose::Build, session).await?, None, session).await
}

/// Builds the image of an artifact that was built from sources.
pub(crate) async fn build_artifact(
    request: &Request,
    artifact: Artifact,
    source: &SourceStage,
    session: &Session,
) -> Result<Built, Error> {
    let prepared = prepare_artifact(request, artifact, source, session).await?;
    build_prepared(request, prepared, None, session).await
}

/// Executes a plan; `made` is the image of its source stage, if it has one.
pub(crate) async fn build_prepared(
    request: &Request,
    prepared: Prepared,
    made: Option<SourceResult>,
    session: &Session,
) -> Result<Built, Error> {
    let work = Work::new(request, session, &prepared);
    let result = work.build(made).await;
    work.clean_up(result.is_err()).await;
    let (images, index, runnable) = result?;
    let main = work.main_image();
    let (Some(shown), Some(stage)) = (images.get(main), prepared.plan.stages.get(main)) else {
        return Err(Error::NoOutput);
    };
    let manifest_digest = index.or(shown.manifest_digest);
    let daemon = prepared.daemon.as_ref().map(|daemon| daemon.info().flavour.command().to_owned());
    Ok(Built {
        image_id: shown.image_id,
        manifest_digest,
        tags: prepared.plan.tags.clone(),
        references: references(&prepared.plan, manifest_digest),
        outputs: prepared.plan.outputs.iter().map(|planned| planned.output.clone()).collect(),
        daemon,
        ports: shown.ports.clone(),
        published_ports: published_ports(stage, shown),
        builder: stage.builder.name.clone(),
        assembly: stage.assembly.kind(),
        assembly_reason: stage.assembly_reason.clone(),
        artifact_digest: shown.artifact_digest,
        layer_digest: shown.layer_digest,
        index_digest: index,
        sources: prepared.plan.source.as_ref().map(built_sources),
        images,
        runnable,
    })
}

/// The names by digest in registries, one for each repository.
fn references(plan: &Plan, manifest: Option<Digest>) -> Vec<String> {
    let is_pushed = plan.outputs.iter().any(|planned| planned.output.is_registry());
    let Some(digest) = manifest.filter(|_| is_pushed) else { return Vec::new() };
    let mut references: Vec<String> = Vec::new();
    for tag in &plan.tags {
        let reference = format!("{}@{digest}", tag.name());
        if !references.contains(&reference) {
            references.push(reference);
        }
    }
    references
}

/// The ports on which the program may listen: a template's base exposes the ports of its own program.
fn published_ports(stage: &Stage, image: &BuiltImage) -> Vec<String> {
    match stage.builder.template_digest {
        Some(_) => stage.image.edits.exposed_ports.to_vec(),
        None => image.ports.clone(),
    }
}

fn built_sources(stage: &SourceStage) -> BuiltSources {
    let (info, builder) = (stage.source.info.clone(), stage.builder.name.clone());
    BuiltSources { info, builder, engine: stage.engine }
}

/// The images, their index, and the image that `--run` starts in the sandbox.
type BuildResult = (Vec<BuiltImage>, Option<Digest>, Option<SandboxRun>);

/// A build during its execution.
pub(crate) struct Work<'a> {
    pub(crate) request: &'a Request,
    pub(crate) session: &'a Session,
    pub(crate) prepared: &'a Prepared,
    pub(crate) bases: BaseResolver<'a>,
}

/// The manifest digest to report. It differs between formats: the registry's digest takes precedence, because the report has
/// the registry's name.
#[derive(Default)]
pub(crate) struct ReportedDigest(Option<Digest>);

impl ReportedDigest {
    pub(crate) fn update(&mut self, output: &Transport, written: Option<Digest>) {
        if written.is_some() && (self.0.is_none() || output.is_registry()) {
            self.0 = written;
        }
    }

    pub(crate) fn digest(&self) -> Option<Digest> {
        self.0
    }
}

impl<'a> Work<'a> {
    pub(crate) fn new(request: &'a Request, session: &'a Session, prepared: &'a Prepared) -> Self {
        let bases = BaseResolver::new(session, prepared.daemon.as_ref(), request.offline);
        Self { request, session, prepared, bases }
    }

    pub(crate) fn daemon(&self) -> Result<&'a Daemon, Error> {
        self.prepared.daemon.as_ref().ok_or(Error::NoDaemon)
    }

    /// The stage to report as the image: the daemon's, else this machine's, else the first.
    fn main_image(&self) -> usize {
        let plan = &self.prepared.plan;
        let single = plan.outputs.iter().find_map(|planned| match planned.takes {
            Takes::Image { stage } => Some(stage),
            Takes::Index => None,
        });
        let host = Platform::host();
        single.or_else(|| plan.stages.iter().position(|stage| host.matches(&stage.platform))).unwrap_or(0)
    }

    async fn build(&self, mut made: Option<SourceResult>) -> Result<BuildResult, Error> {
        let memo = self.session.memo(!self.request.ignore_memo)?;
        let stages = self.stages();
        let mut bases: Vec<BaseImage> = Vec::new();
        for stage in &stages {
            stage.check_engine().await?;
        }
        for stage in &stages {
            // Resolve all bases first: a missing platform should not cost a build.
            let base = match &made {
                Some(made) => made.base.clone(),
                None => stage.base(&bases).await?,
            };
            bases.push(base);
        }
        let mut assembled: Vec<Assembled<'_>> = Vec::new();
        let mut result = Ok(());
        for (stage, base) in stages.iter().zip(bases) {
            let done = match &stage.stage.assembly {
                Assembly::Place { entries } => stage.place(entries, base, &memo, &assembled),
                Assembly::Sources => match made.take() {
                    Some(made) => stage.of_sources(made).await,
                    None => Err(Error::NoOutput),
                },
                Assembly::Run(run) => {
                    stage.run(run, base).await.map_err(|error| stage.explain(run.engine, error))
                }
            };
            match done {
                Ok(done) => assembled.push(done),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        let result = match result {
            Ok(()) => self.write_and_remove(&mut assembled).await,
            Err(error) => Err(error),
        };
        for one in &mut assembled {
            // Sinks read a sandbox's layer from its container, so it goes last.
            one.remove_container().await?;
        }
        result
    }

    /// Writes the outputs. At the same time it removes unneeded containers, which takes a daemon a while.
    async fn write_and_remove(&self, assembled: &mut [Assembled<'_>]) -> Result<BuildResult, Error> {
        let unneeded: Vec<_> = assembled.iter_mut().filter_map(Assembled::take_unneeded).collect();
        let removing = async {
            for container in unneeded {
                container.remove().await?;
            }
            Ok::<_, Error>(())
        };
        let (written, removed) = tokio::join!(self.write(assembled), removing);
        let digests = written?;
        removed?;
        let mut images = Vec::new();
        for (one, manifest) in assembled.iter().zip(&digests.images) {
            images.push(self.built_image(one, manifest.digest())?);
        }
        let runnable = assembled[self.main_image()].runnable().await?;
        Ok((images, digests.index.digest(), runnable))
    }

    fn built_image(&self, one: &Assembled<'_>, manifest_digest: Option<Digest>) -> Result<BuiltImage, Error> {
        let stage = one.stage;
        let (config, image_id, layers) = match &one.image {
            StageResult::InContainer { config, id, .. } => {
                (config.clone(), id.get().copied().unwrap_or_else(|| config.digest()), Vec::new())
            }
            StageResult::Image(image) => {
                let written = image.written().ok_or(Error::NoOutput)?;
                let finished = image.finish(&written)?;
                (finished.config, finished.image_id, written)
            }
        };
        let watched = layers.iter().find_map(|layer| layer.watched);
        let known = stage.image.artifact.as_ref().and_then(|artifact| artifact.sha256);
        Ok(BuiltImage {
            platform: stage.stage.platform.clone(),
            image_id,
            manifest_digest,
            ports: config.exposed_ports(),
            artifact: stage.image.artifact.as_ref().map(|artifact| artifact.name.clone()),
            artifact_digest: one.artifact_digest.or(watched).or(known),
            builder: stage.stage.builder.name.clone(),
            layer_digest: layers.last().map(|layer| layer.diff_id),
        })
    }

    fn stages(&self) -> Vec<StageWork<'_>> {
        let Prepared { plan, images, .. } = self.prepared;
        let stages = plan.stages.iter().zip(images).enumerate();
        stages.map(|(index, (stage, image))| StageWork::new(self, index, stage, image)).collect()
    }

    /// Removes images of this run from the daemon: the built-in base of a script, and after an error unnamed images.
    async fn clean_up(&self, failed: bool) {
        let runs = |stage: &crate::plan::Stage| matches!(stage.assembly, Assembly::Run { .. });
        let may_hold = failed || self.prepared.plan.stages.iter().any(runs);
        let Some(daemon) = self.prepared.daemon.as_ref().filter(|_| may_hold) else { return };
        let lease = self.prepared.lease.id().to_owned();
        if let Err(error) = remove_leftovers(daemon, &[lease]).await {
            tracing::warn!(%error, "something of this run stays in the daemon; a later run removes it");
            self.session.keep_lease();
        }
    }
}
