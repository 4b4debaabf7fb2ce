//! Owns the first half of the road: input, artifact, facts, builder, plan. Nothing is built here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::check_jar::check_jar;
use super::overwrite_check;
use super::run::check_network;
use super::sandbox::sandbox_settings;
use super::source::check_declared;
use crate::assemble::Inputs;
use crate::builder::{Catalog, Selection, SelectionRequest, select};
use crate::detect::{DetectOptions, Facts, detect};
use crate::engine::sandbox::probe;
use crate::error::Error;
use crate::events::{Events, RunningStep, Step};
use crate::fs::{Lease, abandoned};
use crate::image::Platform;
use crate::image::layer::Entry;
use crate::input::{AddedDestination, Artifact, InputOptions, InputSource};
use crate::plan::{
    self, Assembly, BaseSource, Decided, EngineKind, Machine, Plan, SourceStage, Stage, Target, Targets,
};
use crate::request::{AssembleRequest, Request};
use crate::session::Session;
use crate::store::daemon::{Daemon, remove_leftovers};
use crate::transport::Transport;

/// Everything that carrying out a plan needs.
pub(crate) struct Prepared {
    pub(crate) lease: Arc<Lease>,
    pub(crate) daemon: Option<Daemon>,
    pub(crate) plan: Plan,
    /// The open handles of each stage of the plan.
    pub(crate) images: Vec<PreparedImage>,
}

/// What carrying out one stage needs.
pub(crate) struct PreparedImage {
    /// Several images may have the same one; none if the image is what assembling sources left.
    pub(crate) artifact: Option<Arc<Artifact>>,
    pub(crate) selection: Selection,
    pub(crate) template_entries: Vec<Entry>,
}

impl PreparedImage {
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
}

/// What a plan is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To be carried out here.
    Building,
    /// To be written down: whoever builds runs the script.
    Rendering,
}

/// Fetches the artifact and plans its image.
pub(crate) async fn prepare(request: &Request, session: &Session) -> Result<Prepared, Error> {
    prepare_given(request, None, session, Purpose::Building).await
}

/// As [`prepare`], for a plan that is not carried out here.
pub(crate) async fn prepare_rendering(request: &Request, session: &Session) -> Result<Prepared, Error> {
    prepare_given(request, None, session, Purpose::Rendering).await
}

/// Plans the image of an artifact that was built from sources.
pub(crate) async fn prepare_artifact(
    request: &Request,
    artifact: Artifact,
    source: &SourceStage,
    session: &Session,
) -> Result<Prepared, Error> {
    prepare_given(request, Some(Given::Built(artifact, source)), session, Purpose::Building).await
}

/// Plans the image of an artifact that is not built yet, by what is declared of it; not to be carried out.
pub(crate) async fn prepare_declared(
    request: &Request,
    artifact: Artifact,
    facts: Facts,
    session: &Session,
) -> Result<Prepared, Error> {
    prepare_given(request, Some(Given::Declared(artifact, facts)), session, Purpose::Rendering).await
}

/// An artifact that is not where the request says.
enum Given<'a> {
    /// It was built from sources.
    Built(Artifact, &'a SourceStage),
    /// It will be.
    Declared(Artifact, Facts),
}

