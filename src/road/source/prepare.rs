//! Owns the first half of a source build: sources, builder, scripts, and the plan of the stage. Nothing is built here.

use std::sync::Arc;

use super::{base, stage};
use crate::builder::{Catalog, ImageChoice, Selection};
use crate::events::Step;
use crate::fs::Lease;
use crate::image::Platform;
use crate::image::layer::Entry;
use crate::input::InputSource;
use crate::plan::{EngineKind, PlanError, SourceStage};
use crate::request::{AssembleRequest, BuilderRequest, Request};
use crate::road::prepare::{remove_abandoned, sandbox_works};
use crate::road::{Error, Surroundings};
use crate::source_build::scripts::GivenScripts;
use crate::source_build::{SourceBuildRequest, SourceLocation, SourceTree, fetch_source};
use crate::store::BaseImage;
use crate::store::daemon::Daemon;

/// Everything that carrying out a source stage needs.
pub(super) struct PreparedSource {
    pub(super) lease: Arc<Lease>,
    pub(super) daemon: Option<Daemon>,
    pub(super) tree: SourceTree,
    pub(super) scripts: GivenScripts,
    pub(super) template_entries: Vec<Entry>,
    /// The builder's base, or the builder image.
    pub(super) base: BaseImage,
    pub(super) stage: SourceStage,
}

/// The engine, and why it.
pub(super) struct Engine {
    pub(super) kind: EngineKind,
    pub(super) reason: &'static str,
}

pub(super) async fn prepare(
    request: &Request,
    wanted: &SourceBuildRequest,
    surroundings: &Surroundings,
) -> Result<PreparedSource, Error> {
    let _catalog = Catalog::new(&surroundings.catalog)?;
    let lease = surroundings.lease()?;
    let finding = async {
        let found = surroundings.find_daemon().await;
        let daemon = found.as_ref().ok().cloned().flatten();
        remove_abandoned(surroundings, daemon.as_ref(), found.is_err()).await;
        Ok::<_, Error>((found, daemon))
    };
    let fetching = fetch(wanted, &lease, surroundings);
    let ((found, daemon), mut tree) = tokio::try_join!(finding, fetching)?;
    let step = surroundings.events.start(Step::Plan, tree.name.clone(), None);
    let selection = select(wanted, &tree)?;
    let engine = engine(request, &selection, found, daemon.as_ref(), &lease, surroundings).await?;
    let native_platform = daemon
        .as_ref()
        .filter(|_| engine.kind == EngineKind::Docker)
        .map_or_else(Platform::host, |daemon| daemon.info().platform.clone());
    let Selection::Image(choice) = &selection else { unreachable!("only images are chosen") };
    let image = base::Wanted {
        reference: &choice.reference,
        platform: Some(choice.platform.clone().unwrap_or(native_platform)),
        pull: request.pull,
        offline: request.offline,
    };
    let base = base::find(image, engine.kind, daemon.as_ref(), surroundings).await?;
    let scripts = GivenScripts { of_sources: GivenScripts::take_from(&mut tree), ..GivenScripts::default() };
    let stage = stage::make(&stage::Decided {
        request,
        wanted,
        tree: &tree,
        selection: &selection,
        base: &base,
        scripts: &scripts,
        engine: &engine,
    })?;
    for warning in &stage.warnings {
        surroundings.events.warning(warning.message.clone(), warning.hint.clone());
    }
    step.made(stage.builder.describe()).finish("builds the sources");
    Ok(PreparedSource { lease, daemon, tree, scripts, template_entries: Vec::new(), base, stage })
}

async fn fetch(
    wanted: &SourceBuildRequest,
    lease: &Lease,
    surroundings: &Surroundings,
) -> Result<SourceTree, Error> {
    let stdin: Box<dyn std::io::Read + Send> = match &wanted.location {
        SourceLocation::Archive(InputSource::Stdin) => (surroundings.stdin)(),
        _ => Box::new(std::io::empty()),
    };
    let options = &wanted.source;
    let fetched = fetch_source(&wanted.location, options, lease, stdin, &surroundings.events);
    Ok(fetched.await?)
}

fn select(wanted: &SourceBuildRequest, tree: &SourceTree) -> Result<Selection, Error> {
    match &wanted.builder {
        Some(BuilderRequest::Image(reference)) => {
            let reason = format!("`{}` was asked for; b2i checks nothing about it", reference.familiar());
            let choice = ImageChoice { reference: reference.clone(), platform: None, reason };
            Ok(Selection::Image(Box::new(choice)))
        }
        _ => Err(crate::builder::BuilderError::NoScripts { image: tree.name.clone() }.into()),
    }
}

/// Chooses what runs the scripts: what is asked for, else a daemon that answers, else the sandbox.
async fn engine(
    request: &Request,
    selection: &Selection,
    found: Result<Option<Daemon>, Error>,
    daemon: Option<&Daemon>,
    lease: &Lease,
    surroundings: &Surroundings,
) -> Result<Engine, Error> {
    let shown = || match selection {
        Selection::Template(choice) => {
            format!("the template `{}:{}`", choice.template.name(), choice.version.version)
        }
        Selection::Image(image) => format!("the builder image `{}`", image.reference.familiar()),
    };
    let asked = |kind, reason| Ok(Engine { kind, reason });
    match request.assemble {
        AssembleRequest::Sandbox => asked(EngineKind::Sandbox, "asked for with `--assemble sandbox`"),
        AssembleRequest::Docker if daemon.is_some() => {
            asked(EngineKind::Docker, "asked for with `--assemble docker`")
        }
        _ if daemon.is_some() => asked(EngineKind::Docker, "a daemon answers"),
        // Why the daemon does not answer says more than that it doesn't.
        _ if found.is_err() => Err(found.err().unwrap_or(Error::NoDaemon)),
        AssembleRequest::Docker => Err(PlanError::NoDaemonToRun { builder: shown() }.into()),
        _ if sandbox_works(surroundings, lease, request).await => {
            asked(EngineKind::Sandbox, "there is no daemon")
        }
        _ => Err(PlanError::NoEngine { builder: shown() }.into()),
    }
}
