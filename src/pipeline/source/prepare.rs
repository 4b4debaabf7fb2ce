//! Owns the first half of a source build: sources, builder, scripts, and the plan of the stage. Nothing is built here.

use std::sync::Arc;

use super::base::Images;
use super::{on_build, scripts, stage};
use crate::builder::{BaseName, Catalog, SourceSelection, SourceSelectionRequest, select_source};
use crate::error::Error;
use crate::events::Step;
use crate::fs::Lease;
use crate::image::layer::Entry;
use crate::image::{BaseImage, ImageReference};
use crate::input::InputSource;
use crate::pipeline::prepare::{remove_abandoned, sandbox_works};
use crate::plan::{EngineKind, PlanError, SourceStage};
use crate::request::{AssembleRequest, Request, SourceBuildRequest};
use crate::session::Session;
use crate::source_build::ephemeral::{EphemeralFile, ephemeral_files};
use crate::source_build::on_build::OnBuild;
use crate::source_build::scripts::GivenScripts;
use crate::sources::{SourceLocation, SourceOptions, SourceTree, fetch_source};
use crate::store::daemon::Daemon;

/// Everything that carrying out a source stage needs.
pub(super) struct PreparedSource {
    pub(super) lease: Arc<Lease>,
    pub(super) daemon: Option<Daemon>,
    pub(super) tree: SourceTree,
    pub(super) scripts: GivenScripts,
    pub(super) selection: SourceSelection,
    pub(super) template_entries: Vec<Entry>,
    /// Files that are there only while `assemble` runs.
    pub(super) ephemeral: Vec<EphemeralFile>,
    /// Variables that the template gives its image.
    pub(super) template_environment: Vec<(String, String)>,
    /// The builder's base, or the builder image.
    pub(super) base: BaseImage,
    /// The image that gets the artifacts, in an extended build.
    pub(super) runtime: Option<BaseImage>,
    /// What the builder's ONBUILD instructions come to, if they are carried out.
    pub(super) on_build: Option<OnBuild>,
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
    session: &Session,
) -> Result<PreparedSource, Error> {
    let catalog = Catalog::new(&session.host.catalog)?;
    let lease = session.lease()?;
    let finding = async {
        let found = session.find_daemon().await;
        let daemon = found.as_ref().ok().cloned().flatten();
        remove_abandoned(session, daemon.as_ref(), found.is_err()).await;
        Ok::<_, Error>((found, daemon))
    };
    let fetching = fetch(wanted, &lease, session);
    let naming = scripts::named(wanted, &lease, session);
    let ((found, daemon), mut tree, named) = tokio::try_join!(finding, fetching, naming)?;
    let step = session.events.start(Step::Plan, tree.name.clone(), None);
    let selection = select_source(
        &catalog,
        &SourceSelectionRequest {
            name: &tree.name,
            files: &tree,
            builder: wanted.builder.as_ref(),
            platform: request.platforms.first(),
        },
    )?;
    let engine = engine(request, &selection, found, daemon.as_ref(), &lease, session).await?;
    let platform = request.platforms.first().cloned();
    let images = Images { engine: engine.kind, daemon: daemon.as_ref(), platform, request, session };
    let base = match base_reference(&selection) {
        Some(reference) => images.find(reference, request.pull).await?,
        None => images.built_in(),
    };
    let memo = session.memo(!request.ignore_memo)?;
    let base = match &selection {
        SourceSelection::Image(_) => {
            on_build::with_instructions(base, daemon.as_ref(), &memo, &lease).await?
        }
        SourceSelection::Template(_) => base,
    };
    let runtime = match &wanted.runtime {
        Some(runtime) => Some(images.find(&runtime.image, runtime.pull).await?),
        None => None,
    };
    let (template_entries, template_environment) = match &selection {
        SourceSelection::Template(choice) => {
            let environment = choice.template.metadata.image.env.clone().into_iter().collect();
            (choice.template.image_entries(None), environment)
        }
        SourceSelection::Image(_) => (Vec::new(), Vec::new()),
    };
    let scripts = GivenScripts { of_sources: GivenScripts::take_from(&mut tree), ..named };
    let on_build = on_build::decide(request, wanted, &selection, &base, &tree, &scripts)?;
    let stage = stage::make(&stage::Decided {
        request,
        wanted,
        tree: &tree,
        selection: &selection,
        base: &base,
        runtime: runtime.as_ref(),
        on_build: on_build.as_ref(),
        scripts: &scripts,
        engine: &engine,
    })?;
    let ephemeral = ephemeral_files(&wanted.secrets, &stage.injections)?;
    for warning in &stage.warnings {
        session.events.warn(warning);
    }
    step.made(stage.builder.describe()).finish("builds the sources");
    Ok(PreparedSource {
        lease,
        daemon,
        tree,
        scripts,
        template_entries,
        template_environment,
        ephemeral,
        base,
        runtime,
        on_build: on_build.map(|decided| decided.on_build),
        stage,
        selection,
    })
}

async fn fetch(wanted: &SourceBuildRequest, lease: &Lease, session: &Session) -> Result<SourceTree, Error> {
    let stdin: Box<dyn std::io::Read + Send> = match &wanted.location {
        SourceLocation::Archive(InputSource::Stdin) => (session.host.stdin)(),
        _ => Box::new(std::io::empty()),
    };
    let options = SourceOptions { git: session.host.git.clone(), ..wanted.source.clone() };
    let fetched = fetch_source(&wanted.location, &options, lease, stdin, &session.events);
    Ok(fetched.await?)
}

/// The image that the builder stands on, or is; nothing for the built-in base.
pub(super) fn base_reference(selection: &SourceSelection) -> Option<&ImageReference> {
    match selection {
        SourceSelection::Template(choice) => match &choice.base.image {
            BaseName::BuiltInStatic => None,
            BaseName::Image(reference) => Some(reference),
        },
        SourceSelection::Image(choice) => Some(&choice.reference),
    }
}

/// Chooses what runs the scripts: what is asked for, else a daemon that answers, else the sandbox.
async fn engine(
    request: &Request,
    selection: &SourceSelection,
    found: Result<Option<Daemon>, Error>,
    daemon: Option<&Daemon>,
    lease: &Lease,
    session: &Session,
) -> Result<Engine, Error> {
    let shown = || match selection {
        SourceSelection::Template(choice) => {
            format!("the template `{}:{}`", choice.template.name(), choice.version.version)
        }
        SourceSelection::Image(image) => format!("the builder image `{}`", image.reference.familiar()),
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
        _ if sandbox_works(session, lease, request).await => asked(EngineKind::Sandbox, "there is no daemon"),
        _ => Err(PlanError::NoEngine { builder: shown() }.into()),
    }
}
