//! Owns the pipeline of source builds: sources to an image, or to an artifact, which then goes the way of every artifact.

mod caches;
mod callback;
mod declared;
mod dockerfile;
mod image;
mod incremental;
mod on_build;
mod prepare;
mod removal;
mod run;
mod runtime;
mod saved_artifacts;
mod scripts;

pub(crate) use declared::DeclaredArtifact;
use declared::declared;
pub use dockerfile::write_dockerfile;
pub(super) use image::SourceResult;
use prepare::PreparedSource;
pub(crate) use removal::RemovalError;
pub(crate) use scripts::ScriptsError;

use super::Built;
use super::build::{build_artifact, build_prepared};
use super::prepare::{Prepared, StageInputs, check_build, preview, tell};
use crate::error::Error;
use crate::events::Step;
use crate::input::Artifact;
use crate::plan::{Plan, PlannedProduct, SourceImage, make_of_sources};
use crate::request::{Request, SourceBuildRequest};
use crate::session::Session;

/// Plans a source build. The stage of an artifact's image is planned by what is declared of the artifact.
pub(super) async fn plan(
    request: &Request,
    wanted: &SourceBuildRequest,
    session: &Session,
) -> Result<Plan, Error> {
    let prepared = prepare::prepare(request, wanted, session).await?;
    let plan = whole_plan(request, wanted, &prepared, session).await?;
    check_build(request, &plan)?;
    if let PlannedProduct::Artifact { .. } = prepared.stage.product {
        let step = session.events.start(Step::Plan, prepared.tree.name.clone(), None);
        tell(&plan, step, session);
    }
    Ok(plan)
}

async fn whole_plan(
    request: &Request,
    wanted: &SourceBuildRequest,
    prepared: &PreparedSource,
    session: &Session,
) -> Result<Plan, Error> {
    if let PlannedProduct::Artifact { .. } = prepared.stage.product {
        let unknown = |path| format!("nothing declares what `{path}` is");
        let declared = declared(request, prepared, session).await?.map_err(unknown);
        return preview(request, declared, &prepared.stage, session).await;
    }
    image_plan(request, wanted, prepared)
}

/// The plan of an image that is what a source stage leaves.
fn image_plan(
    request: &Request,
    wanted: &SourceBuildRequest,
    prepared: &PreparedSource,
) -> Result<Plan, Error> {
    let image = SourceImage {
        source: &prepared.stage,
        selection: &prepared.selection,
        on_build: prepared.on_build.as_ref().map(|on_build| &on_build.edits),
        machine: &prepared.machine,
    };
    let plan = make_of_sources(request, wanted, &image)?;
    removal::check(request, wanted, &plan)?;
    Ok(plan)
}

/// Builds from sources.
pub(super) async fn build(
    request: &Request,
    wanted: &SourceBuildRequest,
    session: &Session,
) -> Result<Built, Error> {
    let prepared = prepare::prepare(request, wanted, session).await?;
    // What contradicts itself should not cost a build.
    let plan = whole_plan(request, wanted, &prepared, session).await?;
    check_build(request, &plan)?;
    let labels = plan.stages.first().map(|stage| stage.image.edits.labels.clone()).unwrap_or_default();
    let replaced = removal::replaced(request, wanted, &prepared).await?;
    let built = execute(request, wanted, prepared, plan, session).await;
    if let Some(replaced) = replaced.filter(|_| built.is_ok()) {
        replaced.remove(session).await;
    }
    if let Some(url) = &wanted.callback {
        let none = std::collections::BTreeMap::new();
        let labels = if built.is_ok() { &labels } else { &none };
        callback::tell(url, built.is_ok(), labels, request.offline, session).await;
    }
    built
}

async fn execute(
    request: &Request,
    wanted: &SourceBuildRequest,
    prepared: PreparedSource,
    plan: Plan,
    session: &Session,
) -> Result<Built, Error> {
    let work = run::SourceWork { request, wanted, session, prepared: &prepared, plan: &plan };
    let made = work.run().await;
    work.clean_up(made.is_err()).await;
    let keeps = prepared.stage.runtime.as_ref().is_some_and(|runtime| runtime.keeps_artifacts);
    let has_steps = prepared.on_build.is_some() || keeps || work.cache_places().is_some();
    let (lease, daemon) = (prepared.lease.clone(), prepared.daemon.clone());
    let built = finish(request, prepared, plan, made, session).await;
    if let Some(daemon) = daemon.filter(|_| has_steps) {
        // What was committed between two commands goes when nothing stands on it any more.
        run::remove_leftovers_of(&lease, &daemon, session).await;
    }
    built
}

async fn finish(
    request: &Request,
    prepared: PreparedSource,
    plan: Plan,
    made: Result<Made, Error>,
    session: &Session,
) -> Result<Built, Error> {
    match made? {
        Made::Artifact(artifact) => build_artifact(request, *artifact, &prepared.stage, session).await,
        Made::Image(made) => {
            let image = StageInputs {
                artifact: None,
                selection: image::selection(&prepared.selection, prepared.stage.runtime.as_ref()),
                template_entries: Vec::new(),
            };
            let whole =
                Prepared { lease: prepared.lease, daemon: prepared.daemon, plan, images: vec![image] };
            build_prepared(request, whole, Some(*made), session).await
        }
    }
}

/// What a source stage makes.
enum Made {
    Artifact(Box<Artifact>),
    Image(Box<SourceResult>),
}
