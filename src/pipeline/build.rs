//! Owns the second half of the road: each stage is assembled, then the outputs get what they take. How a stage is
//! assembled is `stage` and `script`, where results go `outputs` and `index`.

use super::base::BaseResolver;
use super::prepare::{Prepared, prepare, prepare_artifact};
use super::sandbox::SandboxRun;
use super::source::SourceResult;
use super::stage::{Assembled, StageResult, StageWork};
use super::{Built, BuiltImage, BuiltSources, overwrite_check};
use crate::error::Error;
use crate::image::{BaseImage, Digest, Platform};
use crate::input::Artifact;
use crate::plan::{Assembly, SourceStage, Takes};
use crate::request::Request;
use crate::session::Session;
use crate::store::daemon::{Daemon, remove_leftovers};
use crate::transport::Transport;

/// Builds an image, or one for each platform and an index of them.
///
/// # Errors
/// [`Error`] of the step that failed; nothing half-made stays behind.
pub async fn build(request: &Request, session: &Session) -> Result<Built, Error> {
    // Before anything is fetched or built; an output that nobody named is looked at when it is planned.
    overwrite_check::check(request, &request.outputs)?;
    if let Some(wanted) = &request.source_build {
        return super::source::build(request, wanted, session).await;
    }
    build_prepared(request, prepare(request, session).await?, None, session).await
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

/// Carries a plan out; `made` is what its source stage left, if that is the image.
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
    let daemon = prepared.daemon.as_ref().map(|daemon| daemon.info().flavour.command().to_owned());
    Ok(Built {
        image_id: shown.image_id,
        manifest_digest: index.or(shown.manifest_digest),
        tags: prepared.plan.tags.clone(),
        outputs: prepared.plan.outputs.iter().map(|planned| planned.output.clone()).collect(),
        daemon,
        ports: shown.ports.clone(),
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

fn built_sources(stage: &SourceStage) -> BuiltSources {
    let (info, builder) = (stage.source.info.clone(), stage.builder.name.clone());
    BuiltSources { info, builder, engine: stage.engine }
}

/// The images, the index of them, and what `--run` starts in the sandbox.
type BuildResult = (Vec<BuiltImage>, Option<Digest>, Option<SandboxRun>);

/// A build on its way.
pub(crate) struct Work<'a> {
    pub(crate) request: &'a Request,
    pub(crate) session: &'a Session,
    pub(crate) prepared: &'a Prepared,
    pub(crate) bases: BaseResolver<'a>,
}

/// Digests of manifests, as they become known. Formats differ, and so the digests of several outputs may. The one to
/// tell is the registry's, whose name it is told with; else the first.
#[derive(Default)]
pub(crate) struct Told(Option<Digest>);

impl Told {
    pub(crate) fn tell(&mut self, output: &Transport, written: Option<Digest>) {
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

    /// The stage whose image is told of where there is room for one: the daemon's, else this machine's, else the
    /// first.
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
            // All of them before anything is made: one that is missing a platform should cost nothing.
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
            // A sandbox's layer is read from its container, which goes last.
            one.remove_container().await?;
        }
        result
    }

    /// Writes everything; containers that are not needed for it are removed meanwhile, as that takes a daemon a
    /// while.
    async fn write_and_remove(&self, assembled: &mut [Assembled<'_>]) -> Result<BuildResult, Error> {
        let unneeded: Vec<_> = assembled.iter_mut().filter_map(Assembled::take_unneeded).collect();
        let removing = async {
            for container in unneeded {
                container.remove().await?;
            }
            Ok::<_, Error>(())
        };
        let (written, removed) = tokio::join!(self.write(assembled), removing);
        let told = written?;
        removed?;
        let mut images = Vec::new();
        for (one, manifest) in assembled.iter().zip(&told.images) {
            images.push(self.built_image(one, manifest.digest())?);
        }
        let runnable = assembled[self.main_image()].runnable().await?;
        Ok((images, told.index.digest(), runnable))
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

    /// Removes what the daemon holds for this run alone: the built-in base that a script ran on, and after an error
    /// what was committed or loaded and never got its name.
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
