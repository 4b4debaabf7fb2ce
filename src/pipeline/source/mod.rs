//! Owns the pipeline of source builds: from sources to an image, or to an artifact for the usual pipeline.
//!
//! Must not decide anything; the plan does.

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

use declared::declared;
pub use dockerfile::write_dockerfile;
pub(super) use image::SourceResult;
use prepare::PreparedSource;
pub(crate) use removal::RemovalError;
pub(crate) use scripts::{ScriptDownload, ScriptsError, fetched};

use super::Built;
use super::build::{build_artifact, build_prepared};
use super::prepare::{Prepared, StageInputs, check_build, note_default_archive, preview, report};
use crate::error::Error;
use crate::events::Step;
use crate::input::Artifact;
use crate::plan::{Plan, PlannedProduct, SourceImage, make_of_sources};
use crate::request::{Request, SourceBuildRequest};
use crate::session::Session;

/// Plans a source build. The stage of an artifact follows from its declared facts.
pub(super) async fn plan(
    request: &Request,
    options: &SourceBuildRequest,
    session: &Session,
) -> Result<Plan, Error> {
    let prepared = prepare::prepare(request, options, session).await?;
    let plan = whole_plan(request, options, &prepared, session).await?;
    check_build(request, &plan)?;
    if let PlannedProduct::Artifact { .. } = prepared.stage.product {
        let step = session.events.start(Step::Plan, prepared.tree.name.clone(), None);
        report(&plan, step, session);
    }
    Ok(plan)
}

async fn whole_plan(
    request: &Request,
    options: &SourceBuildRequest,
    prepared: &PreparedSource,
    session: &Session,
) -> Result<Plan, Error> {
    if let PlannedProduct::Artifact { .. } = prepared.stage.product {
        let unknown = |path| format!("nothing declares what `{path}` is");
        let declared = declared(request, prepared, session).await?.map_err(unknown);
        return preview(request, declared, &prepared.stage, session).await;
    }
    image_plan(request, options, prepared)
}

/// The plan of an image that the source stage makes.
fn image_plan(
    request: &Request,
    options: &SourceBuildRequest,
    prepared: &PreparedSource,
) -> Result<Plan, Error> {
    let image = SourceImage {
        source: &prepared.stage,
        selection: &prepared.selection,
        on_build: prepared.on_build.as_ref().map(|on_build| &on_build.edits),
        machine: &prepared.machine,
    };
    let plan = make_of_sources(request, options, &image)?;
    removal::check(request, options, &plan)?;
    Ok(plan)
}

/// Builds from sources.
pub(super) async fn build(
    request: &Request,
    options: &SourceBuildRequest,
    session: &Session,
) -> Result<Built, Error> {
    let prepared = prepare::prepare(request, options, session).await?;
    // A contradiction should not cost a build.
    let plan = whole_plan(request, options, &prepared, session).await?;
    check_build(request, &plan)?;
    let labels = plan.stages.first().map(|stage| stage.image.edits.labels.clone()).unwrap_or_default();
    let replaced = removal::replaced(request, options, &prepared).await?;
    let built = execute(request, options, prepared, plan, session).await;
    if let Some(replaced) = replaced.filter(|_| built.is_ok()) {
        replaced.remove(session).await;
    }
    if let Some(url) = &options.callback {
        let none = std::collections::BTreeMap::new();
        let labels = if built.is_ok() { &labels } else { &none };
        callback::report(url, built.is_ok(), labels, request.offline, session).await;
    }
    built
}

async fn execute(
    request: &Request,
    options: &SourceBuildRequest,
    prepared: PreparedSource,
    plan: Plan,
    session: &Session,
) -> Result<Built, Error> {
    let work = run::SourceWork { request, options, session, prepared: &prepared, plan: &plan };
    let made = work.run().await;
    work.clean_up(made.is_err()).await;
    let keeps = prepared.stage.runtime.as_ref().is_some_and(|runtime| runtime.keeps_artifacts);
    let has_steps = prepared.on_build.is_some() || keeps || work.cache_places().is_some();
    let (lease, daemon) = (prepared.lease.clone(), prepared.daemon.clone());
    let built = finish(request, prepared, plan, made, session).await;
    if let Some(daemon) = daemon.filter(|_| has_steps) {
        // Images between two commands can be removed once no container uses them.
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
            note_default_archive(request, &plan, session);
            let image = StageInputs {
                artifact: None,
                selection: image::selection(&prepared.selection, prepared.stage.runtime.as_ref()),
                template_entries: Vec::new(),
            };
            let whole = Prepared {
                lease: prepared.lease,
                daemon: prepared.daemon,
                plan,
                images: vec![image],
                user_bases: Vec::new(),
            };
            build_prepared(request, whole, Some(*made), session).await
        }
    }
}

/// The result of a source stage.
enum Made {
    Artifact(Box<Artifact>),
    Image(Box<SourceResult>),
}