async fn prepare_given(
    request: &Request,
    given: Option<Given<'_>>,
    session: &Session,
    purpose: Purpose,
) -> Result<Prepared, Error> {
    // The catalog is read first: a mistake in the configuration should not cost a download.
    let catalog = Catalog::new(&session.host.catalog)?;
    let lease = session.lease()?;
    // A daemon takes a while to say what it is, and which one there is matters to the plan only. If it does not
    // answer and the output is named, that is no error before the plan needs it.
    let finding = async {
        if !asks_daemon(request) && abandoned(&session.host.cache_directory).is_empty() {
            return Ok((Ok(None), None));
        }
        let found = match session.find_daemon().await {
            // Somebody named a daemon, or one should listen where daemons do: an archive is not what they want.
            Err(error) if request.outputs.is_empty() => return Err(error),
            found => found,
        };
        let daemon = found.as_ref().ok().cloned().flatten();
        remove_abandoned(session, daemon.as_ref(), found.is_err()).await;
        Ok::<_, Error>((found, daemon))
    };
    let reading = async {
        let mut examined = Vec::new();
        match given {
            Some(Given::Built(artifact, source)) => {
                let made = examine(artifact.name.clone(), artifact, request, session)?;
                check_declared(source, &made.artifact.name, &made.facts)?;
                return Ok(vec![made]);
            }
            Some(Given::Declared(artifact, facts)) => {
                let source = artifact.name.clone();
                return Ok(vec![Examined { source, artifact: Arc::new(artifact), facts }]);
            }
            None => {}
        }
        for source in &request.artifacts {
            let artifact = fetch(source, &request.input, &lease, session).await?;
            examined.push(examine(source.to_string(), artifact, request, session)?);
        }
        Ok(examined)
    };
    let ((mut found, mut daemon), examined) = tokio::try_join!(finding, reading)?;
    let names: Vec<&str> = examined.iter().map(|one| one.artifact.name.as_str()).collect();
    let step = session.events.start(Step::Plan, names.join(", "), None);
    let mut machine = machine(daemon.as_ref());
    let targets = plan::targets(request, &inputs(&examined, &names), &machine)?;
    for Examined { artifact, facts, .. } in &examined {
        check_jar(request, artifact, facts)?;
    }
    let selections = selections(&catalog, request, &examined, &targets)?;
    if request.assemble == AssembleRequest::Auto && !selections.iter().all(Selection::may_be_placed) {
        found = session.find_daemon().await;
        daemon = found.as_ref().ok().cloned().flatten();
        machine = Machine {
            sandbox: daemon.is_none()
                && (purpose == Purpose::Rendering || sandbox_works(session, &lease, request).await),
            ..self::machine(daemon.as_ref())
        };
    }
    let kept = targets.kept.iter().map(|target| &examined[target.artifact]);
    let prepared_image = |(examined, selection): (&Examined, Selection)| PreparedImage {
        artifact: Some(examined.artifact.clone()),
        template_entries: template_entries(&selection, &machine.native_platform),
        selection,
    };
    let images: Vec<PreparedImage> = kept.clone().zip(selections).map(prepared_image).collect();
    let decided: Vec<Decided<'_>> = kept
        .zip(&images)
        .map(|(examined, image)| Decided {
            artifact: image.artifact(),
            facts: &examined.facts,
            selection: &image.selection,
            template_entries: &image.template_entries,
            machine: &machine,
        })
        .collect();
    let mut plan = match (plan::make(request, &names, &decided, &machine), found) {
        // Why the daemon does not answer says more than that it doesn't.
        (Err(error), Err(reason)) if error.needs_daemon() => return Err(reason),
        (Err(error), _) => return Err(error.into()),
        // Only where there is no daemon does something else take its place, not where one does not answer.
        (Ok(plan), Err(reason)) if would_use_daemon(request, &plan) => return Err(reason),
        (Ok(plan), _) => plan,
    };
    if purpose == Purpose::Building {
        check_network(request, plan.outputs.iter().any(|planned| planned.output == Transport::Docker))?;
    }
    plan.warnings.extend(targets.warning);
    if purpose == Purpose::Building {
        overwrite_check::check(request, plan.outputs.iter().map(|planned| &planned.output))?;
    }
    tell(&plan, step, session);
    Ok(Prepared { lease, daemon, plan, images })
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

/// What there is to work with, before the sandbox is asked.
fn machine(daemon: Option<&Daemon>) -> Machine {
    let native_platform = daemon.map_or_else(Platform::host, |daemon| daemon.info().platform.clone());
    Machine { daemon: daemon.is_some(), sandbox: false, native_platform }
}

/// Says what was decided.
fn tell(plan: &Plan, step: RunningStep, session: &Session) {
    for warning in plan.all_warnings() {
        session.events.warn(warning);
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
    Ok(Examined { source, artifact: Arc::new(artifact), facts })
}

/// Whether it is clear before anything is known of the artifact that a daemon is needed, or preferred.
fn asks_daemon(request: &Request) -> bool {
    let outputs = &request.outputs;
    outputs.is_empty()
        || outputs.iter().any(|output| matches!(output, Transport::Docker | Transport::DockerArchive { .. }))
        || request.assemble == AssembleRequest::Docker
}

/// Whether the plan would be another one if a daemon answered.
fn would_use_daemon(request: &Request, plan: &Plan) -> bool {
    let by_stage = |stage: &Stage| match &stage.assembly {
        Assembly::Sources => false,
        Assembly::Run(run) => run.engine == EngineKind::Sandbox && request.assemble == AssembleRequest::Auto,
        Assembly::Place { .. } => {
            stage.builder.base_source == BaseSource::Registry
                && !plan.outputs.iter().any(|planned| planned.output.accepts_index())
        }
    };
    request.outputs.is_empty() || plan.stages.iter().any(by_stage)
}

/// Whether a script can run without a daemon here.
pub(crate) async fn sandbox_works(session: &Session, lease: &Lease, request: &Request) -> bool {
    let settings = sandbox_settings(session, lease, 0, request.limits.allow_root_sandbox);
    match tokio::task::spawn_blocking(move || probe(&settings)).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            tracing::debug!(%error, "the sandbox does not work here");
            false
        }
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
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

/// Removes what runs that are gone left behind. What cannot be removed now is left to the next run; it must never
/// keep this one from working. Says after how many runs it cleaned up.
pub(crate) async fn remove_abandoned(
    session: &Session,
    daemon: Option<&Daemon>,
    daemon_failed: bool,
) -> usize {
    // A daemon that is configured and does not answer may still hold containers of those runs.
    let mut removed = 0;
    if daemon_failed {
        return removed;
    }
    for lease in abandoned(&session.host.cache_directory) {
        if let Some(daemon) = daemon
            && let Err(error) = remove_leftovers(daemon, &[lease.id().to_owned()]).await
        {
            tracing::warn!(lease = lease.id(), %error, "containers of an interrupted run were not removed");
            continue;
        }
        #[cfg(target_os = "linux")]
        if let Err(error) =
            crate::engine::sandbox::remove_abandoned(&session.host.program, lease.temporary_directory())
        {
            tracing::warn!(%error, "a sandbox of an interrupted run was not removed");
        }
        match lease.remove() {
            Ok(()) => removed += 1,
            Err(error) => tracing::warn!(%error, "files of an interrupted run were not removed"),
        }
    }
    removed
}
