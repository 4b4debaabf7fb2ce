//! Owns the decisions about engines: which one runs a script, where it needs the base from, whether a daemon is looked
//! for, and whether a container itself becomes the image. Artifacts and sources follow the same rules.
//!
//! Must not look for a daemon or try the sandbox; [`Machine`] says what was found.

use super::{
    Assembly, BaseSource, EngineKind, Machine, Plan, PlanError, PlannedOutput, PlannedProduct, SourceStage,
    Stage,
};
use crate::builder::Selection;
use crate::image::Platform;
use crate::request::{AssembleRequest, Request};
use crate::transport::Transport;

/// An engine, and why this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineChoice {
    pub kind: EngineKind,
    pub reason: &'static str,
}

/// Chooses the engine of a script: the requested one, else a daemon that answers, else the sandbox. `builder` names
/// the builder in errors.
///
/// # Errors
/// [`PlanError`] if the requested engine, or any at all, is not there.
pub fn choose_engine(
    requested: AssembleRequest,
    machine: &Machine,
    builder: impl FnOnce() -> String,
) -> Result<EngineChoice, PlanError> {
    let choice = |kind, reason| Ok(EngineChoice { kind, reason });
    match requested {
        AssembleRequest::Sandbox => choice(EngineKind::Sandbox, "asked for with `--assemble sandbox`"),
        AssembleRequest::Docker if machine.daemon => {
            choice(EngineKind::Docker, "asked for with `--assemble docker`")
        }
        AssembleRequest::Docker => Err(PlanError::NoDaemonToRun { builder: builder() }),
        AssembleRequest::Auto | AssembleRequest::Place => match machine {
            Machine { daemon: true, .. } => choice(EngineKind::Docker, "a daemon answers"),
            Machine { sandbox: true, .. } => choice(EngineKind::Sandbox, "there is no daemon"),
            _ => Err(PlanError::NoEngine { builder: builder() }),
        },
    }
}

impl EngineChoice {
    /// Whether a daemon would have been chosen, had one answered.
    pub fn replaces_daemon(self, requested: AssembleRequest) -> bool {
        self.kind == EngineKind::Sandbox && requested != AssembleRequest::Sandbox
    }
}

/// Whether the choice of an engine depends on what this machine has.
pub fn depends_on_machine(requested: AssembleRequest) -> bool {
    matches!(requested, AssembleRequest::Auto | AssembleRequest::Place)
}

/// Whether the images of artifacts need an engine that the request leaves open.
pub fn needs_some_engine(requested: AssembleRequest, selections: &[Selection]) -> bool {
    requested == AssembleRequest::Auto && !selections.iter().all(Selection::may_be_placed)
}

/// The platform that an engine runs by itself.
pub fn native_platform(engine: EngineKind, machine: &Machine) -> Platform {
    match engine {
        EngineKind::Docker => machine.native_platform.clone(),
        EngineKind::Sandbox => Platform::host(),
    }
}

/// Chooses where a base comes from: from where its layers are needed. A manifest needs them as a registry has them.
pub(super) fn base_source(
    is_built_in: bool,
    engine: Option<EngineKind>,
    outputs: &[Transport],
    machine: &Machine,
) -> BaseSource {
    match engine {
        _ if is_built_in => BaseSource::BuiltIn,
        Some(engine) => engine_source(engine),
        None if machine.daemon && !outputs.iter().any(Transport::accepts_index) => BaseSource::Daemon,
        None => BaseSource::Registry,
    }
}

/// Where an engine needs the layers of an image.
pub fn engine_source(engine: EngineKind) -> BaseSource {
    match engine {
        EngineKind::Docker => BaseSource::Daemon,
        EngineKind::Sandbox => BaseSource::Registry,
    }
}

/// Whether a request needs a daemon, or prefers one, whatever the artifact is.
pub fn looks_for_daemon(request: &Request) -> bool {
    request.source_build.is_some()
        || request.outputs.is_empty()
        || !request.outputs.iter().all(Transport::accepts_index)
        || request.assemble == AssembleRequest::Docker
}

/// Whether the plan would be another one if a daemon answered.
pub fn would_use_daemon(request: &Request, plan: &Plan) -> bool {
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

/// Whether the container of a source stage itself becomes the image: the image goes to the daemon that the container
/// is in and nowhere else, and nobody asks for a date, which a commit writes by the daemon's clock.
pub fn commits_container(request: &Request, stage: &SourceStage, outputs: &[PlannedOutput]) -> bool {
    stage.engine == EngineKind::Docker
        && stage.product == PlannedProduct::Image
        // Between its commands it was committed, and keeps what was below.
        && (stage.on_build.is_empty() || stage.runtime.is_some())
        && request.date.is_none()
        && outputs.iter().all(|planned| planned.output.is_daemon())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requested_engine_then_a_daemon_then_the_sandbox() {
        use AssembleRequest::{Auto, Docker, Place, Sandbox};
        for (requested, daemon, sandbox, chosen) in [
            (Auto, true, true, Some(EngineKind::Docker)),
            (Auto, false, true, Some(EngineKind::Sandbox)),
            (Auto, false, false, None),
            (Place, false, true, Some(EngineKind::Sandbox)),
            (Docker, true, false, Some(EngineKind::Docker)),
            (Docker, false, true, None),
            (Sandbox, true, false, Some(EngineKind::Sandbox)),
        ] {
            let machine = Machine { daemon, sandbox, native_platform: Platform::linux("amd64") };
            let choice = choose_engine(requested, &machine, || "x".into()).ok();
            assert_eq!(choice.map(|choice| choice.kind), chosen, "{requested:?} {daemon} {sandbox}");
            let replaces = choice.is_some_and(|choice| choice.replaces_daemon(requested));
            assert_eq!(replaces, matches!((requested, chosen), (Auto | Place, Some(EngineKind::Sandbox))));
        }
    }
}
