//! Owns the first half of the pipeline: input, artifact, facts, builder, plan. Must not build or decide anything.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::check_jar::check_jar;
use super::machine::DaemonSearch;
use super::overwrite_check;
use super::run::check_network;
use super::source::DeclaredArtifact;
use crate::assemble::Inputs;
use crate::builder::{Catalog, Selection, SelectionRequest, select};
use crate::detect::{DetectOptions, Facts, detect};
use crate::error::Error;
use crate::events::{Events, RunningStep, Step};
use crate::fs::Lease;
use crate::image::Platform;
use crate::image::layer::Entry;
use crate::input::{AddedDestination, Artifact, InputOptions, InputSource};
use crate::plan::{
    self, ImageFacts, Plan, PlanError, SourceStage, Target, Targets, looks_for_daemon, needs_some_engine,
    would_use_daemon,
};
use crate::request::Request;
use crate::session::Session;
use crate::store::daemon::Daemon;

/// Everything that carrying out a plan needs.
pub(crate) struct Prepared {
    pub(crate) lease: Arc<Lease>,
    pub(crate) daemon: Option<Daemon>,
    pub(crate) plan: Plan,
    /// The open handles of each stage of the plan.
    pub(crate) images: Vec<StageInputs>,
}

/// What carrying out one stage needs.
pub(crate) struct StageInputs {
    /// Several images may have the same one; none if the image is what assembling sources left.
    pub(crate) artifact: Option<Arc<Artifact>>,
    pub(crate) selection: Selection,
    pub(crate) template_entries: Vec<Entry>,
}

impl StageInputs {
    /// The artifact of an image that is made of one.
    pub(crate) fn artifact(&self) -> &Artifact {
        self.artifact.as_ref().expect("an image without an artifact is neither placed nor run")
    }

    /// What the entries of the stage's plan refer to.
    pub(crate) fn inputs(&self) -> Inputs<'_> {
        Inputs { artifact: self.artifact(), template: &self.template_entries }
    }

    /// Whether equal entries of both mean equal bytes.
    pub(crate) fn places_the_same(&self, other: &Self) -> bool {
        let (Selection::Template(one), Selection::Template(two)) = (&self.selection, &other.selection) else {
            return false;
        };
        // The launcher, which stands for scripts, is another one for each platform.
        std::ptr::eq(self.artifact(), other.artifact())
            && Arc::ptr_eq(&one.template, &two.template)
            && !one.needs_launcher()
            && !two.needs_launcher()
    }
}

/// An artifact that was looked at.
struct Examined {
    /// Where it is, as it was named.
    source: String,
    artifact: Arc<Artifact>,
    facts: Facts,
    /// Whether sources are still to become it.
    is_declared: bool,
}

/// What a plan is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To be carried out here.
    Build,
    /// To be shown before an artifact is built from sources.
    Preview,
    /// To be written down as a Dockerfile: whoever builds runs the script.
    Dockerfile,
}

/// Fetches the artifacts and plans their images, to be built here.
pub(crate) async fn prepare(request: &Request, session: &Session) -> Result<Prepared, Error> {
    let (search, examined) = look_at_all(request, session).await?;
    plan_and_tell(request, examined, search, session, Purpose::Build).await
}

/// Fetches the artifacts and plans their images, to be written down.
pub(crate) async fn prepare_rendering(request: &Request, session: &Session) -> Result<Prepared, Error> {
    let (search, examined) = look_at_all(request, session).await?;
    plan_and_tell(request, examined, search, session, Purpose::Dockerfile).await
}

/// Plans the image of an artifact that was built from sources.
pub(crate) async fn prepare_artifact(
    request: &Request,
    artifact: Artifact,
    source: &SourceStage,
    session: &Session,
) -> Result<Prepared, Error> {
    let examined = examine(artifact.name.clone(), artifact, request, session)?;
    source.check(&examined.artifact.name, &examined.facts)?;
    let search = search_daemon(request, session).await?;
    let mut prepared = plan_and_tell(request, vec![examined], search, session, Purpose::Build).await?;
    prepared.plan.source = Some(source.clone());
    Ok(prepared)
}

/// Plans the image of an artifact by what is declared of it, to be written down.
pub(crate) async fn prepare_declared(
    request: &Request,
    declared: DeclaredArtifact,
    session: &Session,
) -> Result<Prepared, Error> {
    let search = search_daemon(request, session).await?;
    plan_and_tell(request, vec![declared.into()], search, session, Purpose::Dockerfile).await
}

