//! Owns preparing a source build: sources, builder, scripts, and the plan of the stage. Must not build or decide anything.

use std::sync::Arc;

use super::{on_build, scripts};
use crate::builder::{Catalog, SourceSelection, SourceSelectionRequest, select_source};
use crate::error::Error;
use crate::events::Step;
use crate::fs::Lease;
use crate::image::layer::Entry;
use crate::image::{BaseImage, ImageConfig, Platform};
use crate::input::InputSource;
use crate::pipeline::base::{BaseOptions, BaseQuery, BaseResolver};
use crate::pipeline::machine::DaemonSearch;
use crate::plan::{
    self, BuilderImage, EngineChoice, EngineKind, Machine, OnBuildFacts, SourceFacts, SourceStage,
    choose_engine, depends_on_machine, describe_source_builder, engine_source, native_platform,
};
use crate::request::{Request, SourceBuildRequest};
use crate::session::Session;
use crate::source_build::ephemeral::{EphemeralFile, ephemeral_files};
use crate::source_build::on_build::{OnBuild, entry_script, needs_shell};
use crate::sources::environment::of_sources;
use crate::sources::scripts::ScriptFiles;
use crate::sources::{SourceLocation, SourceTree, fetch_source};
use crate::store::daemon::Daemon;

/// A source stage with everything that executing it needs.
pub(super) struct PreparedSource {
    pub(super) lease: Arc<Lease>,
    pub(super) daemon: Option<Daemon>,
    pub(super) machine: Machine,
    pub(super) tree: SourceTree,
    pub(super) scripts: ScriptFiles,
    pub(super) selection: SourceSelection,
    pub(super) template_entries: Vec<Entry>,
    /// Files that `assemble` sees and the image does not.
    pub(super) ephemeral: Vec<EphemeralFile>,
    /// The variables of the template's image.
    pub(super) template_environment: Vec<(String, String)>,
    /// The template's base, or the builder image.
    pub(super) base: BaseImage,
    /// The runtime image of an extended build.
    pub(super) runtime: Option<BaseImage>,
    /// The builder's ONBUILD instructions, if they are executed.
    pub(super) on_build: Option<OnBuild>,
    pub(super) stage: SourceStage,
}

pub(super) async fn prepare(
    request: &Request,
    options: &SourceBuildRequest,
    session: &Session,
) -> Result<PreparedSource, Error> {
    prepare_for(Purpose::Build, request, options, session).await
}

/// The purpose of preparing a source stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Build,
    /// The image of the builder may be out of reach, if something else names its scripts.
    Dockerfile,
}

pub(super) async fn prepare_for(
    purpose: Purpose,
    request: &Request,
    options: &SourceBuildRequest,
    session: &Session,
) -> Result<PreparedSource, Error> {
    let catalog = Catalog::new(&session.host.catalog)?;
    let lease = session.lease()?;
    let searching = async { Ok::<_, Error>(session.search_daemon().await) };
    let fetching = fetch(options, &lease, session);
    let naming = scripts::named(options, &lease, session);
    let (mut search, mut tree, named) = tokio::try_join!(searching, fetching, naming)?;
    let step = session.events.start(Step::Plan, tree.name.clone(), None);
    let selection = select_source(
        &catalog,
        &SourceSelectionRequest {
            name: &tree.name,
            tree: &tree,
            builder: options.builder.as_ref(),
            platform: request.platforms.first(),
        },
    )?;
    let (engine, machine) = engine(request, &selection, &mut search, &lease, session).await?;
    let daemon = search.daemon;
    let images = SourceImages::find(
        purpose,
        request,
        options,
        &selection,
        (engine.kind, &machine),
        daemon.as_ref(),
        session,
    )
    .await?;
    let SourceImages { base, runtime } = images;
    let mut scripts = ScriptFiles { of_sources: ScriptFiles::take_from(&mut tree), ..named };
    if let SourceSelection::Image(_) = &selection {
        scripts.of_builder = scripts::of_builder(options, &base, &scripts, &lease, session).await?;
    }
    let variables = of_sources(&tree)?;
    let builder = BuilderImage { name: &base.name, config: &base.config };
    let all_sources = on_build::with_scripts(&tree, &scripts);
    let on_build = match plan::follows_on_build(options, &selection, &builder)? {
        true => {
            let variables = plan::variables(options, &variables);
            Some(on_build::interpret(&base, &all_sources, &variables, &scripts)?)
        }
        false => None,
    };
    let stage = plan::make_source_stage(&SourceFacts {
        request,
        options,
        tree: &tree,
        variables: &variables,
        selection: &selection,
        builder,
        runtime: runtime.as_ref().map(|image| BuilderImage { name: &image.name, config: &image.config }),
        on_build: on_build.as_ref().map(|on_build| OnBuildFacts {
            directory: &on_build.directory,
            users: &on_build.users,
            edits: &on_build.edits,
            entry_script: entry_script(&all_sources),
            entry_needs_shell: entry_script(&all_sources)
                .is_some_and(|script| needs_shell(&all_sources, script)),
        }),
        scripts: &scripts,
        engine,
        machine: &machine,
    })?;
    let ephemeral = ephemeral_files(&options.secrets, &stage.injections)?;
    for warning in &stage.warnings {
        session.events.warn(warning);
    }
    step.made(stage.builder.describe()).finish("builds the sources");
    let (template_entries, template_environment) = of_template(&selection);
    Ok(PreparedSource {
        lease,
        daemon,
        machine,
        tree,
        scripts,
        template_entries,
        template_environment,
        ephemeral,
        base,
        runtime,
        on_build,
        stage,
        selection,
    })
}

