//! Owns the first half of the pipeline: input, artifact, facts, builder, plan. Must not build or decide anything.

use std::sync::Arc;
use std::time::Instant;

use super::check_jar::check_jar;
use super::machine::DaemonSearch;
use super::overwrite_check;
use super::run::check_network;
use super::script_release::add_release;
use super::user_base::{Looking, UserBase};
use crate::assemble::Inputs;
use crate::builder::{Catalog, Selection, SelectionRequest, select};
use crate::detect::facts::Kind;
use crate::detect::{DetectError, DetectOptions, Facts, detect};
use crate::error::Error;
use crate::events::{Events, RunningStep, Step};
use crate::fs::Lease;
use crate::image::Platform;
use crate::image::layer::Entry;
use crate::input::{Artifact, InputOptions, InputSource, Neighbours};
use crate::plan::{
    self, ImageFacts, Machine, Plan, PlanError, SourceStage, Target, Targets, looks_for_daemon,
    needs_some_engine, would_use_daemon,
};
use crate::request::Request;
use crate::session::Session;
use crate::store::daemon::Daemon;
use crate::transport::Location;

/// A plan with everything that executing it needs.
pub(crate) struct Prepared {
    pub(crate) lease: Arc<Lease>,
    pub(crate) daemon: Option<Daemon>,
    pub(crate) plan: Plan,
    /// The open handles of each stage of the plan.
    pub(crate) images: Vec<StageInputs>,
    /// The bases of `--base`, one for each stage.
    pub(crate) user_bases: Vec<UserBase>,
}

/// The input of one stage's execution.
pub(crate) struct StageInputs {
    /// The artifact, which images may share. None if the source stage makes the image.
    pub(crate) artifact: Option<Arc<Artifact>>,
    pub(crate) selection: Selection,
    pub(crate) template_entries: Vec<Entry>,
}

impl StageInputs {
    /// The artifact of an image that has one.
    pub(crate) fn artifact(&self) -> &Artifact {
        self.artifact.as_ref().expect("an image without an artifact is neither placed nor run")
    }

    /// The files to which the entries of the stage's plan refer.
    pub(crate) fn inputs(&self) -> Inputs<'_> {
        Inputs { artifact: self.artifact(), template: &self.template_entries }
    }

    /// Whether equal entries of both have equal bytes.
    pub(crate) fn places_the_same(&self, other: &Self) -> bool {
        let (Selection::Template(one), Selection::Template(two)) = (&self.selection, &other.selection) else {
            return false;
        };
        // Each platform has its own launcher, which replaces scripts.
        std::ptr::eq(self.artifact(), other.artifact())
            && Arc::ptr_eq(&one.template, &two.template)
            && !one.needs_launcher()
            && !two.needs_launcher()
    }
}

/// An artifact with its facts.
pub(crate) struct ExaminedArtifact {
    /// Its location as the user wrote it.
    pub(crate) source: String,
    pub(crate) artifact: Arc<Artifact>,
    pub(crate) facts: Facts,
    /// The files that go with it.
    pub(crate) neighbours: Neighbours,
    /// Whether the artifact is not built yet, so its facts are declared.
    pub(crate) is_declared: bool,
}

/// The use of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Build,
    /// The plan is shown before the artifact is built from sources.
    Preview,
    /// `docker build` runs the script later, so this machine needs no sandbox.
    Dockerfile,
}

/// Fetches the artifacts and plans their images.
pub(crate) async fn prepare(
    request: &Request,
    purpose: Purpose,
    session: &Session,
) -> Result<Prepared, Error> {
    let (search, artifacts) = examine_all(request, session).await?;
    plan_and_report(request, artifacts, search, session, purpose).await
}

/// Plans the image of an artifact that was built from sources.
pub(crate) async fn prepare_artifact(
    request: &Request,
    artifact: Artifact,
    source: &SourceStage,
    session: &Session,
) -> Result<Prepared, Error> {
    let artifact = examine(artifact.name.clone(), artifact, request, session)?;
    source.check(&artifact.artifact.name, &artifact.facts)?;
    let search = search_daemon(request, session).await?;
    let mut prepared = plan_and_report(request, vec![artifact], search, session, Purpose::Build).await?;
    prepared.plan.source = Some(source.clone());
    Ok(prepared)
}

/// Plans the image of an artifact by its declared facts, for a Dockerfile.
pub(crate) async fn prepare_declared(
    request: &Request,
    declared: ExaminedArtifact,
    session: &Session,
) -> Result<Prepared, Error> {
    let search = search_daemon(request, session).await?;
    plan_and_report(request, vec![declared], search, session, Purpose::Dockerfile).await
}

