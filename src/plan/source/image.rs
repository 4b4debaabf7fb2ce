//! Owns planning an image that the source stage makes: config, names and outputs. Must not build it.
//!
//! S2I's rules: the command is `run`, the user is the image's and not that of `assemble`, an entrypoint stays, and the image has
//! the variables of the build. A template's settings replace those of its base.

use super::{PlannedScript, SourceStage};
use crate::builder::{RecordedBase, SourceSelection, Template};
use crate::image::config::set_env;
use crate::image::{ConfigEdits, ImagePath, shell_words};
use crate::plan::image::{apply_request, rfc3339, template_edits};
use crate::plan::labels::{
    ASSEMBLE_USER_LABEL, DESTINATION_LABEL, ENVIRONMENT_LABEL, EXCLUDE_LABEL, FETCHED_LABEL, LabelFacts,
    Labels, RUNTIME_ARTIFACTS_LABEL, RUNTIME_IMAGE_LABEL, RUNTIME_USER_LABEL, RecordedBuilder, SCRIPTS_LABEL,
};
use crate::plan::names::tags;
use crate::plan::outputs::planned_outputs;
use crate::plan::{Assembly, FIXED_DATE, Machine, Plan, PlanError, PlannedImage, SCHEMA_VERSION, Stage};
use crate::request::{Request, SourceBuildRequest};

/// The input of planning the image.
pub struct SourceImage<'a> {
    pub source: &'a SourceStage,
    pub selection: &'a SourceSelection,
    /// The config changes of ONBUILD instructions, if they are executed.
    pub on_build: Option<&'a ConfigEdits>,
    pub machine: &'a Machine,
}

/// Plans the image.
///
/// # Errors
/// [`PlanError`] if the request contradicts itself or the machine.
pub fn make_of_sources(
    request: &Request,
    options: &SourceBuildRequest,
    image: &SourceImage<'_>,
) -> Result<Plan, PlanError> {
    let source = image.source;
    let names = [source.source.name.as_str()];
    let date = request.date.unwrap_or(FIXED_DATE);
    let stage = Stage {
        artifact: None,
        builder: source.builder.clone(),
        platform: source.platform.clone(),
        assembly: Assembly::Sources,
        assembly_reason: match &source.runtime {
            Some(_) => "the runtime image gets what was built".into(),
            None => "the assembled builder is the image".into(),
        },
        image: planned_image(request, options, image, date)?,
        date,
        warnings: Vec::new(),
        notes: Vec::new(),
    };
    Ok(Plan {
        schema_version: SCHEMA_VERSION,
        outputs: planned_outputs(request, image.machine, &names, std::slice::from_ref(&stage.platform))?,
        source: Some(source.clone()),
        stages: vec![stage],
        tags: match options.unnamed && request.tags.is_empty() {
            true => Vec::new(),
            false => tags(request, &names)?,
        },
        later_tag: None,
        unplanned: None,
        warnings: Vec::new(),
    })
}

fn planned_image(
    request: &Request,
    options: &SourceBuildRequest,
    image: &SourceImage<'_>,
    date: u64,
) -> Result<PlannedImage, PlanError> {
    let source = image.source;
    let (template, base) = template_and_base(image);
    // The instructions concern the builder, not a runtime image.
    let on_build = image.on_build.filter(|_| source.runtime.is_none());
    let scripts = match &source.runtime {
        Some(runtime) => runtime.run.as_ref(),
        None => source.scripts.run.as_ref(),
    };
    let run = scripts.map(PlannedScript::command);
    let mut edits = match (template, on_build) {
        (Some(template), _) => template_edits(template),
        (None, Some(on_build)) => on_build_edits(on_build, run.as_ref()),
        (None, None) => ConfigEdits { cmd: run.clone(), ..ConfigEdits::default() },
    };
    let mut resets = vec!["OnBuild"];
    if template.is_some() || edits.cmd.is_some() {
        resets.insert(0, "Cmd");
    }
    if on_build.is_some() && edits.entrypoint.is_some() {
        resets.insert(0, "Entrypoint");
    }
    if let (Some(template), Some(run)) = (template, run) {
        resets.insert(0, "Entrypoint");
        // A script of the sources replaces the template's.
        let own = template.metadata.scripts_directory.join("run").map(|path| path.to_string());
        if own.map(|own| vec![own]).as_ref() != Ok(&run) {
            edits.entrypoint = Some(run);
        }
    }
    edits.reset_on_build = true;
    edits.created = rfc3339(request.created_date().unwrap_or(date))?;
    edits.history = format!("b2i: {}", shell_words::quote(&[&source.source.name]));
    set_env(&mut edits.env, &source.environment);
    let later_labels = labels(request, source, options, base, &edits.created).apply(&mut edits);
    apply_request(&request.image, &mut edits, None)?;
    let annotations = request.image.annotations.clone();
    Ok(PlannedImage {
        edits,
        later_history: None,
        later_labels,
        later_cmd: None,
        annotations,
        resets: resets.into_iter().map(str::to_owned).collect(),
    })
}

