//! Owns the decision how the artifact gets into its image: placed or by the script, on which engine, on a base from
//! where.

use super::make::Decided;
use super::{
    Assembly, BaseSource, EngineKind, PlanError, PlannedBuilder, PlannedRun, base_directories, placement,
};
use crate::builder::{BaseName, Choice, ImageChoice, Placement, TemplateOrigin};
use crate::image::ImagePath;
use crate::image::layer::Owner;
use crate::request::{AssembleRequest, Request};
use crate::transport::Transport;

type Assembled = (PlannedBuilder, Assembly, String);

pub(super) fn assemble_template(
    request: &Request,
    decided: &Decided<'_>,
    choice: &Choice,
    outputs: &[Transport],
) -> Result<Assembled, PlanError> {
    let template = &choice.template;
    let is_built_in = choice.base.image == BaseName::BuiltInStatic;
    let mut builder = PlannedBuilder {
        name: format!("{}:{}", template.name(), choice.version.version),
        base: choice.base.image.to_string(),
        base_source: base_source(is_built_in, None, outputs, decided),
        template_digest: Some(template.digest()),
        reason: choice.reason.clone(),
    };
    // As with a label: what comes from elsewhere gets no root unless the user says so.
    let from_project = matches!(template.origin, TemplateOrigin::Project { .. });
    if from_project && template.metadata.image.user.uid == 0 && !request.limits.allow_root {
        return Err(PlanError::ProjectRoot { builder: builder.name });
    }
    let shown = format!("the template `{}`", builder.name);
    let added = &decided.artifact.added;
    let placement = template.placement(request.image.context_path.as_deref())?;
    let mut entries = placement::template_entries(decided.template_entries);
    let place = match request.assemble {
        AssembleRequest::Place if !template.may_be_placed() => {
            let reason =
                "only b2i's own, unchanged templates are placed; this one's script decides what happens";
            return Err(PlanError::NotPlaceable { builder: shown, reason });
        }
        AssembleRequest::Place => Some("asked for with `--assemble place`"),
        AssembleRequest::Auto if template.may_be_placed() => Some("the template's script is unchanged"),
        AssembleRequest::Auto | AssembleRequest::Docker | AssembleRequest::Sandbox => None,
    };
    if let Some(reason) = place {
        if !is_built_in {
            base_directories::refuse_links(added)?;
        }
        entries.extend(placement::placed(&placement, added)?);
        return Ok((builder, Assembly::Place { entries }, reason.into()));
    }
    let engine = engine(request, decided, shown)?;
    builder.base_source = base_source(is_built_in, Some(engine), outputs, decided);
    entries.extend(placement::absolute(&placement, added));
    let assembly = Assembly::Run(Box::new(PlannedRun {
        engine,
        entries,
        sources: placement::sources(&decided.artifact.name, &placement, added),
        environment: script_environment(request, decided),
        limits: request.limits.clone(),
        scripts: Some(template.metadata.scripts_directory.clone()),
        user: Some(template.metadata.image.user.to_string()),
    }));
    Ok((builder, assembly, run_reason(request, "the template is not b2i's own, so its script has to run")))
}

pub(super) fn assemble_image(
    request: &Request,
    decided: &Decided<'_>,
    image: &ImageChoice,
    outputs: &[Transport],
) -> Result<Assembled, PlanError> {
    let name = image.reference.to_string();
    let shown = format!("the builder image `{}`", image.reference.familiar());
    if request.assemble == AssembleRequest::Place {
        let reason = "what its script does is not known without running it";
        return Err(PlanError::NotPlaceable { builder: shown, reason });
    }
    let engine = engine(request, decided, shown)?;
    let added = &decided.artifact.added;
    // A builder image has no declared placement; only modes and the owner of files beside it matter here.
    let placement = undeclared_placement();
    let assembly = Assembly::Run(Box::new(PlannedRun {
        engine,
        entries: placement::absolute(&placement, added),
        sources: placement::sources(&decided.artifact.name, &placement, added),
        environment: script_environment(request, decided),
        limits: request.limits.clone(),
        scripts: None,
        user: None,
    }));
    let builder = PlannedBuilder {
        name: name.clone(),
        base: name,
        base_source: base_source(false, Some(engine), outputs, decided),
        template_digest: None,
        reason: image.reason.clone(),
    };
    Ok((builder, assembly, run_reason(request, "a builder image's script has to run")))
}

/// Chooses what runs the script: what is asked for, else a daemon that answers, else the sandbox.
fn engine(request: &Request, decided: &Decided<'_>, builder: String) -> Result<EngineKind, PlanError> {
    match request.assemble {
        AssembleRequest::Sandbox => Ok(EngineKind::Sandbox),
        _ if decided.machine.daemon => Ok(EngineKind::Docker),
        AssembleRequest::Docker => Err(PlanError::NoDaemonToRun { builder }),
        AssembleRequest::Auto | AssembleRequest::Place if decided.machine.sandbox => Ok(EngineKind::Sandbox),
        AssembleRequest::Auto | AssembleRequest::Place => Err(PlanError::NoEngine { builder }),
    }
}

/// Chooses where the base comes from: where its layers are needed. A manifest needs them as a registry has them.
fn base_source(
    is_built_in: bool,
    engine: Option<EngineKind>,
    outputs: &[Transport],
    decided: &Decided<'_>,
) -> BaseSource {
    let needs_blobs = outputs.iter().any(Transport::accepts_index);
    match engine {
        _ if is_built_in => BaseSource::BuiltIn,
        Some(EngineKind::Docker) => BaseSource::Daemon,
        Some(EngineKind::Sandbox) => BaseSource::Registry,
        None if decided.machine.daemon && !needs_blobs => BaseSource::Daemon,
        None => BaseSource::Registry,
    }
}

fn undeclared_placement() -> Placement {
    let nowhere = ImagePath::new("/").expect("absolute and normal");
    Placement {
        artifact: nowhere.clone(),
        beside: nowhere,
        hard_links: Vec::new(),
        owner: Owner::ROOT,
        artifact_mode: 0o755,
        file_mode: 0o644,
        executable_mode: 0o755,
        directory_mode: 0o755,
    }
}

fn run_reason(request: &Request, otherwise: &str) -> String {
    match request.assemble {
        AssembleRequest::Docker => "asked for with `--assemble docker`".into(),
        AssembleRequest::Sandbox => "asked for with `--assemble sandbox`".into(),
        AssembleRequest::Auto | AssembleRequest::Place => otherwise.into(),
    }
}

/// What the script sees beside the image's own environment: the user's variables, as S2I has it, and which of
/// several files is the artifact.
fn script_environment(request: &Request, decided: &Decided<'_>) -> Vec<(String, String)> {
    let mut environment = request.image.env.clone();
    environment.push(("B2I_ARTIFACT".into(), decided.artifact.name.clone()));
    if let Some(context) = &request.image.context_path {
        environment.push(("B2I_CONTEXT_PATH".into(), context.clone()));
    }
    environment
}