/// Plans the image of an artifact before its build. If its facts are not declared, or no builder accepts them, the plan
/// has the reason.
pub(crate) async fn preview(
    request: &Request,
    declared: Result<ExaminedArtifact, String>,
    source: &SourceStage,
    session: &Session,
) -> Result<Plan, Error> {
    let mut search = search_daemon(request, session).await?;
    let reason = match declared {
        Err(reason) => reason,
        Ok(declared) => {
            match plan_images(request, &[declared], &mut search, session, Purpose::Preview).await {
                // The real artifact may need less, such as an older Java than its builder has.
                Err(Error::Builder(error)) => error.to_string(),
                // The real artifact may be a JAR or a script, which runs on any platform.
                Err(Error::Plan(error @ PlanError::MissingExecutables { .. })) => error.to_string(),
                planned => {
                    let mut plan = planned?.plan;
                    plan.source = Some(source.clone());
                    return Ok(plan);
                }
            }
        }
    };
    let plan = plan::make_unplanned(request, source.clone(), &search.machine(false), reason);
    search.settle(plan, |_| request.outputs.is_empty())
}

/// Rejects a plan that this machine cannot execute.
pub(crate) fn check_build(request: &Request, plan: &Plan) -> Result<(), Error> {
    check_network(request, plan.writes_to_daemon())?;
    overwrite_check::check(request, plan.outputs.iter().map(|planned| &planned.output))
}

/// Looks for the daemon if the request may use it, or an interrupted run left something in it.
async fn search_daemon(request: &Request, session: &Session) -> Result<DaemonSearch, Error> {
    let is_daemon = |base: &Location| base.transport.is_daemon();
    let may_have_base = session.host.catalog.replaced_bases.values().any(is_daemon);
    if !looks_for_daemon(request) && !may_have_base && !session.has_abandoned() {
        return Ok(DaemonSearch::default());
    }
    let mut search = session.search_daemon().await;
    // The user named a daemon, or its usual socket exists: writing an archive instead would surprise.
    match search.failure.take_if(|_| request.outputs.is_empty()) {
        Some(error) => Err(error),
        None => Ok(search),
    }
}

/// Fetches the artifacts and reads their facts. The search for the daemon takes a while and runs at the same time.
async fn examine_all(
    request: &Request,
    session: &Session,
) -> Result<(DaemonSearch, Vec<ExaminedArtifact>), Error> {
    // The catalog comes first: a mistake in the configuration should not cost a download.
    Catalog::new(&session.host.catalog)?;
    let lease = session.lease()?;
    let reading = async {
        let mut artifacts = Vec::new();
        for source in &request.artifacts {
            artifacts.extend(examine_source(source, request, &lease, session).await?);
        }
        Ok(artifacts)
    };
    tokio::try_join!(search_daemon(request, session), reading)
}

/// Fetches an artifact. An archive or directory with programs for several platforms has one for each that is requested.
async fn examine_source(
    source: &InputSource,
    request: &Request,
    lease: &Lease,
    session: &Session,
) -> Result<Vec<ExaminedArtifact>, Error> {
    let mut platforms = request.platforms.iter().cloned();
    let mut options = request.input.clone();
    options.platform = platforms.next();
    let artifact = fetch(source, &options, lease, session).await?;
    let has_others = artifact.has_other_platforms;
    let mut artifacts = vec![examine(source.to_string(), artifact, request, session)?];
    for platform in platforms.filter(|_| has_others) {
        options.platform = Some(platform);
        let artifact = fetch(source, &options, lease, session).await?;
        artifacts.push(examine(source.to_string(), artifact, request, session)?);
    }
    Ok(artifacts)
}

/// Plans the images as a step.
async fn plan_and_report(
    request: &Request,
    artifacts: Vec<ExaminedArtifact>,
    mut search: DaemonSearch,
    session: &Session,
    purpose: Purpose,
) -> Result<Prepared, Error> {
    let names: Vec<&str> = artifacts.iter().map(|one| one.artifact.name.as_str()).collect();
    let step = session.events.start(Step::Plan, names.join(", "), None);
    let PlannedImages { plan, images, user_bases } =
        plan_images(request, &artifacts, &mut search, session, purpose).await?;
    if purpose == Purpose::Build {
        check_build(request, &plan)?;
    }
    report(&plan, step, session);
    note_default_archive(request, &plan, session);
    Ok(Prepared { lease: session.lease()?, daemon: search.daemon, plan, images, user_bases })
}

/// Says that an archive replaces the daemon, which was not found.
pub(crate) fn note_default_archive(request: &Request, plan: &Plan, session: &Session) {
    if let (true, Some(archive)) = (request.outputs.is_empty(), plan.default_archive()) {
        let archive = archive.display();
        let note = format!("no Docker or Podman daemon was found: writing the image to `{archive}`");
        session.events.note(note);
    }
}