/// Plans the image of an artifact that is not built yet, to be shown. Where its facts are not declared, or no builder
/// takes them as declared, the plan says so.
pub(crate) async fn preview(
    request: &Request,
    declared: Result<DeclaredArtifact, String>,
    source: &SourceStage,
    session: &Session,
) -> Result<Plan, Error> {
    let mut search = search_daemon(request, session).await?;
    let reason = match declared {
        Err(reason) => reason,
        Ok(declared) => {
            let examined = vec![declared.into()];
            match plan_images(request, &examined, &mut search, session, Purpose::Preview).await {
                // The artifact itself may be for an older Java, say, than its builder.
                Err(Error::Builder(error)) => error.to_string(),
                // A JAR or a script, as which it may come out, is for any platform.
                Err(Error::Plan(error @ PlanError::MissingExecutables { .. })) => error.to_string(),
                planned => {
                    let (mut plan, _) = planned?;
                    plan.source = Some(source.clone());
                    return Ok(plan);
                }
            }
        }
    };
    let plan = plan::make_unplanned(request, source.clone(), &search.machine(false), reason);
    search.settle(plan, |_| request.outputs.is_empty())
}

/// Refuses a plan that cannot be carried out here.
pub(crate) fn check_build(request: &Request, plan: &Plan) -> Result<(), Error> {
    check_network(request, plan.writes_to_daemon())?;
    overwrite_check::check(request, plan.outputs.iter().map(|planned| &planned.output))
}

impl From<DeclaredArtifact> for Examined {
    fn from(declared: DeclaredArtifact) -> Self {
        let DeclaredArtifact { artifact, facts } = declared;
        Self { source: artifact.name.clone(), artifact: Arc::new(artifact), facts, is_declared: true }
    }
}

/// Looks for the daemon where one may be used or cleaned up.
async fn search_daemon(request: &Request, session: &Session) -> Result<DaemonSearch, Error> {
    if !looks_for_daemon(request) && !session.has_abandoned() {
        return Ok(DaemonSearch::default());
    }
    let mut search = session.search_daemon().await;
    // Somebody named a daemon, or one should listen where daemons do: an archive is not what they want.
    match search.failure.take_if(|_| request.outputs.is_empty()) {
        Some(error) => Err(error),
        None => Ok(search),
    }
}

/// Fetches the artifacts and reads their facts. A daemon takes a while to say what it is: it is looked for meanwhile.
async fn look_at_all(request: &Request, session: &Session) -> Result<(DaemonSearch, Vec<Examined>), Error> {
    // The catalog is read first: a mistake in the configuration should not cost a download.
    Catalog::new(&session.host.catalog)?;
    let lease = session.lease()?;
    let reading = async {
        let mut examined = Vec::new();
        for source in &request.artifacts {
            let artifact = fetch(source, &request.input, &lease, session).await?;
            examined.push(examine(source.to_string(), artifact, request, session)?);
        }
        Ok(examined)
    };
    tokio::try_join!(search_daemon(request, session), reading)
}

/// Plans the images of artifacts that were looked at, as a step.
async fn plan_and_tell(
    request: &Request,
    examined: Vec<Examined>,
    mut search: DaemonSearch,
    session: &Session,
    purpose: Purpose,
) -> Result<Prepared, Error> {
    let names: Vec<&str> = examined.iter().map(|one| one.artifact.name.as_str()).collect();
    let step = session.events.start(Step::Plan, names.join(", "), None);
    let (plan, images) = plan_images(request, &examined, &mut search, session, purpose).await?;
    if purpose == Purpose::Build {
        check_build(request, &plan)?;
    }
    tell(&plan, step, session);
    Ok(Prepared { lease: session.lease()?, daemon: search.daemon, plan, images })
}

