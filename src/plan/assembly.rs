//! Owns the decision whether b2i places an artifact or a script does.
//!
//! Must not choose engines; `engine` does.

use super::engine::{base_source, choose_engine, engine_source};
use super::make::ImageFacts;
use super::{Assembly, PlanError, PlannedBuilder, PlannedRun, base_directories, placement};
use crate::builder::{BaseName, Choice, ImageChoice, Placement, Template, TemplateOrigin};
use crate::image::ImagePath;
use crate::image::layer::Owner;
use crate::request::{AssembleRequest, Request};
use crate::transport::Transport;

type Assembled = (PlannedBuilder, Assembly, String);

pub(super) fn assemble_template(
    request: &Request,
    image: &ImageFacts<'_>,
    choice: &Choice,
    outputs: &[Transport],
) -> Result<Assembled, PlanError> {
    let template = &choice.template;
    let base = &choice.base.image;
    let is_built_in = *base == BaseName::BuiltInStatic;
    if matches!(base, BaseName::Location(location) if location.transport.is_daemon()) && !image.machine.daemon
    {
        return Err(PlanError::NoDaemonForBase { base: base.to_string() });
    }
    let mut builder = PlannedBuilder {
        name: format!("{}:{}", template.name(), choice.version.version),
        base: choice.base.image.to_string(),
        base_source: base_source(base, None, outputs, image.machine),
        template_digest: Some(template.digest()),
        reason: choice.reason.clone(),
    };
    let placement = template.placement(request.image.context_path.as_deref())?;
    // Only the user may allow root, as with a label of an image.
    let from_project = matches!(template.origin, TemplateOrigin::Project { .. });
    let may_be_root = !from_project || request.limits.allow_root;
    if template.metadata.image.user.uid == 0 && !may_be_root {
        return Err(PlanError::ProjectRoot { builder: builder.name });
    }
    let shown = format!("the template `{}`", builder.name);
    let added = &image.artifact.added;
    let mut entries = placement::template_entries(image.template_entries);
    entries.extend(placement::base_files(choice, added));
    let place = match request.assemble {
        AssembleRequest::Place if !template.may_be_placed() => {
            let reason = "only unchanged templates of b2i can be placed; this template's script must run";
            return Err(PlanError::NotPlaceable { builder: shown, reason });
        }
        AssembleRequest::Place => Some("requested with `--assemble place`"),
        AssembleRequest::Auto if template.may_be_placed() => Some("the template's script is unchanged"),
        AssembleRequest::Auto | AssembleRequest::Docker | AssembleRequest::Sandbox => None,
    };
    if let Some(reason) = place {
        if !is_built_in {
            base_directories::refuse_links(added)?;
        }
        entries.extend(placement::placed(&placement, image.artifact)?);
        return Ok((builder, Assembly::Place { entries }, reason.into()));
    }
    let engine = choose_engine(request.assemble, image.machine, || shown)?.kind;
    builder.base_source = base_source(base, Some(engine), outputs, image.machine);
    entries.extend(placement::absolute(&placement, added));
    let assembly = Assembly::Run(Box::new(PlannedRun {
        engine,
        entries,
        sources: placement::sources(&image.name().to_string(), &placement, image.artifact, true),
        environment: script_environment(request, image, true),
        limits: request.limits.clone(),
        scripts: Some(template.metadata.scripts_directory.clone()),
        user: Some(script_user(template, &placement, may_be_root).to_string()),
    }));
    Ok((builder, assembly, run_reason(request, "the template is not b2i's own, so its script must run")))
}

/// The user that runs the script: the owner of the placed files, because no other user can create files with that
/// owner. A project's script that may not be root runs as the user of the image.
fn script_user(template: &Template, placement: &Placement, may_be_root: bool) -> Owner {
    match placement.owner.uid == 0 && !may_be_root {
        true => template.metadata.image.user,
        false => placement.owner,
    }
}

pub(super) fn assemble_image(
    request: &Request,
    image: &ImageFacts<'_>,
    choice: &ImageChoice,
) -> Result<Assembled, PlanError> {
    let name = choice.reference.to_string();
    let shown = format!("the builder image `{}`", choice.reference.familiar());
    if request.assemble == AssembleRequest::Place {
        let reason = "only running its script shows the result";
        return Err(PlanError::NotPlaceable { builder: shown, reason });
    }
    let engine = choose_engine(request.assemble, image.machine, || shown)?.kind;
    let added = &image.artifact.added;
    // A builder image declares no placement. Only modes and owner matter here.
    let placement = undeclared_placement();
    let assembly = Assembly::Run(Box::new(PlannedRun {
        engine,
        entries: placement::absolute(&placement, added),
        sources: placement::sources(&image.name().to_string(), &placement, image.artifact, false),
        environment: script_environment(request, image, false),
        limits: request.limits.clone(),
        scripts: None,
        user: None,
    }));
    let builder = PlannedBuilder {
        name: name.clone(),
        base: name,
        base_source: engine_source(engine),
        template_digest: None,
        reason: choice.reason.clone(),
    };
    Ok((builder, assembly, run_reason(request, "the script of a builder image must run")))
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
        AssembleRequest::Docker => "requested with `--assemble docker`".into(),
        AssembleRequest::Sandbox => "requested with `--assemble sandbox`".into(),
        AssembleRequest::Auto | AssembleRequest::Place => otherwise.into(),
    }
}

/// Variables of the script in addition to the image's: the user's, as with S2I, and the path of the artifact.
fn script_environment(request: &Request, image: &ImageFacts<'_>, is_template: bool) -> Vec<(String, String)> {
    let mut environment = request.image.env.clone();
    let path = placement::source_path(&image.name().to_string(), image.artifact, is_template);
    environment.push(("B2I_ARTIFACT".into(), path));
    if let Some(context) = &request.image.context_path {
        environment.push(("B2I_CONTEXT_PATH".into(), context.to_string()));
    }
    environment
}