/// A plan, with what its stages refer to.
struct PlannedImages {
    plan: Plan,
    images: Vec<StageInputs>,
    user_bases: Vec<UserBase>,
}

async fn plan_images(
    request: &Request,
    artifacts: &[ExaminedArtifact],
    search: &mut DaemonSearch,
    session: &Session,
    purpose: Purpose,
) -> Result<PlannedImages, Error> {
    let catalog = Catalog::new(&session.host.catalog)?;
    let mut names: Vec<&str> = artifacts.iter().map(|one| one.artifact.name.as_str()).collect();
    let may_run = request.run && request.outputs.is_empty() && search.daemon.is_none();
    if may_run {
        // An archive would only be left behind.
        let (lease, allow_root) = (session.lease()?, request.limits.allow_root_sandbox);
        let tried = session.try_sandbox(&lease, allow_root).await;
        tried.map_err(|error| Error::Program { error: error.into(), outputs: Vec::new() })?;
    }
    let mut machine = search.machine(may_run);
    let targets = plan::targets(request, &inputs(artifacts, &names), &machine)?;
    let user_bases = user_bases(&catalog, request, artifacts, &targets, (&machine, search), session).await?;
    let selections = selections(&catalog, request, artifacts, &targets, &user_bases)?;
    let mut warnings = Vec::new();
    for (target, selection) in targets.images.iter().zip(&selections) {
        let ExaminedArtifact { artifact, facts, .. } = &artifacts[target.artifact];
        warnings.extend(check_jar(request, artifact, facts, selection)?);
    }
    warnings.dedup();
    if needs_some_engine(request.assemble, &selections) {
        *search = session.find_daemon().await.into();
        let (lease, allow_root) = (session.lease()?, request.limits.allow_root_sandbox);
        let sandbox = search.daemon.is_none()
            && (purpose == Purpose::Dockerfile || session.has_sandbox(&lease, allow_root).await);
        machine = search.machine(sandbox);
    }
    let of_images = targets.images.iter().map(|target| &artifacts[target.artifact]);
    let prepared_image = |(artifact, selection): (&ExaminedArtifact, Selection)| StageInputs {
        artifact: Some(artifact.artifact.clone()),
        template_entries: template_entries(&selection, &machine.native_platform),
        selection,
    };
    let images: Vec<StageInputs> = of_images.clone().zip(selections).map(prepared_image).collect();
    let facts: Vec<ImageFacts<'_>> = of_images
        .zip(&images)
        .map(|(artifact, image)| ImageFacts {
            artifact: image.artifact(),
            facts: &artifact.facts,
            is_declared: artifact.is_declared,
            selection: &image.selection,
            template_entries: &image.template_entries,
            machine: &machine,
        })
        .collect();
    if purpose == Purpose::Preview {
        names.clear();
    }
    let plan = plan::make(request, &names, &facts, &machine);
    let mut plan = search.settle(plan, |plan| would_use_daemon(request, plan))?;
    plan.warnings.extend(targets.warning.into_iter().chain(warnings));
    Ok(PlannedImages { plan, images, user_bases })
}

/// Looks at the base that the user names, for the platform of each image.
async fn user_bases(
    catalog: &Catalog,
    request: &Request,
    artifacts: &[ExaminedArtifact],
    targets: &Targets,
    (machine, search): (&Machine, &DaemonSearch),
    session: &Session,
) -> Result<Vec<UserBase>, Error> {
    let mut bases = Vec::new();
    let Some(location) = &request.base else { return Ok(bases) };
    let looking = Looking { request, location, catalog, machine, session };
    for target in &targets.images {
        let of_artifact = || match &artifacts[target.artifact].facts.kind {
            Kind::Executable(facts) => Some(facts.platform.clone()),
            Kind::Script(_) | Kind::Jar(_) | Kind::War(_) => None,
        };
        let platform = target.platform.clone().or_else(of_artifact);
        bases.push(looking.look(platform, search.daemon.as_ref()).await?);
    }
    Ok(bases)
}