/// Plans the images of artifacts that were looked at.
async fn plan_images(
    request: &Request,
    examined: &[Examined],
    search: &mut DaemonSearch,
    session: &Session,
    purpose: Purpose,
) -> Result<(Plan, Vec<StageInputs>), Error> {
    let catalog = Catalog::new(&session.host.catalog)?;
    let mut names: Vec<&str> = examined.iter().map(|one| one.artifact.name.as_str()).collect();
    let mut machine = search.machine(false);
    let targets = plan::targets(request, &inputs(examined, &names), &machine)?;
    for Examined { artifact, facts, .. } in examined {
        check_jar(request, artifact, facts)?;
    }
    let selections = selections(&catalog, request, examined, &targets)?;
    if needs_some_engine(request.assemble, &selections) {
        *search = session.find_daemon().await.into();
        let (lease, allow_root) = (session.lease()?, request.limits.allow_root_sandbox);
        let sandbox = search.daemon.is_none()
            && (purpose == Purpose::Dockerfile || session.has_sandbox(&lease, allow_root).await);
        machine = search.machine(sandbox);
    }
    let kept = targets.kept.iter().map(|target| &examined[target.artifact]);
    let prepared_image = |(examined, selection): (&Examined, Selection)| StageInputs {
        artifact: Some(examined.artifact.clone()),
        template_entries: template_entries(&selection, &machine.native_platform),
        selection,
    };
    let images: Vec<StageInputs> = kept.clone().zip(selections).map(prepared_image).collect();
    let facts: Vec<ImageFacts<'_>> = kept
        .zip(&images)
        .map(|(examined, image)| ImageFacts {
            artifact: image.artifact(),
            facts: &examined.facts,
            is_declared: examined.is_declared,
            selection: &image.selection,
            template_entries: &image.template_entries,
            machine: &machine,
        })
        .collect();
    if purpose == Purpose::Preview {
        names.clear();
    }
    let made = plan::make(request, &names, &facts, &machine);
    let mut plan = search.settle(made, |plan| would_use_daemon(request, plan))?;
    plan.warnings.extend(targets.warning);
    Ok((plan, images))
}

/// What planning is to know of the artifacts.
fn inputs<'a>(examined: &'a [Examined], names: &[&'a str]) -> Vec<plan::Input<'a>> {
    let input = |(one, name): (&'a Examined, &&'a str)| {
        let is_unique = names.iter().filter(|other| *other == name).count() == 1;
        let shown = if is_unique { (*name).to_owned() } else { one.source.clone() };
        plan::Input { name, shown, facts: &one.facts }
    };
    examined.iter().zip(names).map(input).collect()
}

/// Chooses the builder of each image that is to be.
fn selections(
    catalog: &Catalog,
    request: &Request,
    examined: &[Examined],
    targets: &Targets,
) -> Result<Vec<Selection>, Error> {
    let select_one = |target: &Target| {
        let Examined { artifact, facts, .. } = &examined[target.artifact];
        let added: BTreeSet<String> =
            artifact.added.iter().map(|file| file_name(&file.destination)).collect();
        let asked = SelectionRequest {
            artifact: &artifact.name,
            facts,
            builder: request.builder.as_ref(),
            platform: target.platform.as_ref(),
            added: &added,
        };
        Ok(select(catalog, &asked)?)
    };
    targets.kept.iter().map(select_one).collect()
}

/// Sends the warnings and the images of a plan as events.
pub(crate) fn tell(plan: &Plan, step: RunningStep, session: &Session) {
    for warning in plan.all_warnings() {
        session.events.warn(warning);
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
        let made = match plan.stages.len() {
            1 => described,
            _ => format!("{}: {described}", stage.platform),
        };
        step.clone().made(made).finish(stage.assembly.word());
    }
}

/// Finds out what an artifact is.
fn examine(
    source: String,
    artifact: Artifact,
    request: &Request,
    session: &Session,
) -> Result<Examined, Error> {
    let facts = facts(&artifact, request.main_class.as_deref(), &session.events)?;
    Ok(Examined { source, artifact: Arc::new(artifact), facts, is_declared: false })
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
    Ok(crate::input::fetch(source, options, lease, stdin, &session.events).await?)
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

fn file_name(destination: &AddedDestination) -> String {
    match destination {
        AddedDestination::Beside(path) => path.rsplit('/').next().unwrap_or_default().to_owned(),
        AddedDestination::Absolute(path) => path.file_name().to_owned(),
    }
}

/// What makes the base into the template's builder image; on a base without a shell the static program stands for
/// the scripts.
fn template_entries(selection: &Selection, native_platform: &Platform) -> Vec<Entry> {
    let Selection::Template(choice) = selection else { return Vec::new() };
    let platform = choice.platform.as_ref().unwrap_or(native_platform);
    let launcher = choice.needs_launcher().then(|| crate::launcher::for_platform(platform)).flatten();
    choice.template.image_entries(launcher)
}