/// The files and variables of a template's image.
fn of_template(selection: &SourceSelection) -> (Vec<Entry>, Vec<(String, String)>) {
    match selection {
        SourceSelection::Template(choice) => {
            let environment = choice.template.metadata.image.env.clone().into_iter().collect();
            (choice.template.image_entries(None), environment)
        }
        SourceSelection::Image(_) => (Vec::new(), Vec::new()),
    }
}

/// The images of a source stage.
struct SourceImages {
    base: BaseImage,
    runtime: Option<BaseImage>,
}

impl SourceImages {
    async fn find(
        purpose: Purpose,
        request: &Request,
        options: &SourceBuildRequest,
        selection: &SourceSelection,
        (engine, machine): (EngineKind, &Machine),
        daemon: Option<&Daemon>,
        session: &Session,
    ) -> Result<Self, Error> {
        let platform = request.platforms.first().cloned();
        let platform = platform.unwrap_or_else(|| native_platform(engine, machine));
        let bases = BaseResolver::new(session, daemon, request.offline);
        let source = engine_source(engine);
        let how = BaseOptions {
            platform: platform.clone(),
            pull: request.pull,
            pinned: None,
            may_be_local: matches!(selection, SourceSelection::Image(_)),
        };
        let names_scripts = options.scripts.is_some() || options.image_scripts.is_some();
        let base = match bases.resolve_base(&selection.base(), source, how).await {
            Err(error) if purpose == Purpose::Dockerfile && names_scripts => {
                return Ok(Self { base: assumed(selection, &platform, &error, session), runtime: None });
            }
            found => found?,
        };
        let base = match selection {
            SourceSelection::Image(_) => {
                let (memo, lease) = (session.memo(!request.ignore_memo)?, session.lease()?);
                on_build::with_instructions(base, daemon, &memo, &lease).await?
            }
            SourceSelection::Template(_) => base,
        };
        let runtime = match &options.runtime {
            Some(runtime) => {
                let (reference, pull) = (&runtime.image, runtime.pull.unwrap_or(request.pull));
                let platform = Some(platform);
                let query = BaseQuery { reference, platform, pull, pinned: None, may_be_local: true };
                Some(bases.resolve(source, query).await?)
            }
            None => None,
        };
        Ok(Self { base, runtime })
    }
}

/// A builder image of which nothing is known, with the user that Dockerfiles of s2i have.
fn assumed(selection: &SourceSelection, platform: &Platform, error: &Error, session: &Session) -> BaseImage {
    let name = selection.base().to_string();
    let message = format!(
        "cannot look at the builder image `{name}`: {error}; the Dockerfile assumes the user 1001, and no ONBUILD"
    );
    session.events.warning(message, Some("check the Dockerfile, or write it where the image is".to_owned()));
    let mut config = ImageConfig::empty(platform);
    config.set_user("1001");
    BaseImage::new(name, config, Vec::new())
}

/// Chooses the engine of the scripts, and tests the sandbox if it may replace a daemon.
async fn engine(
    request: &Request,
    selection: &SourceSelection,
    search: &mut DaemonSearch,
    lease: &Lease,
    session: &Session,
) -> Result<(EngineChoice, Machine), Error> {
    let requested = request.assemble;
    let may_replace = search.daemon.is_none() && search.failure.is_none() && depends_on_machine(requested);
    let sandbox = may_replace && session.has_sandbox(lease, request.limits.allow_root_sandbox).await;
    let machine = search.machine(sandbox);
    let choice = choose_engine(requested, &machine, || describe_source_builder(selection));
    let choice = search.settle(choice, |choice| choice.replaces_daemon(requested))?;
    Ok((choice, machine))
}

async fn fetch(options: &SourceBuildRequest, lease: &Lease, session: &Session) -> Result<SourceTree, Error> {
    let stdin: Box<dyn std::io::Read + Send> = match &options.location {
        SourceLocation::Archive(InputSource::Stdin) => (session.host.stdin)(),
        _ => Box::new(std::io::empty()),
    };
    let source_options = &options.source;
    let fetched = fetch_source(&options.location, source_options, lease, stdin, &session.events);
    Ok(fetched.await?)
}
