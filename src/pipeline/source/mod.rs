//! Owns the road of source builds: sources to an artifact, which then takes the road of every artifact, or to an image.

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

pub use dockerfile::write_dockerfile;
pub(super) use image::MadeImage;
use prepare::PreparedSource;
pub(crate) use removal::RemovalError;

use super::Built;
use super::build::{build_artifact, build_prepared};
use super::prepare::{Prepared, PreparedImage};
use super::run::check_network;
use crate::builder::SourceSelection;
use crate::error::Error;
use crate::input::Artifact;
use crate::pipeline::overwrite_check;
use crate::plan::{Plan, PlannedProduct, SCHEMA_VERSION, SourceImage, make_of_sources};
use crate::request::{Request, SourceBuildRequest};
use crate::session::Session;
use crate::transport::Transport;

/// Plans a source build. The image's own stage is there only if it does not depend on what comes of the sources.
pub(super) async fn plan(
    request: &Request,
    wanted: &SourceBuildRequest,
    session: &Session,
) -> Result<Plan, Error> {
    let prepared = prepare::prepare(request, wanted, session).await?;
    plan_to_carry_out(request, wanted, &prepared)
}

/// The plan, if its program could be started too: whoever writes it down starts none.
fn plan_to_carry_out(
    request: &Request,
    wanted: &SourceBuildRequest,
    prepared: &PreparedSource,
) -> Result<Plan, Error> {
    let plan = whole_plan(request, wanted, prepared)?;
    // Where an artifact's image goes is planned when it is there, by the same rule.
    let reaches_daemon = match request.outputs.as_slice() {
        [] => prepared.daemon.is_some(),
        outputs => outputs.contains(&Transport::Docker),
    };
    check_network(request, reaches_daemon)?;
    Ok(plan)
}

fn whole_plan(
    request: &Request,
    wanted: &SourceBuildRequest,
    prepared: &PreparedSource,
) -> Result<Plan, Error> {
    let stage = &prepared.stage;
    if let PlannedProduct::Artifact { .. } = stage.product {
        return Ok(Plan {
            schema_version: SCHEMA_VERSION,
            source: Some(stage.clone()),
            stages: Vec::new(),
            tags: request.tags.clone(),
            outputs: Vec::new(),
            warnings: Vec::new(),
        });
    }
    let (template, base) = match (&prepared.selection, &stage.runtime) {
        (_, Some(runtime)) => (None, runtime.image.to_string()),
        (SourceSelection::Template(choice), None) => {
            // A replacement is a mirror as a rule: which one this machine uses is not the image's to tell.
            let base = choice.base.replaces.as_ref().unwrap_or(&choice.base.image);
            (Some(&*choice.template), base.to_string())
        }
        (SourceSelection::Image(image), None) => (None, image.reference.recorded()),
    };
    // With a runtime image, the instructions were for another one.
    let on_build = prepared.on_build.as_ref().filter(|_| stage.runtime.is_none());
    let on_build = on_build.map(|on_build| &on_build.edits);
    let image = SourceImage { source: stage, template, base, on_build, machine: &prepared.machine };
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
    let plan = plan_to_carry_out(request, wanted, &prepared)?;
    overwrite_check::check(request, plan.outputs.iter().map(|planned| &planned.output))?;
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
            let image = PreparedImage {
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
    Image(Box<MadeImage>),
}
