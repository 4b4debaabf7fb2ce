//! Owns the first half of the road: input, artifact, facts, builder, plan. Nothing is built here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::source::check_declared;
use super::{Error, Surroundings};
use crate::builder::{Catalog, Selection, SelectionRequest, select};
use crate::detect::facts::Kind;
use crate::detect::{DetectError, DetectOptions, Facts, detect};
use crate::engine::sandbox::{SandboxSettings, probe};
use crate::events::{Events, Step};
use crate::fs::{Lease, abandoned};
use crate::image::Platform;
use crate::image::layer::Entry;
use crate::input::{
    AddedDestination, Artifact, ClassSearch, InputOptions, InputSource, find_class, missing_class_path,
};
use crate::plan::{self, Assembly, BaseSource, Decided, EngineKind, Plan, SourceStage, Stage};
use crate::request::{AssembleRequest, BuilderRequest, Output, Request};
use crate::store::daemon::{Daemon, remove_leftovers};

/// Everything that carrying out a plan needs.
pub(super) struct Prepared {
    pub(super) lease: Arc<Lease>,
    pub(super) daemon: Option<Daemon>,
    pub(super) artifact: Artifact,
    pub(super) selection: Selection,
    pub(super) template_entries: Vec<Entry>,
    pub(super) plan: Plan,
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
pub(super) async fn prepare(request: &Request, surroundings: &Surroundings) -> Result<Prepared, Error> {
    prepare_given(request, None, surroundings, Purpose::Building).await
}

/// As [`prepare`], for a plan that is not carried out here.
pub(super) async fn prepare_rendering(
    request: &Request,
    surroundings: &Surroundings,
) -> Result<Prepared, Error> {
    prepare_given(request, None, surroundings, Purpose::Rendering).await
}

/// Plans the image of an artifact that was built from sources.
pub(super) async fn prepare_artifact(
    request: &Request,
    artifact: Artifact,
    source: &SourceStage,
    surroundings: &Surroundings,
) -> Result<Prepared, Error> {
    prepare_given(request, Some((artifact, source)), surroundings, Purpose::Building).await
}

async fn prepare_given(
    request: &Request,
    given: Option<(Artifact, &SourceStage)>,
    surroundings: &Surroundings,
    purpose: Purpose,
) -> Result<Prepared, Error> {
    // The catalog is read first: a mistake in the configuration should not cost a download.
    let catalog = Catalog::new(&surroundings.catalog)?;
    let lease = surroundings.lease()?;
    // A daemon takes a while to say what it is, and which one there is matters to the plan only. If it does not
    // answer and the output is named, that is no error before the plan needs it.
    let finding = async {
        if !asks_daemon(request) && abandoned(&surroundings.cache_directory).is_empty() {
            return Ok((Ok(None), None));
        }
        let found = match surroundings.find_daemon().await {
            // Somebody named a daemon, or one should listen where daemons do: an archive is not what they want.
            Err(error) if request.outputs.is_empty() => return Err(error),
            found => found,
        };
        let daemon = found.as_ref().ok().cloned().flatten();
        remove_abandoned(surroundings, daemon.as_ref(), found.is_err()).await;
        Ok::<_, Error>((found, daemon))
    };
    let reading = async {
        let source = given.as_ref().map(|(_, source)| *source);
        let artifact = match given {
            Some((artifact, _)) => artifact,
            None => fetch(&request.source, &request.input, &lease, surroundings).await?,
        };
        let facts = facts(&artifact, request.main_class.as_deref(), &surroundings.events)?;
        if let Some(source) = source {
            check_declared(&source.product, &source.builder.name, &artifact.name, &facts)?;
        }
        Ok((artifact, facts))
    };
    let ((mut found, mut daemon), (artifact, facts)) = tokio::try_join!(finding, reading)?;
    check_class_path(&artifact, &facts)?;
    check_main_class(request, &artifact, &facts)?;
    let step = surroundings.events.start(Step::Plan, artifact.name.clone(), None);
    let added: BTreeSet<String> = artifact.added.iter().map(|file| file_name(&file.destination)).collect();
    let selection = select(
        &catalog,
        &SelectionRequest {
            artifact: &artifact.name,
            facts: &facts,
            builder: request.builder.as_ref(),
            platform: request.platform.as_ref(),
            added: &added,
        },
    )?;
    let mut sandbox = false;
    if request.assemble == AssembleRequest::Auto && !selection.may_be_placed() {
        found = surroundings.find_daemon().await;
        daemon = found.as_ref().ok().cloned().flatten();
        sandbox = daemon.is_none()
            && (purpose == Purpose::Rendering || sandbox_works(surroundings, &lease, request).await);
    }
    let native_platform =
        daemon.as_ref().map_or_else(Platform::host, |daemon| daemon.info().platform.clone());
    let template_entries = template_entries(&selection, &native_platform);
    let decided = Decided {
        artifact: &artifact,
        facts: &facts,
        selection: &selection,
        template_entries: &template_entries,
        daemon: daemon.is_some(),
        sandbox,
        native_platform,
    };
    let plan = match (plan::make(request, &decided), found) {
        // Why the daemon does not answer says more than that it doesn't.
        (Err(error), Err(reason)) if error.needs_daemon() => return Err(reason),
        (Err(error), _) => return Err(error.into()),
        // Only where there is no daemon does something else take its place, not where one does not answer.
        (Ok(plan), Err(reason)) if would_use_daemon(request, &plan) => return Err(reason),
        (Ok(plan), _) => plan,
    };
    for warning in plan.stages.iter().flat_map(|stage| &stage.warnings) {
        surroundings.events.warning(warning.message.clone(), warning.hint.clone());
    }
    for stage in &plan.stages {
        tracing::debug!(
            builder = stage.builder.name,
            base = stage.builder.base,
            chosen = stage.builder.reason,
            assembly = ?stage.assembly.kind(),
            reason = stage.assembly_reason,
            platform = %stage.platform,
            outputs = ?stage.outputs,
            "planned"
        );
        step.clone().made(stage.builder.describe()).finish(stage.assembly.word());
    }
    Ok(Prepared { lease, daemon, artifact, selection, template_entries, plan })
}

/// Whether it is clear before anything is known of the artifact that a daemon is needed, or preferred.
fn asks_daemon(request: &Request) -> bool {
    let outputs = &request.outputs;
    outputs.is_empty()
        || outputs.iter().any(|output| matches!(output, Output::Docker | Output::DockerArchive { .. }))
        || request.assemble == AssembleRequest::Docker
}

/// Whether the plan would be another one if a daemon answered.
fn would_use_daemon(request: &Request, plan: &Plan) -> bool {
    let by_stage = |stage: &Stage| match &stage.assembly {
        Assembly::Run(run) => run.engine == EngineKind::Sandbox && request.assemble == AssembleRequest::Auto,
        Assembly::Place { .. } => {
            stage.builder.base_source == BaseSource::Registry
                && !stage.outputs.iter().any(Output::has_manifest)
        }
    };
    request.outputs.is_empty() || plan.stages.iter().any(by_stage)
}

/// Whether a script can run without a daemon here.
pub(super) async fn sandbox_works(surroundings: &Surroundings, lease: &Lease, request: &Request) -> bool {
    let settings = SandboxSettings {
        program: surroundings.program.clone(),
        cache: lease.cache().clone(),
        temporary: lease.temporary_directory().to_owned(),
        date: 0,
        allow_root: request.limits.allow_root_sandbox,
    };
    match tokio::task::spawn_blocking(move || probe(&settings)).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            tracing::debug!(%error, "the sandbox does not work here");
            false
        }
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

pub(super) async fn fetch(
    source: &InputSource,
    options: &InputOptions,
    lease: &Lease,
    surroundings: &Surroundings,
) -> Result<Artifact, Error> {
    let stdin: Box<dyn std::io::Read + Send> = match source {
        InputSource::Stdin => (surroundings.stdin)(),
        InputSource::File(_) | InputSource::Url(_) => Box::new(std::io::empty()),
    };
    Ok(crate::input::fetch(source, options, lease, stdin, &surroundings.events).await?)
}

pub(super) fn facts(artifact: &Artifact, main_class: Option<&str>, events: &Events) -> Result<Facts, Error> {
    let step = events.start(Step::Detect, artifact.name.clone(), None);
    let options = DetectOptions { main_class: main_class.map(Into::into) };
    let started = Instant::now();
    let facts = detect(&artifact.name, artifact.size, artifact.content.reader(), &options)?;
    let milliseconds = started.elapsed().as_millis();
    tracing::debug!(kind = facts.kind.word(), size = artifact.size, milliseconds, "read the facts");
    step.made(format!("{}: {}", artifact.name, facts.describe())).finish("");
    Ok(facts)
}

fn check_class_path(artifact: &Artifact, facts: &Facts) -> Result<(), Error> {
    let Kind::Jar(jar) = &facts.kind else { return Ok(()) };
    let missing = missing_class_path(&jar.class_path, &artifact.added);
    if missing.is_empty() { Ok(()) } else { Err(Error::ClassPath { name: artifact.name.clone(), missing }) }
}

/// Refuses a JAR whose main class is in none of the files that Java would look for it in.
fn check_main_class(request: &Request, artifact: &Artifact, facts: &Facts) -> Result<(), Error> {
    let Kind::Jar(jar) = &facts.kind else { return Ok(()) };
    // What a foreign script makes of the JAR, and what else the program is told to start, is not known here.
    let is_foreign = matches!(request.builder, Some(BuilderRequest::Image(_)));
    let is_told = |name: &str| request.image.env.iter().any(|(set, _)| set == name);
    let is_of_java =
        ["java.", "javax.", "jdk.", "sun.", "com.sun."].iter().any(|start| jar.main_class.starts_with(start));
    if jar.has_main_class
        || is_of_java
        || is_foreign
        || is_told("JAVA_MAIN_CLASS")
        || is_told("JAVA_CLASSPATH")
    {
        return Ok(());
    }
    let unreadable = |source| DetectError::Read { name: artifact.name.clone(), source };
    match find_class(&jar.main_class, &jar.class_path, &artifact.added).map_err(unreadable)? {
        ClassSearch::Found | ClassSearch::Unknown => Ok(()),
        ClassSearch::Absent => {
            Err(Error::MainClass { name: artifact.name.clone(), class: jar.main_class.clone() })
        }
    }
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
pub(super) async fn remove_abandoned(
    surroundings: &Surroundings,
    daemon: Option<&Daemon>,
    daemon_failed: bool,
) -> usize {
    // A daemon that is configured and does not answer may still hold containers of those runs.
    let mut removed = 0;
    if daemon_failed {
        return removed;
    }
    for lease in abandoned(&surroundings.cache_directory) {
        if let Some(daemon) = daemon
            && let Err(error) = remove_leftovers(daemon, &[lease.id().to_owned()]).await
        {
            tracing::warn!(lease = lease.id(), %error, "containers of an interrupted run were not removed");
            continue;
        }
        #[cfg(target_os = "linux")]
        if let Err(error) =
            crate::engine::sandbox::remove_abandoned(&surroundings.program, lease.temporary_directory())
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