fn inputs<'a>(artifacts: &'a [ExaminedArtifact], names: &[&'a str]) -> Vec<plan::Input<'a>> {
    let input = |(one, name): (&'a ExaminedArtifact, &&'a str)| {
        let is_unique = names.iter().filter(|other| *other == name).count() == 1;
        let shown = if is_unique { (*name).to_owned() } else { one.source.clone() };
        plan::Input { name, shown, facts: &one.facts }
    };
    artifacts.iter().zip(names).map(input).collect()
}

/// Chooses the builder of each image.
fn selections(
    catalog: &Catalog,
    request: &Request,
    artifacts: &[ExaminedArtifact],
    targets: &Targets,
    user_bases: &[UserBase],
) -> Result<Vec<Selection>, Error> {
    let select_one = |(index, target): (usize, &Target)| {
        let ExaminedArtifact { artifact, facts, neighbours, .. } = &artifacts[target.artifact];
        let selection = SelectionRequest {
            artifact: &artifact.name,
            facts,
            builder: request.builder.as_ref(),
            platform: target.platform.as_ref(),
            allow_missing: request.allow_missing,
            tree_path: artifact.tree_path.as_deref(),
            neighbours,
            environment: &request.image.env,
            base: user_bases.get(index).map(|found| &found.base),
        };
        Ok(select(catalog, &selection)?)
    };
    targets.images.iter().enumerate().map(select_one).collect()
}

/// Sends the warnings and the images of a plan as events.
pub(crate) fn report(plan: &Plan, step: RunningStep, session: &Session) {
    for warning in plan.all_warnings() {
        session.events.warn(warning);
    }
    for note in plan.all_notes() {
        session.events.note(note);
    }
    if plan.unplanned.is_some() {
        step.clone().finish("its image is planned after the build");
    }
    for stage in &plan.stages {
        tracing::debug!(
            builder = stage.builder.name,
            base = stage.builder.base,
            chosen = stage.builder.reason,
            assembly = ?stage.assembly.kind(),
            reason = stage.assembly_reason,
            platform = %stage.platform,
            outputs = ?plan.outputs,
            "planned"
        );
        let described = stage.builder.describe();
        let subject = match plan.stages.len() {
            1 => described,
            _ => format!("{}: {described}", stage.platform),
        };
        step.clone().made(subject).finish(stage.assembly.word());
    }
}

fn examine(
    source: String,
    mut artifact: Artifact,
    request: &Request,
    session: &Session,
) -> Result<ExaminedArtifact, Error> {
    let mut facts = facts(&artifact, request.main_class.as_deref(), &session.events)?;
    add_release(&mut facts, &artifact);
    // An artifact with a place in a tree keeps its name. A tree may have one file.
    if let Kind::Script(script) = &facts.kind
        && script.must_keep_its_name(&artifact.name)
    {
        artifact.tree_path.get_or_insert_with(|| artifact.name.clone());
    }
    let neighbours = neighbours(&artifact)?;
    Ok(ExaminedArtifact { source, artifact: Arc::new(artifact), facts, neighbours, is_declared: false })
}

pub(crate) async fn fetch(
    source: &InputSource,
    options: &InputOptions,
    lease: &Lease,
    session: &Session,
) -> Result<Artifact, Error> {
    let stdin: Box<dyn std::io::Read + Send> = match source {
        InputSource::Stdin => (session.host.stdin)(),
        InputSource::File(_) | InputSource::Url(_) => Box::new(std::io::empty()),
    };
    let artifact = crate::input::fetch(source, options, lease, stdin, &session.events).await?;
    if let Some(rights) = artifact.content.special_rights() {
        session.events.note(format!("`{}` has {rights}, which the image does not keep", artifact.name));
    }
    Ok(artifact)
}

pub(crate) fn facts(artifact: &Artifact, main_class: Option<&str>, events: &Events) -> Result<Facts, Error> {
    let step = events.start(Step::Detect, artifact.name.clone(), None);
    let options = DetectOptions { main_class: main_class.map(Into::into) };
    let started = Instant::now();
    let facts = detect(&artifact.name, artifact.size, artifact.content.reader(), &options)?;
    let milliseconds = started.elapsed().as_millis();
    tracing::debug!(kind = facts.kind.word(), size = artifact.size, milliseconds, "read the facts");
    step.made(format!("{}: {}", artifact.name, facts.describe())).finish("");
    Ok(facts)
}

/// Reads the files that go with an artifact.
pub(crate) fn neighbours(artifact: &Artifact) -> Result<Neighbours, Error> {
    let unreadable = |source| DetectError::Read { name: artifact.name.clone(), source };
    Ok(Neighbours::of(artifact).map_err(unreadable)?)
}

/// The files that turn the base into the template's builder image. On a base without a shell, the launcher replaces the
/// scripts.
fn template_entries(selection: &Selection, native_platform: &Platform) -> Vec<Entry> {
    let Selection::Template(choice) = selection else { return Vec::new() };
    let platform = choice.platform.as_ref().unwrap_or(native_platform);
    let launcher = choice.needs_launcher().then(|| crate::launcher::for_platform(platform)).flatten();
    choice.template.image_entries(launcher)
}
