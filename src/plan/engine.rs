//! Owns the decisions about engines, for artifacts and sources alike: which engine runs a script, the source of the
//! base, whether to search for a daemon, and whether a container becomes the image.
//!
//! Must not look for a daemon or try the sandbox; [`Machine`] has the results.

use super::{
    Assembly, BaseSource, EngineKind, Machine, Plan, PlanError, PlannedOutput, PlannedProduct, SourceStage,
    Stage,
};
use crate::builder::{BaseName, Selection};
use crate::image::Platform;
use crate::request::{AssembleRequest, Request};
use crate::transport::Transport;

/// An engine, with the reason in one clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineChoice {
    pub kind: EngineKind,
    pub reason: &'static str,
}

/// Chooses the engine of a script: the requested one, else a daemon that answers, else the sandbox. `builder` names
/// the builder in errors.
///
/// # Errors
/// [`PlanError`] if no engine, or not the requested one, is available.
pub fn choose_engine(
    requested: AssembleRequest,
    machine: &Machine,
    builder: impl FnOnce() -> String,
) -> Result<EngineChoice, PlanError> {
    let choice = |kind, reason| Ok(EngineChoice { kind, reason });
    match requested {
        AssembleRequest::Sandbox => choice(EngineKind::Sandbox, "requested with `--assemble sandbox`"),
        AssembleRequest::Docker if machine.daemon => {
            choice(EngineKind::Docker, "requested with `--assemble docker`")
        }
        AssembleRequest::Docker => Err(PlanError::NoDaemonToRun { builder: builder() }),
        AssembleRequest::Auto | AssembleRequest::Place => match machine {
            Machine { daemon: true, .. } => choice(EngineKind::Docker, "a daemon answers"),
            Machine { sandbox: true, .. } => choice(EngineKind::Sandbox, "no daemon answers"),
            _ => Err(PlanError::NoEngine { builder: builder() }),
        },
    }
}

impl EngineChoice {
    /// Whether a daemon that answers would have been the choice.
    pub fn replaces_daemon(self, requested: AssembleRequest) -> bool {
        self.kind == EngineKind::Sandbox && requested != AssembleRequest::Sandbox
    }
}

/// Whether the choice of an engine depends on this machine.
pub fn depends_on_machine(requested: AssembleRequest) -> bool {
    matches!(requested, AssembleRequest::Auto | AssembleRequest::Place)
}

/// Whether images need an engine that the request does not name.
pub fn needs_some_engine(requested: AssembleRequest, selections: &[Selection]) -> bool {
    requested == AssembleRequest::Auto && !selections.iter().all(Selection::may_be_placed)
}

/// The platform that an engine runs without emulation.
pub fn native_platform(engine: EngineKind, machine: &Machine) -> Platform {
    match engine {
        EngineKind::Docker => machine.native_platform.clone(),
        EngineKind::Sandbox => Platform::host(),
    }
}

/// Chooses the source of a base: its location, else by the form of the layers. An output with manifests needs a registry's.
pub(super) fn base_source(
    base: &BaseName,
    engine: Option<EngineKind>,
    outputs: &[Transport],
    machine: &Machine,
) -> BaseSource {
    match engine {
        _ if *base == BaseName::BuiltInStatic => BaseSource::BuiltIn,
        _ if base.file().is_some() => BaseSource::File,
        _ if matches!(base, BaseName::Location(_)) => BaseSource::Daemon,
        Some(engine) => engine_source(engine),
        None if machine.daemon && !outputs.iter().any(Transport::accepts_index) => BaseSource::Daemon,
        None => BaseSource::Registry,
    }
}

/// The source of an image whose container an engine runs.
pub fn engine_source(engine: EngineKind) -> BaseSource {
    match engine {
        EngineKind::Docker => BaseSource::Daemon,
        EngineKind::Sandbox => BaseSource::Registry,
    }
}

/// Whether a request needs or prefers a daemon, whatever the artifact is.
pub fn looks_for_daemon(request: &Request) -> bool {
    request.source_build.is_some()
        || request.outputs.is_empty()
        || !request.outputs.iter().all(Transport::accepts_index)
        || request.assemble == AssembleRequest::Docker
        || request.base.as_ref().is_some_and(|base| base.transport.is_daemon())
}

/// Whether a daemon that answers would change the plan.
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

/// Whether the container of a source stage becomes the image. The only output must be the container's daemon. The
/// request must not set a date: the daemon's commit uses its own clock.
pub fn commits_container(request: &Request, stage: &SourceStage, outputs: &[PlannedOutput]) -> bool {
    stage.engine == EngineKind::Docker
        && stage.product == PlannedProduct::Image
        // ONBUILD commits between its commands, and these commits would stay below the image.
        && (stage.on_build.is_empty() || stage.runtime.is_some())
        && request.date.is_none()
        && request.created.is_none()
        && outputs.iter().all(|planned| planned.output.is_daemon())
}

/// Whether `save-artifacts` would see the secrets of `assemble`: the sandbox runs it in the same container.
pub fn save_sees_secrets(engine: EngineKind, has_secrets: bool) -> bool {
    engine == EngineKind::Sandbox && has_secrets
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