/// The template of the image, if it has one, and the name of its base.
fn template_and_base<'a>(image: &SourceImage<'a>) -> (Option<&'a Template>, RecordedBase) {
    match (image.selection, &image.source.runtime) {
        (_, Some(runtime)) => (None, RecordedBase::Name(runtime.image.to_string())),
        (SourceSelection::Template(choice), None) => (Some(&*choice.template), choice.base.recorded()),
        (SourceSelection::Image(image), None) => (None, RecordedBase::Name(image.reference.recorded())),
    }
}

/// The changes of instructions. By S2I's rule, a script of the sources is the entrypoint, and the base's command does not
/// apply to it.
fn on_build_edits(on_build: &ConfigEdits, run: Option<&Vec<String>>) -> ConfigEdits {
    let mut edits = on_build.clone();
    if let Some(run) = run {
        edits.entrypoint = Some(run.clone());
        edits.cmd = Some(Vec::new());
    }
    edits
}

/// The common labels, S2I's labels of the sources, and those that a rebuild needs.
fn labels(
    request: &Request,
    source: &SourceStage,
    options: &SourceBuildRequest,
    base: RecordedBase,
    created: &str,
) -> Labels {
    let sources = &source.source;
    let url = sources.info.location.as_deref();
    // A path would name the build machine, unless it is relative.
    let location = url.or(options.recorded_location.as_deref()).unwrap_or(&sources.name);
    let builder = source.builder.name.clone();
    let mut labels = Labels::new(LabelFacts {
        builder: match source.builder.template_digest {
            Some(_) => RecordedBuilder::Template(builder),
            None => RecordedBuilder::Image(builder),
        },
        base,
        title: sources.name.as_str().into(),
        display_name: options.display_name.as_deref(),
        url,
        location: location.into(),
        created,
    });
    labels.set_some("io.openshift.s2i.build.source-context-dir", sources.info.context_directory.as_deref());
    if let Some(commit) = &sources.info.commit {
        labels.set("io.openshift.s2i.build.commit.id", commit.id.as_str());
        labels.set("io.openshift.s2i.build.commit.ref", commit.reference.as_str());
        labels.set("io.openshift.s2i.build.commit.author", commit.author.as_str());
        labels.set("io.openshift.s2i.build.commit.date", commit.date.as_str());
        labels.set("io.openshift.s2i.build.commit.message", commit.message.as_str());
        labels.set("org.opencontainers.image.revision", commit.id.as_str());
    }
    labels.set_some("io.k8s.description", options.description.as_deref());
    labels.set_some(SCRIPTS_LABEL, options.scripts.as_ref().map(|scripts| scripts.label()).as_deref());
    if let (Some(runtime), Some(requested)) = (&source.runtime, &options.runtime) {
        let places: Vec<String> = requested.artifacts.iter().map(ToString::to_string).collect();
        labels.set(RUNTIME_IMAGE_LABEL, runtime.image.to_string());
        labels.set(RUNTIME_ARTIFACTS_LABEL, places.join(";"));
        labels.set_some(RUNTIME_USER_LABEL, requested.assemble_user.as_deref());
    }
    labels.set_some(ASSEMBLE_USER_LABEL, request.limits.assemble_user.as_deref());
    labels.set_some(DESTINATION_LABEL, options.destination.as_ref().map(ImagePath::as_str));
    labels.set_some(EXCLUDE_LABEL, options.source.exclude.as_deref());
    labels.set(FETCHED_LABEL, options.source.label());
    // Also without variables: an empty label is the record.
    let build = options.environment.iter().map(|variable| variable.name.as_str());
    let names: Vec<&str> = build.chain(request.image.env.iter().map(|(name, _)| name.as_str())).collect();
    labels.known.insert(ENVIRONMENT_LABEL.to_owned(), names.join(" "));
    labels
}
